"""`arithmoscope behaviour`: every analysis writes its files, and bad flags name the remedy."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import interp
from app import cli
from app.commands.generated import entries
from app.commands.options import assignments, whole_numbers
from interp.behaviour.answers_given import published_file
from interp.errors import InputError
from interp.results.result import Result
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("llama", tmp_path_factory.mktemp("tiny-llama"), seed=5)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of `arithmoscope behaviour ARGUMENTS`; 0 where it does not exit."""
    monkeypatch.setattr(sys, "argv", ["arithmoscope", "behaviour", *map(str, arguments)])
    monkeypatch.setattr("interp.figures.export.browser", lambda: None)  # no pictures: slow
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_noisy_prefixes_of_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flags = ("-m", folder, "-t", "add:2", "-n", 8, "--format", "padded", "--seed", 3)
    assert run(monkeypatch, *flags, "-a", "noisy-prefix", "-o", tmp_path / "out") == 0
    saved = Result.load(tmp_path / "out")
    model = interp.load(str(folder))
    want = interp.suites.noisy_prefix(
        model, interp.task("add:2").sample(8, seed=3), seed=3, format="padded"
    )
    assert saved.frame.equals(want.frame)
    for name in ("figure.html", "table.csv", "table.parquet", "result.json"):
        assert (tmp_path / "out" / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("analysis", "name"), [("errors", "error_taxonomy"), ("explain", "error_explanation")]
)
def test_published_answers(
    analysis: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ("--answers", published_file(), "--where", "num_shots=8", "-a", analysis)
    assert run(monkeypatch, *flags, "-o", tmp_path / "out") == 0
    summary = json.loads((tmp_path / "out" / "result.json").read_text())
    assert summary["analysis"] == name
    assert summary["n"] == 270
    assert summary["settings"]["where"] == {"num_shots": 8}
    assert "chance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "say whose answers: --model NAME, or --answers FILE.csv"),
        (("-m", "add5", "--answers", "x.csv"), "one of the two"),
        (("--answers", "x.csv"), "--analysis accuracy asks a model"),
        (("--answers", "x.csv", "-a", "errors"), "cannot read"),
        (("--answers", "x.csv", "-a", "errors", "--where", "shots"), "--where takes COLUMN=VALUE"),
        (("-m", "FOLDER", "-t", "add:2", "-n", "0"), "the sample is empty"),
        (("-m", "FOLDER", "-a", "cookbook", "--shots", "1,2"), "takes one number of --shots"),
        (("-m", "FOLDER", "-a", "cookbook", "--lengths", "few"), "--lengths takes whole numbers"),
        (
            ("-m", "FOLDER", "-a", "cookbook", "--cookbook-tasks", "add:roman"),
            "no task 'add:roman'",
        ),
        (("-m", "FOLDER", "-a", "approximation", "-n", "6"), "Ask a language model"),
    ],
)
def test_bad_flags_are_one_line_with_the_remedy(
    flags: tuple[str, ...],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = [str(folder) if flag == "FOLDER" else flag for flag in flags]
    assert run(monkeypatch, *named) == 2
    assert message in capsys.readouterr().err


def test_every_analysis_is_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "-m", "add5", "-a", "poetry") == 2
    told = capsys.readouterr().err
    assert "no analysis 'poetry'" in told
    assert "--analysis" in told or any(name in told for name in entries("behaviour"))


def test_values_are_read_as_numbers_or_words() -> None:
    assert assignments(["num_shots=8", "answer_number_format=nosep"]) == {
        "num_shots": 8, "answer_number_format": "nosep"
    }  # fmt: skip
    assert whole_numbers("--shots", "0,12") == (0, 12)
    with pytest.raises(InputError, match="--shots takes whole numbers by commas"):
        whole_numbers("--shots", "one")

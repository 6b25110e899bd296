"""Commands that compute: what lands in --out is what the library returns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import interp
from app.calls import problems
from interp.figures import export
from interp.results.result import Result
from tests import tiny
from tests.app.test_cli import run

SAMPLE = ("--task", "add:2", "--n", "12", "--seed", "3", "--format", "plain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("gpt2", tmp_path_factory.mktemp("tiny-gpt2"), seed=2)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a browser for each test would take most of their time."""
    monkeypatch.setattr(export, "browser", lambda: None)


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


def test_attribute_writes_what_the_library_returns(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    policies = ("--prefix", "recompute", "--target", "true")
    assert run(monkeypatch, "attribute", "-m", str(folder), *SAMPLE, *policies, "-o", str(out)) == 0
    model = interp.load(str(folder))
    batch = model.prompts(problems("add:2", 12, seed=3), format="plain")
    want = interp.attribution.counterfactual(
        model, batch, prefix="recompute", target="true", seed=3
    )
    assert Result.load(out) == want
    assert {path.name for path in out.iterdir()} == {
        "data",
        "figure.html",
        "plotly.min.js",
        "result.json",
        "table.csv",
        "table.parquet",
    }
    shown = capsys.readouterr().out
    assert re.search(r"ratio_oracle\s+\d", shown)
    assert "no PNG or SVG" in shown


def test_result_json_has_the_fields_that_scripts_rely_on(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "attribute", "-m", str(folder), *SAMPLE, "-o", str(out)) == 0
    content = read(out)
    assert list(content) == [
        "analysis",
        "model",
        "task",
        "n",
        "n_distinct",
        "seed",
        "settings",
        "metrics",
        "versions",
    ]
    assert set(content["model"]) == {"name", "hash"}
    assert (content["task"], content["n"], content["n_distinct"]) == ("add:2", 12, 12)
    assert (content["analysis"], content["seed"]) == ("counterfactual_attribution", 3)
    assert content["metrics"]["ratio_oracle"] > 0


def test_the_logit_lens_and_the_prompt_search_are_a_flag_away(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    lens = ("attribute", "--method", "logit-lens", "-m", str(folder), *SAMPLE)
    assert run(monkeypatch, *lens, "-o", str(tmp_path / "lens")) == 0
    assert read(tmp_path / "lens")["analysis"] == "logit_lens"
    search = ("behaviour", "-a", "search", "--styles", "plain,padded", "--shots", "0,1")
    where = ("-m", str(folder), "-t", "add:1", "-o", str(tmp_path / "search"))
    assert run(monkeypatch, *search, *where) == 0
    assert read(tmp_path / "search")["settings"]["styles"] == ["plain", "padded"]


@pytest.mark.parametrize("analysis", ["accuracy", "search", "noisy-prefix"])
def test_no_problems_at_all_is_bad_input(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    analysis: str,
) -> None:
    command = ("behaviour", "-a", analysis, "-m", str(folder), "-t", "add:1", "--n", "0")
    assert run(monkeypatch, *command) == 2
    assert "at least" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--n", "0"), "the sample is empty (n = 0)"),
        (("--task", "add"), "cannot read task 'add': write it as add:5"),
        (("--task", "add:60"), "does not fit the context"),
        (("--format", "rot13"), "there is no format 'rot13'"),
        (("--sampler", "mine"), "uniform"),
        (("--dtype", "float32", "--device", "tpu"), "tpu"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    flags: tuple[str, ...],
    message: str,
) -> None:
    assert run(monkeypatch, "attribute", "-m", str(folder), *SAMPLE, *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("arithmoscope: ")
    assert message in line


def test_a_model_that_answers_in_another_format_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert run(monkeypatch, "behaviour", "-m", str(folder), *SAMPLE) == 2
    assert "does not answer in format 'plain'" in capsys.readouterr().err


def test_an_out_that_cannot_be_written_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "result"
    assert run(monkeypatch, "attribute", "-m", str(folder), *SAMPLE, "-o", str(out)) == 2
    assert "save to another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_models_lists_the_fixtures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "models", "--out", str(tmp_path)) == 0
    assert "add5" in capsys.readouterr().out
    assert "add:5" in (tmp_path / "table.csv").read_text()


def test_a_run_that_is_killed_by_its_budget_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tiny_run = ("d_model=16", "n_layers=1", "batch=8", "steps=6", "evaluate_n=20", "card_n=50")
    changes = [word for change in tiny_run for word in ("--set", change)]
    command = ("train", "add5", *changes, "--out", str(tmp_path / "model"))
    assert run(monkeypatch, *command, "--minutes", "1e-9") == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert run(monkeypatch, *command) == 0
    assert "6 of 6 steps" in capsys.readouterr().out
    assert (tmp_path / "model" / "card.json").is_file()

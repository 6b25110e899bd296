"""A folder without a card, through every door: a task and a prompt with evidence, not an error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import interp
from app import calls, results
from app.sidebar import OTHER
from interp.errors import InputError
from interp.figures import export
from tests import tiny
from tests.app.test_cli import run
from tests.app.test_links_and_errors import opened

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of sums mod 113, without its card."""
    folder = tmp_path_factory.mktemp("bare") / "model"
    shutil.copytree(ROOT / "fixtures" / "models" / "mod113", folder)
    (folder / "card.json").unlink()
    return folder


@pytest.fixture(scope="module")
def found(bare: Path) -> Any:
    return interp.suggest(interp.load(str(bare)))


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "browser", lambda: None)


def test_the_library_proposes_task_and_prompt(bare: Path, found: Any) -> None:
    model = interp.load(str(bare))
    assert model.card is None and found.task == "mod:113" and found.fits
    assert found.metrics["exact_accuracy"] > 0.9 > found.metrics["shuffled_accuracy"] + 0.5
    assert "best of" in found.verdict and "writes" in found.verdict
    problems = interp.task("mod:113").problems([99, 5], [20, 1])
    said = model.prompts(problems, format=found.format).texts
    assert said == model.prompts(problems, format="modular").texts


def test_the_installed_command_opens_on_the_proposal(
    bare: Path, found: Any, tmp_path: Path
) -> None:
    code = "from app.cli import main; main()"
    flags = ("behaviour", "--model", str(bare), "--n", "40", "--out", str(tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, "-c", code, *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())  # wrapped at the width of a terminal
    assert f"is asked. mod:113: {found.conclusion()}" in said
    saved = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (saved["task"], saved["settings"]["format"]) == ("mod:113", found.format)
    assert saved["metrics"]["exact_accuracy"] > 0.9


@pytest.mark.parametrize(
    "command",
    [
        ("suggest",),
        ("attribute", "--n", "40"),
        ("ablate", "cama", "--n", "40"),
        ("probe", "--n", "300", "--sites", "resid_post", "--targets", "c[0]"),
    ],
    ids=lambda command: str(command[0]),
)
def test_every_command_opens_on_the_proposal(
    bare: Path,
    tmp_path: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *command, "--model", str(bare), "--out", str(tmp_path / "out")) == 0
    assert "best of" in (capsys.readouterr().err if command != ("suggest",) else "best of")
    saved = json.loads((tmp_path / "out" / "result.json").read_text())
    assert saved["task"] == "mod:113" and (tmp_path / "out" / "figure.html").exists()


def test_the_explorer_opens_on_the_proposal(bare: Path, found: Any) -> None:
    at = opened(model=OTHER, path=bare, n=12)
    study = at.session_state["study"]
    assert (study.task, study.format, study.start) == ("mod:113", found.format, None)
    said = "\n".join(str(one.value) for one in at.sidebar.markdown).replace("\\", "")
    assert "mod:113: " in said and "best of" in said
    assert not at.error and not at.warning


def test_the_text_in_front_goes_with_the_study(
    bare: Path, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = found.trials.assign(
        start=["" if i != found.best else "=" for i in range(len(found.trials))]
    )
    if found.best == 0:  # its own prompt has a start of its own
        trials = trials.iloc[[1, 0, *range(2, len(trials))]].reset_index(drop=True)
    begun = replace(found, trials=trials, best=int(trials.index[trials["start"] == "="][0]))
    monkeypatch.setattr(results, "suggested", lambda name, hash: begun)
    study = opened(model=OTHER, path=bare, n=12).session_state["study"]
    assert study.start == "="
    model = results.loaded(study)
    assert model.tokens.bos == interp.load(str(bare)).starting_with("=").tokens.bos != ()


def test_where_nothing_fits_no_task_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = interp.load(str(tiny.save("gpt2", tmp_path / "random")))
    problems = interp.Addition(1).grid()
    unfit = interp.behaviour.doctor(model, problems, formats=["plain"], n=40)
    assert not unfit.fits
    monkeypatch.setattr(interp, "suggest", lambda model, **_: unfit)
    said: list[str] = []
    with pytest.raises(InputError, match=r"no prompt that was tried fits .*--task and --format"):
        calls.proposed(model, calls.Sample(), said.append)
    assert "None of the " in said[0]
    known = calls.Sample(task="add:1")
    assert calls.proposed(model, known, said.append) == (model, known)


def test_a_language_model_is_asked_sums_as_people_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its vocabulary; a task or a format that is given is taken as it is, without trials."""
    model = interp.load(str(tiny.save("gpt2", tmp_path / "large", pattern="[0-9]{1,3}|.")))
    assert model.shape.d_vocab > 1000
    found = interp.suggest(model, n=6)
    assert found.task == "add:1"
    assert set(found.trials["format"]) == {"plain", "plain@2:0"}
    said: list[str] = []
    asked = calls.proposed(model, calls.Sample(), said.append)
    assert asked == (model, calls.Sample(*calls.USUAL[:1], format=calls.USUAL[1]))
    assert "asked add:1 in the format 'plain@2:0'. --task and --format" in said[0]
    for given in (calls.Sample(task="add:2"), calls.Sample(format="plain")):
        assert calls.proposed(model, given, pytest.fail) == (model, given)

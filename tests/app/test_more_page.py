"""A new catalogue entry has a place in the explorer and a command, without another line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
from streamlit.testing.v1 import AppTest

import interp
from app import cli, more
from interp import catalogue
from interp.catalogue import Entry
from interp.figures import export
from interp.results.result import Result
from tests.app.test_cli import run
from tests.app.test_explorer import TASK, explorer, folder, loaded, open_page, words

__all__ = ["explorer", "folder", "loaded"]  # fixtures

QUESTION = "Which digits are counted?"


def counts(
    model: Any,
    asked: Any,
    *,
    n: int = 8,
    seed: int = 0,
    format: str | None = None,
    target: str = "argmax",
) -> Any:
    """Counted digits.

    Args:
        target: whose logit is counted.
    """
    return interp.behaviour.accuracy(model, asked, n=n, seed=seed, format=format, strict=False)


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Entry:
    """An analysis of a family of its own, registered as a line of the catalogue would."""
    module = ModuleType("digits")
    module.counts = counts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "digits", module)
    behaviour = catalogue.entry("behaviour.accuracy")
    new = Entry(
        name="digits.counts",
        function="digits:counts",
        kind=behaviour.kind,
        result=behaviour.result,
        figures=behaviour.figures,
        command="digits counts",
        question=QUESTION,
        asks="problems",
        n=8,
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", (*catalogue.CATALOGUE, new))
    return new


def test_every_shipped_entry_has_a_page() -> None:
    pages = Path(cli.__file__).parent
    said = "\n".join(path.read_text() for path in pages.rglob("*.py") if path.name != "more.py")
    for name in more.SHOWN:
        catalogue.entry(name)
        assert f'"{name}"' in said, f"no page asks for {name}"
    asked = {e.name for e in catalogue.CATALOGUE if e.asks in ("prompts", "problems")}
    assert asked == more.SHOWN | {one.name for one in more.entries()}


def test_the_page_shows_the_entry(entry: Entry, explorer: AppTest, loaded: Any) -> None:
    explorer.session_state["more"] = entry.name
    at = open_page(explorer, "more")
    assert at.title[0].value == "More analyses"
    assert QUESTION in words(at)
    assert at.get("plotly_chart")
    assert "Does not show" in words(at)
    assert "interp.behaviour.accuracy" in at.code[0].value  # the call of the Result
    assert any(button.label == "result.json" for button in at.get("download_button"))


def test_a_new_entry_has_a_command(
    entry: Entry,
    folder: Path,
    tmp_path: Path,
    loaded: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(export, "browser", lambda: None)
    assert run(monkeypatch, "digits", "counts", "--help") == 0
    said = capsys.readouterr().out
    assert QUESTION in said
    assert "Whose logit is counted." in said
    flags = ("-m", str(folder), "-t", TASK, "-n", "12", "--seed", "3", "--format", "plain")
    out = tmp_path / "out"
    assert run(monkeypatch, "digits", "counts", *flags, "--target", "true", "-o", str(out)) == 0
    assert Result.load(out) == counts(loaded, TASK, n=12, seed=3, format="plain")
    group: Any = typer.main.get_command(cli.app)
    assert "digits" in group.list_commands(None)
    assert group.get_command(None, "digits").list_commands(None) == ["counts"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("attribute logit-lens", "After which layer"),
        ("probe baseline", "one-hot digits alone"),
        ("behaviour errors", "wrong answers look like"),
    ],
)
def test_the_words_of_the_catalogue_are_commands(
    command: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *command.split(), "--help") == 0
    assert words in capsys.readouterr().out

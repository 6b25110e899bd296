"""The notebook runs from top to bottom; its own assertions compare library and scripted run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pictures are proved by the commands' own tests: a browser for each command takes longer than
    # everything else in the notebook.
    monkeypatch.setenv("BROWSER_PATH", "/nonexistent")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": FOLDER}}).execute()
    shown = [
        data
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        for data in out.get("data", {})
    ]
    assert "application/vnd.plotly.v1+json" in shown


def test_there_is_a_notebook() -> None:
    assert list(FOLDER.glob("*.ipynb"))

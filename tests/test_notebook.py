"""The notebooks run from top to bottom; their own assertions compare library and scripted run.

One kernel runs them all: imports take a third of the time. Names do not pass from one to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def client() -> Iterator[NotebookClient]:
    """A client with a kernel that outlives a notebook."""
    empty = nbformat.v4.new_notebook()
    found = NotebookClient(empty, timeout=240, resources={"metadata": {"path": FOLDER}})
    with pytest.MonkeyPatch.context() as patch:
        # Pictures are proved by the commands' own tests: a browser for each command takes longer
        # than everything else in the notebook.
        patch.setenv("BROWSER_PATH", "/nonexistent")
        with found.setup_kernel():
            yield found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, client: NotebookClient) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    client.nb = notebook
    client.execute(cleanup_kc=False)
    shown = [
        data
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        for data in out.get("data", {})
    ]
    assert "application/vnd.plotly.v1+json" in shown


def test_there_is_a_notebook() -> None:
    assert PATHS

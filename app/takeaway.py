"""Downloads of a Result: the figure, the table, result.json and the call.

Command line and explorer both use this module, so they give the same files.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from interp.results.result import Result


def figure(result: Result, kind: Literal["html", "png", "svg"], name: str | None = None) -> bytes:
    """The figure, or the one of this name, as a file.

    Raises:
        BrowserError: for a picture without a browser, or where it fails.
    """
    from interp.figures.export import page, pictures

    drawn = result.figure(name)
    return page(drawn) if kind == "html" else pictures(drawn, [kind])[kind]


def table(result: Result) -> bytes:
    """The tidy table as CSV."""
    return str(result.frame.to_csv(index=False)).encode()


def summary(result: Result) -> bytes:
    """result.json, as `Result.save` writes it."""
    with TemporaryDirectory() as folder:
        return (result.save(Path(folder) / "result") / "result.json").read_bytes()


def save(result: Result, folder: Path) -> tuple[str, ...]:
    """Write all files to `folder`; return one line for each file that could not be made.

    result.json, table.parquet and data/ (`Result.load` reads them back), table.csv, figure.html,
    and figure.png and figure.svg where a browser is found.

    Raises:
        StorageError: where the folder cannot be written; nothing half-written is left.
    """
    from interp.figures.export import write_figure
    from interp.results.atomic import write_atomic

    result.save(folder)
    write_atomic(folder / "table.csv", table(result))
    return write_figure(result, folder).missing

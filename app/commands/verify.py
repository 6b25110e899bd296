"""``arithmoscope verify``: does every number of a report still hold?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Argument, Exit, Option

from app.commands.options import Device
from app.commands.report import Only
from app.commands.screen import screen
from app.commands.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

_MOST = 20  # rows shown of an analysis
_STYLES = {"yes": "green", "no": "bold red", "could not be run": "yellow"}


def verify(
    report: Annotated[Path, Argument(help="An HTML file of arithmoscope report.")],
    model: Annotated[
        str | None,
        Option("--model", "-m", help="The report's model, if it is not one that is shipped."),
    ] = None,
    only: Only = None,
    device: Device = "cpu",
    table: Annotated[
        Path | None, Option("--table", help="CSV file for all rows; long ones are cut here.")
    ] = None,
) -> None:
    """Run the calls of a report again. Exit code 1 if a number moved or could not be run again."""
    with Watch(f"reading {report}") as watch:
        import interp

        given = None if model is None else interp.load(model, device=device)
        found = interp.verify(
            report,
            given,
            only=only or (),
            on_analysis=watch.describe,
            cancel=watch.cancel,
            progress=watch.progress,
        )
    console = screen()
    console.print(_table(found.frame))
    console.print(found.conclusion())
    if table is not None:
        from interp.results.atomic import write_atomic

        write_atomic(table, found.frame.to_csv(index=False).encode())
    if not found.holds:
        raise Exit(1)


def _table(frame: pd.DataFrame) -> Table:
    shown = Table()
    shown.add_column("analysis", no_wrap=True)
    for name in ("number", "reported", "now", "holds?"):
        shown.add_column(name, overflow="fold")  # a number that is cut is another number
    for name, rows in frame.groupby("analysis", sort=False):
        for row in rows.head(_MOST).itertuples(index=False):
            cells = [Text(_short(value)) for value in row[:4]]
            shown.add_row(*cells, Text(row.holds, style=_STYLES[row.holds]))
        if len(rows) > _MOST:
            shown.add_row(str(name), f"… {len(rows) - _MOST:,} more: --table FILE", "", "", "")
    return shown


def _short(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 120 else f"{text[:119]}…"

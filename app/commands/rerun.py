"""``arithmoscope rerun``: published numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich import box
from rich.table import Table
from rich.text import Text
from typer import Exit, Option

from app.commands.options import Seed
from app.commands.screen import WIDE, screen
from app.commands.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

_STYLES = {"holds": "green", "differs": "bold red", "open": "yellow", "not run": "dim"}


def rerun(
    only: Annotated[
        list[str] | None,
        Option("--only", help="A paper (bai, 2510.00184) or a row (bai-icot-c2); repeatable."),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            help="Ask these rows of your own weights (a name, folder, .gguf file or Hub id), or of "
            "a file of published answers. Goes with --only.",
        ),
    ] = None,
    quick: Annotated[
        bool, Option("--quick", help="Leave out what asks a language model: under ten minutes.")
    ] = False,
    seed: Seed = 0,
    keep: Annotated[
        Path | None,
        Option("--keep", help="Folder of finished calls; the same command goes on from them."),
    ] = None,
    out: Annotated[
        Path | None, Option("--out", "-o", help="JSON file for all columns, calls included.")
    ] = None,
) -> None:
    """Every published number beside ours, with a verdict by the row's rule.

    Exit code 1 if a verdict is another than the recorded one, or a row fails.
    """
    with Watch("published numbers") as watch:
        import interp

        found = interp.rerun(
            only or (),
            model=model,
            quick=quick,
            seed=seed,
            keep=keep,
            on_row=watch.describe,
            cancel=watch.cancel,
            progress=watch.progress,
        )
    console = screen()
    console.print(_table(found.frame, wide=console.width >= WIDE))
    for row in found.frame[found.frame["verdict"] == "not run"].itertuples():
        console.print(Text(f"{row.key}: {row.reason}", style="dim"))
    for row in found.changed.itertuples():
        text = f"{row.key}: recorded as {row.recorded!r}, now {row.verdict!r} ({row.rule})"
        console.print(Text(text, style="bold red"))
    console.print(found.conclusion())
    if out is not None:
        console.print(f"Saved in {found.save(out)}", markup=False)
    if not found.holds:
        raise Exit(1)


def _table(frame: pd.DataFrame, *, wide: bool) -> Table:
    """The rows that have a verdict; on a narrow terminal without unit, n and model, so that no
    number is cut."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("row", "published", "ours", "95 %", *(("n", "model") if wide else ()), "verdict"):
        shown.add_column(name, no_wrap=name in ("row", "verdict"), overflow="fold")
    for row in frame[frame["verdict"] != "not run"].itertuples():
        bounds = "" if row.low == row.high else f"{_short(row.low)} – {_short(row.high)}"
        unit = f" {row.unit}" if wide else ""
        cells = [f"{_short(row.published)}{unit}", _short(row.ours), bounds]
        cells += [f"{row.n:,.0f}", row.model or "–"] if wide else []
        shown.add_row(row.key, *cells, Text(row.verdict, style=_STYLES[row.verdict]))
    return shown


def _short(value: Any) -> str:
    return f"{value:.4g}"

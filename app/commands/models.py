"""``arithmoscope models``: list the models that can be loaded by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.table import Table

from app.commands.options import Out
from app.commands.screen import WIDE, screen
from app.commands.watch import Watch

if TYPE_CHECKING:
    import pandas as pd


def models(out: Out = None) -> None:
    """List the shipped models, with size, task, accuracy and, where it fits, the weight hash."""
    with Watch("reading the cards"):
        import interp

        frame = interp.list_models()
    console = screen()
    console.print(as_table(_narrow(frame) if console.width < WIDE else frame))
    if out is not None:
        from interp.results.atomic import write_atomic

        write_atomic(out / "table.csv", str(frame.to_csv(index=False)).encode())


def _narrow(frame: pd.DataFrame) -> pd.DataFrame:
    """What tells models apart, so that no number is cut; `--out` has it all."""
    return frame[["name", "task", "format", "parameters", "accuracy"]]


def as_table(frame: pd.DataFrame) -> Table:
    """Format a DataFrame for a terminal: numbers right-aligned, unknown values blank, the first
    column (row names) untruncated."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, (name, dtype) in enumerate(frame.dtypes.items()):
        right = getattr(dtype, "kind", "O") in "iuf"
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(str(name).replace("_", " "), justify=justify, no_wrap=at == 0 or right)
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)

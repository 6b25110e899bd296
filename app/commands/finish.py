"""Final output of a command: headlines on the screen, all files in the `--out` folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from app.commands.screen import screen

if TYPE_CHECKING:
    from interp.results.result import Result


def finish(result: Result, out: Path | None) -> None:
    """Print caption, verdict and headlines; save the Result and its figure if `out` is given.

    Raises:
        StorageError: where `out` cannot be written.
    """
    from interp.results.display import number

    console = screen()
    console.print(escape(result.caption), style="bold")
    if result.verdict:
        console.print(escape(result.verdict))
    width = max(map(len, result.metrics), default=0)
    for name, value in result.metrics.items():
        console.print(escape(f"  {name:<{width}}  {number(value)}"))
    if result.notes:
        console.print(f"[dim]Does not show {escape('; nor '.join(result.notes))}.[/dim]")
    if out is None:
        return
    from app import takeaway

    for missing in takeaway.save(result, out):
        console.print(f"[yellow]{escape(missing)}[/yellow]")
    console.print(f"Saved in {escape(str(out))}")

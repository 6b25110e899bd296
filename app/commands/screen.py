"""The console of a command's output."""

from __future__ import annotations

import os

from rich.console import Console

WIDE = 120  # columns, from which a table shows everything
_FILE = 160


def screen() -> Console:
    """A terminal as wide as it is; a file or a pipe, which has no width, wide enough that no number
    is cut. `COLUMNS` overrules both."""
    console = Console(highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _FILE
    return console

"""The ``arithmoscope`` command: assembles the commands and turns errors into one clear line.

Exit codes: 0 done; 1 done in part (`report`), or with numbers that moved (`verify`, `rerun`); 2 bad
input, with the remedy on standard error; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys

import typer

from app.commands import (
    ablate,
    agree,
    behaviour,
    convert,
    dynamics,
    explore,
    models,
    probe,
    report,
    rerun,
    series,
    train,
    verify,
)
from app.commands.generated import Commands
from interp.errors import ArithmoscopeError, Cancelled

app = typer.Typer(
    cls=Commands,
    name="arithmoscope",
    help="A microscope for arithmetic in transformers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    explore,
    models,
    convert,
    train,
    dynamics,
    behaviour,
    ablate,
    probe,
    agree,
    series,
    report,
    verify,
    rerun,
):
    app.command()(getattr(command, command.__name__.rpartition(".")[2]))


def main() -> None:
    """Run the command line; a project error prints one line with its remedy, and no traceback."""
    try:
        app()
    except ArithmoscopeError as error:
        print(f"arithmoscope: {error}", file=sys.stderr)
        sys.exit(130 if isinstance(error, Cancelled) else 2)


if __name__ == "__main__":
    main()

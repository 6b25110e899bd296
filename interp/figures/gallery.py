"""Every figure of a Result: the main one, and the further ones by name."""

from __future__ import annotations

import re
from pathlib import Path

import plotly.graph_objects as go

from interp.figures.export import BrowserError, Export, every_picture
from interp.figures.registry import MAIN, closer, draw
from interp.results.atomic import write_atomic
from interp.results.result import Result


def gallery(result: Result) -> dict[str, go.Figure]:
    """The figures of a Result by file name, "figure" first.

    Raises:
        InputError: if its type has no figure.
    """
    return {MAIN: draw(result)} | dict(closer(result))


def write_closer(result: Result, folder: str | Path) -> Export:
    """Write the further figures of a Result to `folder`, as PNG and SVG.

    As `write_figure`, it never fails for want of a browser.

    Raises:
        StorageError: where the folder cannot be written.
    """
    figures = closer(result)
    if not figures:
        return Export((), ())
    try:
        drawn = every_picture(figures)
    except BrowserError as error:
        return Export((), (str(error),))
    files = [write_atomic(Path(folder) / name, content) for name, content in drawn.items()]
    return Export(tuple(files), ())


def file_name(*words: object) -> str:
    """Words as a file name: `("layers", "product[0,1]")` gives `layers-product-0-1`."""
    return "-".join(re.sub(r"[^\w.]+", "-", str(word)).strip("-") for word in words)

"""Every figure of a Result: the one that `Result.figure()` gives, and those that look closer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import plotly.graph_objects as go

from interp.figures.export import BrowserError, Export, every_picture
from interp.figures.registry import draw
from interp.results import Result, write_atomic

R = TypeVar("R", bound=Result)
Figures = Mapping[str, go.Figure]
_CLOSER: dict[type[Result], Callable[[Any], Figures]] = {}


def shows(kind: type[R]) -> Callable[[Callable[[R], Figures]], Callable[[R], Figures]]:
    """Decorator: the function draws what a gallery of this type has beyond its main figure."""

    def register(function: Callable[[R], Figures]) -> Callable[[R], Figures]:
        _CLOSER[kind] = function
        return function

    return register


def gallery(result: Result) -> dict[str, go.Figure]:
    """The figures of a Result by file name, "figure" first.

    Raises:
        InputError: if no renderer is registered for its type.
    """
    figures = {"figure": draw(result)}
    for base in type(result).__mro__:
        if base in _CLOSER:
            return figures | dict(_CLOSER[base](result))
    return figures


def write_closer(result: Result, folder: str | Path) -> Export:
    """Write what a gallery has beyond the main figure to `folder`, as PNG and SVG.

    As `write_figure`, it never fails for want of a browser.

    Raises:
        StorageError: where the folder cannot be written.
    """
    figures = gallery(result)
    del figures["figure"]
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

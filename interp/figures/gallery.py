"""Every figure of a Result: the one that `Result.figure()` gives, and those that look closer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import plotly.graph_objects as go

from interp.figures.registry import draw
from interp.results import Result

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


def file_name(*words: object) -> str:
    """Words as a file name: `("layers", "product[0,1]")` gives `layers-product-0-1`."""
    return "-".join(re.sub(r"[^\w.]+", "-", str(word)).strip("-") for word in words)

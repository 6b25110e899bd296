"""Registry of renderers, the functions that draw each type of Result; filled by decorators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import plotly.graph_objects as go

from interp.errors import InputError
from interp.results import kinds
from interp.results.result import Result

R = TypeVar("R", bound=Result)
Figures = Mapping[str, go.Figure]
MAIN = "figure"

_RENDERERS: dict[type[Result], Callable[[Any], go.Figure]] = {}
_CLOSER: dict[type[Result], Callable[[Any], Figures]] = {}


def renders(kind: type[R]) -> Callable[[Callable[[R], go.Figure]], Callable[[R], go.Figure]]:
    """Decorator that registers the main figure of a Result type and its subclasses."""

    def register(function: Callable[[R], go.Figure]) -> Callable[[R], go.Figure]:
        _RENDERERS[kind] = function
        return function

    return register


def shows(kind: type[R]) -> Callable[[Callable[[R], Figures]], Callable[[R], Figures]]:
    """Decorator that registers the other figures of a Result type, by name."""

    def register(function: Callable[[R], Figures]) -> Callable[[R], Figures]:
        _CLOSER[kind] = function
        return function

    return register


def has_renderer(kind: type[Result]) -> bool:
    """Whether a renderer is registered for this type."""
    kinds.import_figures(kind.analysis)
    return any(base in _RENDERERS for base in kind.__mro__)


def _of_type(result: Result, known: Mapping[type[Result], Callable[[Any], Any]]) -> Any:
    """The function registered for a Result's type or its nearest base; None if there is none."""
    kinds.import_figures(getattr(result, "analysis", ""))
    return next((known[base] for base in type(result).__mro__ if base in known), None)


def draw(result: Result, name: str | None = None) -> go.Figure:
    """Draw the main figure of a Result, or the one called `name`.

    Raises:
        InputError: if its type has no figure, or none of that name.
    """
    if name in (None, MAIN):
        function = _of_type(result, _RENDERERS)
        if function is not None:
            figure: go.Figure = function(result)
            return figure
        raise InputError(
            f"no figure is known for a {type(result).__name__}: look at its .frame, or register a "
            "renderer with interp.figures.renders"
        )
    further = closer(result)
    if name not in further:
        there = ", ".join((MAIN, *further))
        raise InputError(f"a {type(result).__name__} has no figure {name!r}: choose {there}")
    return further[name]


def closer(result: Result) -> Figures:
    """All figures but the main one, by name; may be empty."""
    function = _of_type(result, _CLOSER)
    return {} if function is None else function(result)


def gallery(result: Result) -> dict[str, go.Figure]:
    """All figures of a Result by name, the main one first as "figure".

    Raises:
        InputError: if its type has no figure.
    """
    return {MAIN: draw(result), **closer(result)}


kinds.draw_by(draw, has_renderer)

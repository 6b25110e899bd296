"""Registry of the modules that define and draw each kind of Result; the catalogue fills it.

`analysis` in a saved result.json names the kind. Modules are imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from interp import faces


class Kind(NamedTuple):
    """A Result type, "module:Class", and the module that draws it ("" for none)."""

    result: str
    figures: str


class Drawing(NamedTuple):
    """Functions that draw a Result (or its named extra figure) and say whether a type is drawn."""

    draw: Callable[[Any, str | None], Any]
    draws: Callable[[type], bool]


_KINDS: dict[str, Kind] = {}
_DRAWING: list[Drawing] = []


def register(analysis: str, result: str, figures: str = "") -> None:
    """Register the Result type of an analysis and the module of its figures."""
    _KINDS[analysis] = Kind(result, figures)


def import_result(analysis: str) -> None:
    """Import the module that defines the Result type of `analysis`, if registered."""
    if analysis in _KINDS:
        faces.found(_KINDS[analysis].result.partition(":")[0])


def import_figures(analysis: str) -> None:
    """Import the module that draws `analysis`, if registered."""
    if analysis in _KINDS and _KINDS[analysis].figures:
        faces.found(_KINDS[analysis].figures)


def draw_by(draw: Callable[[Any, str | None], Any], draws: Callable[[type], bool]) -> None:
    """Set the functions that draw Results; the figure registry calls this on import."""
    _DRAWING[:] = [Drawing(draw, draws)]


def drawing(analysis: str) -> Drawing | None:
    """Functions that draw the Results of `analysis`; None if no figures were imported."""
    import_figures(analysis)
    return _DRAWING[0] if _DRAWING else None

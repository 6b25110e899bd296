"""Figures as the pages show them, made once for each Result and theme.

Making a Plotly figure takes longer than any other step of drawing a cached page, so figures are
kept for as long as a few dozen others have not taken their place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.cells import clickable, embedded
from interp.figures.registry import closer
from interp.figures.theme import caption_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from interp.figures.registry import Figures
    from interp.results.result import Result

KEPT = 48

_kept: OrderedDict[tuple[int, Hashable], tuple[object, Any]] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class Drawing:
    """A figure for a page, its caption and the question in its title."""

    figure: Figure
    caption: str
    title: str


def main(result: Result, name: str | None = None) -> Drawing:
    """The main figure of a Result, or the one of this name, with cells that can be clicked."""
    return of(result, name, lambda: result.figure(name), clicks=True)


def of(
    source: object, key: Hashable, make: Callable[[], Figure], *, clicks: bool = False
) -> Drawing:
    """The figure that `make` draws from `source`; `key` tells its figures apart."""
    in_dark = dark()

    def drawn() -> Drawing:
        made = make()
        shown = embedded(made, dark=in_dark)
        title = str(made.layout.title.text or "")
        return Drawing(clickable(shown) if clicks else shown, caption_of(made), title)

    drawing: Drawing = _once(source, (key, in_dark), drawn)
    return drawing


def further(result: Result) -> Figures:
    """The other figures of a Result, by name."""
    figures: Figures = _once(result, "further", lambda: closer(result))
    return figures


def _once(source: object, key: Hashable, make: Callable[[], Any]) -> Any:
    place = (id(source), key)
    with _lock:
        if place in _kept:
            _kept.move_to_end(place)
            return _kept[place][1]
    made = make()
    with _lock:
        _kept[place] = (source, made)  # the source too, or another object could have its id
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def dark() -> bool:
    """Whether the page is shown in its dark theme."""
    theme: Any = st.context.theme
    return bool(theme.type == "dark")

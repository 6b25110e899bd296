"""Page components shared by all pages of the explorer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import takeaway
from app.cells import caption, clickable, embedded
from app.plain import plain
from interp.figures.export import NO_BROWSER, browser

if TYPE_CHECKING:
    from interp.results.result import Result

CHART = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}


def heading(title: str, asks: str) -> None:
    """Show the page's title and its question."""
    st.title(title, anchor=False)
    st.markdown(f"<p style='font-size:1.1rem;margin-top:-.6rem'>{asks}</p>", unsafe_allow_html=True)


def chart(result: Result, key: str, name: str | None = None) -> tuple[str, ...] | None:
    """Draw a Result, or its figure of this name; return the labels of the cell clicked last, row
    first."""
    event: Any = st.plotly_chart(
        clickable(embedded(result.figure(name))),
        theme=None,
        key=key,
        on_select="rerun",
        selection_mode="points",
        config=CHART,
    )
    points = event.selection.points if event else []
    chosen = [point["customdata"] for point in points if point.get("customdata")]
    return tuple(str(part) for part in chosen[-1]) if chosen else None


def below(result: Result, *, drawn: bool = True, name: str | None = None) -> None:
    """Show verdict, caption and limits ("Does not show") under a figure."""
    if result.verdict:
        st.markdown(f"**{plain(result.verdict)}**")
    st.caption(plain(caption(result.figure(name)) if drawn else result.caption))
    if result.notes:
        limits(result)


def limits(result: Result) -> None:
    """Show what the numbers do not show."""
    st.caption(f"**Does not show** {'; nor '.join(result.notes)}.")


def take_away(
    result: Result, *, drawn: bool = True, name: str | None = None, key: str = ""
) -> None:
    """Show the download drawer: figure in three formats, table, result.json and the call. `key`
    sets apart two drawers of one kind of Result on a page."""
    html = ("figure.html", "HTML", partial(takeaway.figure, result, "html", name))
    files: list[tuple[str, str, Callable[[], bytes]]] = [
        *([html] if drawn else []),
        ("table.csv", "Table", partial(takeaway.table, result)),
        ("result.json", "result.json", partial(takeaway.summary, result)),
    ]
    with st.expander("Take it away", icon=":material/download:"):
        if drawn and browser() is None:
            st.caption(f"There is {NO_BROWSER}.")
        elif drawn:
            files = [
                ("figure.png", "PNG", partial(takeaway.figure, result, "png", name)),
                ("figure.svg", "SVG", partial(takeaway.figure, result, "svg", name)),
                *files,
            ]
        for column, (file, label, make) in zip(st.columns(len(files)), files, strict=True):
            column.download_button(
                label,
                data=make,
                file_name=f"{result.analysis}-{file}",
                key=f"{key or result.analysis} {file}",
                on_click="ignore",
                width="stretch",
            )
        st.code(result.code, language="python")


def problem(error: Exception) -> None:
    """Show an error; the message of a project error holds cause and remedy."""
    st.warning(plain(str(error)), icon=":material/report:")

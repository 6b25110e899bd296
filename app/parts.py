"""Page components shared by all pages of the explorer."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import drawings, link, takeaway
from app.plain import plain
from interp.figures.export import NO_BROWSER, browser

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from interp.results.result import Result

CHART = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}
HEAD = "place of the heading"
SLOT = "place of the verdict"  # under the page's question, until a figure has filled it


def begin(head: st.delta_generator.DeltaGenerator) -> None:
    """Where the page that is about to run shows its heading."""
    st.session_state[HEAD] = head


def heading(title: str, asks: str) -> None:
    """Show the page's title and its question, with room for the answer under it."""
    with st.session_state.pop(HEAD, None) or st.container():
        st.title(title, anchor=False)
        question = f"<p style='font-size:1.1rem;margin-top:-.6rem'>{asks}</p>"
        st.markdown(question, unsafe_allow_html=True)
        st.session_state[SLOT] = st.empty()


def chart(result: Result, key: str, name: str | None = None) -> tuple[str, ...] | None:
    """Draw a Result, or its figure of this name; return the labels of the cell clicked last, row
    first. The verdict of a page's first Result stands under the page's question."""
    slot = st.session_state.pop(SLOT, None)
    if result.verdict:
        (slot or st).markdown(f"**{plain(result.verdict)}**")
    drawing = drawings.main(result, name)
    event: Any = st.plotly_chart(
        drawing.figure,
        theme=None,
        key=key,
        on_select="rerun",
        selection_mode="points",
        config=CHART,
        alt=drawing.title,
    )
    points = event.selection.points if event else []
    chosen = [point["customdata"] for point in points if point.get("customdata")]
    return tuple(str(part) for part in chosen[-1]) if chosen else None


def pick(
    rows: tuple[str, str, Sequence[str]],
    columns: tuple[str, str, Sequence[str]],
    clicked: tuple[str, ...] | None,
    first: tuple[str, str],
) -> tuple[str, str]:
    """Two drop-down lists for the row and column of a cell: a click sets them, and so does the
    keyboard. Each is its name in the address, its label and its options."""
    before = f"{rows[0]} {columns[0]} clicked"
    if clicked is not None and clicked != st.session_state.get(before):
        for value, (name, _, options) in zip(clicked, (rows, columns), strict=False):
            if value in options:
                st.session_state[name] = value
    st.session_state[before] = clicked  # it stays selected over the following reruns
    row, column = (
        link.select(label, options, key=name, first=start, place=place)
        for place, (name, label, options), start in zip(
            st.columns(2), (rows, columns), first, strict=True
        )
    )
    return row, column


def picture(source: object, key: str, name: Hashable, make: Callable[[], Figure]) -> None:
    """Show a further figure, made from `source` and told apart by `name`, and its caption."""
    drawing = drawings.of(source, name, make)
    st.plotly_chart(drawing.figure, theme=None, key=key, config=CHART, alt=drawing.title)
    st.caption(plain(drawing.caption))


def below(result: Result, *, drawn: bool = True, name: str | None = None) -> None:
    """Show caption and limits ("Does not show") of a figure."""
    st.caption(plain(drawings.main(result, name).caption if drawn else result.caption))
    limits(result)


def limits(result: Result) -> None:
    """Show what the numbers do not show: the first in full, the others folded."""
    if not result.notes:
        return
    first, *others = result.notes
    st.caption(f"**Does not show** {first}.")
    if others:
        more = "".join(f"<li>{escape(note)}.</li>" for note in others)
        count = "one thing more" if len(others) == 1 else f"{len(others)} things more"
        st.html(f"<details class='limits'><summary>Nor {count}</summary><ul>{more}</ul></details>")


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
            st.caption("PNG and SVG are drawn when they are asked for, which takes a few seconds.")
            files = [
                ("figure.png", "PNG", partial(takeaway.figure, result, "png", name)),
                ("figure.svg", "SVG", partial(takeaway.figure, result, "svg", name)),
                *files,
            ]
        for column, (file, label, make) in zip(st.columns(len(files)), files, strict=True):
            column.download_button(
                label,
                data=make,
                file_name=f"{_file_stem(result, name)}-{file}",
                key=f"{key or result.analysis} {file}",
                on_click="ignore",
                width="stretch",
            )
        st.code(result.code, language="python", wrap_lines=True)


def _file_stem(result: Result, name: str | None) -> str:
    """Analysis, figure, model, task and seed, in letters that every file system takes."""
    told = [result.analysis, name, result.model and result.model.name, result.task]
    told += [] if result.seed is None else [f"seed{result.seed}"]
    return re.sub(r"[^\w.+-]+", "-", "-".join(str(one) for one in told if one)).strip("-")


def problem(error: Exception) -> None:
    """Show an error, whose message holds cause and remedy, and what one click can do about it."""
    st.warning(plain(str(error)), icon=":material/report:")
    if st.session_state.get("alone"):
        st.button("Show the whole sample", on_click=_set, args=("alone", False))
    if st.session_state.get("n") is not None:
        st.button("As many problems as the analysis takes", on_click=_set, args=("n", None))
    kept = [key for key in st.query_params if key not in ("model", "path", "task", "problem")]
    if kept:
        st.button("This page as it opens by itself", on_click=_reset, args=(tuple(kept),))


def _set(key: str, value: Any) -> None:
    st.session_state[key] = value


def _reset(keys: tuple[str, ...]) -> None:
    """Forget what was chosen, here and in the address."""
    for key in keys:
        st.session_state.pop(key, None)
        st.query_params.pop(key, None)

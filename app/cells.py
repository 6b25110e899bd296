"""Adapt a Result's figure to a page: clickable cells, and no text inside the figure.

A saved figure contains its question, caption and caveat; on a page they are text around it.
Streamlit reports no clicks on heat maps, so each cell is covered by an open square, invisible until
selected.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from interp.figures.theme import GREY, INK, PALE, is_caption

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Heatmap

TYPEFACE = "'Source Sans', 'Source Sans 3', 'Source Sans Pro', sans-serif"
CHOSEN = "#E69F00"
CLEAR = "rgba(0,0,0,0)"
ON_DARK = {INK: "#e8eaed", "#000000": "#e8eaed", "black": "#e8eaed", GREY: "#a9b1ba",
           PALE: "#3b424b"}  # fmt: skip
REACH = 80  # pixels around a cell's centre in which a click selects it
HEAD, LEGEND, FOOT = 36, 30, 56  # pixels: subplot titles, a legend above them, axis titles below


def embedded(figure: Figure, *, dark: bool = False) -> Figure:
    """Copy of the figure without title and text below, in the page's typeface and theme."""
    figure = type(figure)(figure)
    margin = figure.layout.margin
    plot = figure.layout.height - margin.t - margin.b
    head = HEAD + LEGEND * (figure.layout.legend.orientation == "h")
    height = plot + head + FOOT
    figure.layout.annotations = [note for note in figure.layout.annotations if not is_caption(note)]
    figure.layout.width = None
    figure.update_layout(
        title={"text": ""},
        height=height,
        margin={"t": head, "b": FOOT},
        legend={"y": 1 - 2 / height},
        font={"family": TYPEFACE, "size": 13},
        hoverlabel={"font": {"family": TYPEFACE}},
    )
    return in_dark(figure) if dark else figure


def in_dark(figure: Figure) -> Figure:
    """The figure on a dark page: black and grey lines and words become light ones. Words on a
    coloured ground keep their colour."""
    spec = figure.to_plotly_json()
    light = type(figure)(_swapped(spec), skip_invalid=False)
    light.update_layout(paper_bgcolor=CLEAR, plot_bgcolor=CLEAR)
    return light


def _swapped(part: Any, name: str = "") -> Any:
    if isinstance(part, dict) and {"bdata", "dtype"} <= part.keys():
        return _decoded(part)
    if isinstance(part, dict):
        if name == "textfont" or "bgcolor" in part:  # on cells, or on a ground of its own
            return part
        return {key: _swapped(value, key) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_swapped(one, name) for one in part]
    return ON_DARK.get(part, part) if isinstance(part, str) else part


def _decoded(part: dict[str, str]) -> npt.NDArray[Any]:
    """An array as Plotly writes it."""
    flat = np.frombuffer(base64.b64decode(part["bdata"]), dtype=part["dtype"])
    return flat.reshape([int(size) for size in str(part.get("shape", len(flat))).split(",")])


def clickable(figure: Figure) -> Figure:
    """Add squares over the cells of every heat map, with customdata (row, column)."""
    for trace in [trace for trace in figure.data if trace.type == "heatmap"]:
        figure.add_trace(_squares(trace))
        _close(figure, trace.xaxis or "x", len(trace.x))
        _close(figure, trace.yaxis or "y", len(trace.y))
    figure.update_layout(hoverdistance=REACH, clickmode="event+select", dragmode=False)
    return figure


def _close(figure: Figure, name: str, count: int) -> None:
    """End a category axis at its cells, where the squares would make room for themselves."""
    axis = figure.layout[f"{name[0]}axis{name[1:]}"]
    if axis.type == "category" and axis.range is None:
        ends = (-0.5, count - 0.5)
        axis.update(range=ends[::-1] if axis.autorange == "reversed" else ends, autorange=False)


def _squares(trace: Heatmap) -> dict[str, Any]:
    rows, columns = list(trace.y), list(trace.x)
    if trace.customdata is not None:
        hover = [str(text) for text in np.asarray(trace.customdata, dtype=object).ravel()]
    else:
        shown = np.asarray(trace.z, dtype=float)
        hover = [
            f"{r}, {c}: {shown[i, j]:.3g}"
            for i, r in enumerate(rows)
            for j, c in enumerate(columns)
        ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [column for _ in rows for column in columns],
        "y": [row for row in rows for _ in columns],
        "xaxis": trace.xaxis,
        "yaxis": trace.yaxis,
        "customdata": [(row, column) for row in rows for column in columns],
        "text": hover,
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        "marker": {
            "symbol": "square-open",
            "size": 26,
            "opacity": 0,
            "color": CHOSEN,
            "line": {"width": 3},
        },
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 0}},
    }

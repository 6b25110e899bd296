"""Heat maps with labelled cells, shared by all figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.theme import ACCENT, GREY, INK, error_bars, signed_range

_MAX_LABELLED = 160  # cells; above it the numbers are illegible
_MAX_TICKS = 16
_ACROSS = 3  # panels in a row

Floats = npt.NDArray[np.float64]


def heatmap(
    values: npt.NDArray[np.float64],
    x: Sequence[str],
    y: Sequence[str],
    *,
    scale: dict[str, object],
    bar: dict[str, Any],
    text: npt.NDArray[np.object_] | None = None,
    hover: npt.NDArray[np.object_] | None = None,
) -> go.Heatmap:
    """Heat map with a number in each cell if there is room, and details on hover."""
    labelled = text is not None and values.size <= _MAX_LABELLED
    return go.Heatmap(
        z=values,
        x=list(x),
        y=list(y),
        text=text if labelled else None,
        texttemplate="%{text}" if labelled else None,
        textfont={"size": 11},  # otherwise the markup counts as text, and shrinks it
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>" if hover is not None else None,
        xgap=1,
        ygap=1,
        colorbar={"thickness": 12, "outlinewidth": 0, "ticks": "outside", **bar},
        **scale,
    )


def under(text: str) -> str:
    """A second line in a cell, smaller but legible in print."""
    return f"<br><span style='font-size:9.5px'>{text}</span>"


def count_axis(labels: Sequence[str], most: int = _MAX_TICKS) -> dict[str, Any]:
    """Category axis with at most `most` labels."""
    return {
        "type": "category",
        "range": [-0.5, len(labels) - 0.5],
        "tickvals": list(labels[:: -(-len(labels) // most)]),
        "tickangle": 0,
    }


def most_first(labels: Sequence[str]) -> list[str]:
    """Sort labels: a sign first, then the numbers in order, most significant digit first."""
    signs = [label for label in labels if label == "sign"]
    digits = [label for label in labels if label != "sign"]
    names = dict.fromkeys(label[0] for label in digits)
    return signs + [d for name in names for d in reversed([x for x in digits if x[0] == name])]


def panels(titles: Sequence[str]) -> tuple[go.Figure, int, int]:
    """A figure with a panel for each title, on shared axes; its rows, and the panels in a row."""
    across = min(_ACROSS, len(titles))
    down = -(-len(titles) // across)
    figure = make_subplots(
        rows=down,
        cols=across,
        shared_yaxes=True,
        shared_xaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.09 if down > 1 else 0.0,
        subplot_titles=titles if len(titles) > 1 else None,
    )
    for col in range(len(titles) % across or across, across):  # no panel below these
        figure.update_xaxes(showticklabels=True, row=down - 1, col=col + 1)
    return figure, down, across


def outline(figure: go.Figure, cells: npt.NDArray[np.bool_], *, row: int = 1, col: int = 1) -> None:
    """Frame the cells of a heat map that are True; [rows, columns] in the order they are drawn."""
    panel = figure.get_subplot(row, col)
    style = {
        "type": "rect",
        "line": {"color": INK, "width": 1.5},
        "xref": panel.xaxis.plotly_name.replace("axis", ""),
        "yref": panel.yaxis.plotly_name.replace("axis", ""),
    }
    # On a category axis a shape's coordinates are category indices from 0.
    frames = [
        {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5, **style}
        for y, x in zip(*np.nonzero(cells), strict=True)
    ]
    # Add all at once: Plotly revalidates every shape on each addition.
    figure.update_layout(shapes=[*figure.layout.shapes, *frames])


def signed_text(
    values: npt.NDArray[np.float64], half: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.object_]:
    """Cell texts: the number, with a small ± below if there is an interval; '' if unknown."""
    shown = np.vectorize(_short, otypes=[object])(values)
    return shown if half is None else shown + np.vectorize(_width, otypes=[object])(half)


def _width(half: float) -> str:
    if np.isnan(half):
        return ""
    return under(f"±{_short(half) if half == 0 or half >= 0.005 else '<0.01'}")


def _short(value: float) -> str:
    """Format to two or three digits; a nonzero value too small for them is marked as such."""
    if np.isnan(value):
        return ""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 0.005:
        return "~0"
    text = f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 1 else f"{value:.2f}"
    return text.replace("-", "−")


def by_layer(
    names: Sequence[str], values: npt.NDArray[np.float64]
) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """Columns (heads, then "MLP"), rows (layers) and `values` [nodes, …] of "L0H3" and "L0.mlp"
    laid out there, [layers, heads, …]; NaN where there is no node. Other names are left out."""
    places = {name: _place(name) for name in names}
    known = [place for place in places.values() if place is not None]
    layers = sorted({layer for layer, _ in known})
    heads = sorted({head for _, head in known})
    grid = np.full((len(layers), len(heads), *values.shape[1:]), np.nan)
    for place, value in zip(places.values(), values, strict=True):
        if place is not None:
            grid[layers.index(place[0]), heads.index(place[1])] = value
    columns = ["MLP" if head == _MLP else str(head) for head in heads]
    return columns, [str(layer) for layer in layers], grid


def node_at(layer: str, column: str) -> str:
    """Name of the node in a row and column of `by_layer`: "L0H3", "L0.mlp"."""
    return f"L{layer}.mlp" if column == "MLP" else f"L{layer}H{column}"


def layer_panels(
    names: Sequence[str],
    digits: Sequence[str],
    values: npt.NDArray[np.float64],
    *,
    unit: str,
    found: npt.NDArray[np.bool_] | None = None,
) -> tuple[go.Figure, int]:
    """Heat maps of `values` [nodes, digits] by layer and head, a panel for each answer digit, the
    nodes `found` framed; and the height of the plot."""
    columns, rows, cells = by_layer(names, values)
    framed = None if found is None else by_layer(names, found.astype(float))[2] == 1
    shown = most_first(list(digits))
    figure, down, across = panels(shown)
    for i, digit in enumerate(shown):
        where, row, col = list(digits).index(digit), i // across + 1, i % across + 1
        figure.add_trace(
            heatmap(
                cells[..., where], columns, rows, scale=signed_range(cells),
                bar={"title": {"text": unit, "side": "right"}, "x": 1.01},
            ).update(showscale=i == 0),
            row=row, col=col,
        )  # fmt: skip
        if framed is not None:
            outline(figure, framed[..., where], row=row, col=col)
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    figure.update_yaxes(title="layer", col=1)
    figure.update_xaxes(title="head", row=down)
    figure.update_annotations(font={"size": 13})
    return figure, down * max(180, min(22 * len(rows) + 60, 640))


def by_digit(
    digits: Sequence[str], lines: Mapping[str, tuple[Floats, Floats, Floats]], *, title: str
) -> go.Figure:
    """Values with their intervals by answer digit, most significant first. `lines`: name → value,
    low and high [digits]; the first in the accent colour, its control grey."""
    shown = most_first(list(digits))
    order = [list(digits).index(digit) for digit in shown]
    figure = go.Figure()
    for i, (name, (value, low, high)) in enumerate(lines.items()):
        colour, symbol = (GREY, "diamond-open") if i else (ACCENT, "circle")
        figure.add_scatter(
            x=shown, y=value[order], mode="markers", name=name,
            error_y=error_bars(value[order], low[order], high[order], colour),
            marker={"color": colour, "symbol": symbol, "size": 9},
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(type="category", title="answer digit (index 0 least significant)")
    figure.update_yaxes(title=title)
    return figure


_MLP = 10**6  # its column, behind every head


def _place(name: str) -> tuple[int, int] | None:
    """Layer and column of a head or MLP."""
    found = re.fullmatch(r"L(\d+)(?:H(\d+)|\.mlp)", name)
    if found is None:
        return None
    return int(found[1]), _MLP if found[2] is None else int(found[2])

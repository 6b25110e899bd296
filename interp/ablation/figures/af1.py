"""Figure of the search for the sparsest schedule: its steps, its schedule, and faithfulness."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.figures.masks import add_strip
from interp.ablation.figures.removal import add_removal, constant_line, curve, grid_points
from interp.ablation.figures.rows import basis, percent
from interp.ablation.results.af1 import AllForOne
from interp.ablation.results.evaluate import about_replacement
from interp.figures.matrix import count_axis, heatmap, outline
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, frame, magnitude_range

_HEIGHTS = (56, 250, 250)  # pixels: the strip and two rows of panels
_GAP = 104
_LEGEND = "legend3"  # of the last panel; the strip has its own
_BETWEEN = 0.14
_MAX_TICKS = 12
_NOT_REACHED = "the search did not get here"
_TITLES = (
    "1. Waiting alone",
    "2. Then transfer; framed: the narrowest",
    "3. Then heads cut, least needed first",
    "4. Transfer removed, a layer at a time<br> <br> ",
)


@renders(AllForOne)
def all_for_one(result: AllForOne) -> go.Figure:
    """The schedule found as a strip; below it the steps of the search, and necessity. Without a
    schedule, only the steps that the search took."""
    heights = _HEIGHTS if result.status == "found" else _HEIGHTS[1:2]
    total = sum(heights) + _GAP * (len(heights) - 1)
    figure = (_whole if result.status == "found" else _beginning)(result, heights, total)
    figure.update_annotations(font={"size": 13})
    halves = "1 to 3 on the search half, 4 and the verdict on the test half" * (len(heights) > 1)
    return frame(
        figure,
        title="Where and when is the answer computed?",
        caption=f"{result.caption} · {basis(result)} · {halves or 'on the search half'} · "
        f"dashed: the best constant answer, {percent(result.constant)}; dotted: the target, "
        f"{result.target:.0%} · {about_replacement(result.settings)}",
        notes=result.notes,
        verdict=result.verdict,
        height=total,
    )


def _whole(result: AllForOne, heights: Sequence[int], total: int) -> go.Figure:
    figure = make_subplots(
        rows=3,
        cols=2,
        specs=[[{"colspan": 2}, None], [{}, {}], [{}, {}]],
        row_heights=list(heights),
        vertical_spacing=_GAP / total,
        horizontal_spacing=_BETWEEN,
        subplot_titles=("", *_TITLES),
    )
    add_strip(figure, result.schedule, result.n_layers, row=1, col=1)
    _waits(figure, result, 2)
    _windows(figure, result, 2)
    _pruning(figure, result)
    _removal(figure, result)
    return figure


def _beginning(result: AllForOne, heights: Sequence[int], total: int) -> go.Figure:
    figure = make_subplots(cols=2, horizontal_spacing=_BETWEEN, subplot_titles=_TITLES[:2])
    _waits(figure, result, 1)
    _windows(figure, result, 1)
    return figure


def _waits(figure: go.Figure, result: AllForOne, row: int) -> None:
    points = grid_points(result.waits, "wait")
    if not len(points):
        _say(figure, "<br>".join(textwrap.wrap(result.reason, 52)) or _NOT_REACHED, row, 1)
        return
    figure.add_trace(curve(points, "waiting alone", ACCENT, "square", legend=False), row=row, col=1)
    if result.wait >= 0:
        chosen = points[points["at"] == str(result.wait)]
        figure.add_trace(_chosen(chosen["at"], chosen["faithfulness"]), row=row, col=1)
    _axes(figure, result, row, 1)
    axis = count_axis(result.waits.axis("wait").labels, _MAX_TICKS)
    figure.update_xaxes(**axis, title="layers that wait (count)", row=row, col=1)


def _windows(figure: go.Figure, result: AllForOne, row: int) -> None:
    """Add the windows tried; a frame marks the narrowest that keep the target."""
    tried = np.isfinite(result.windows.values.T)  # [width, start]
    if not tried.any():
        _say(figure, _NOT_REACHED, row, 2)
        return
    starts, widths = (
        [str(label) for label in np.array(result.windows.axis(name).labels)[tried.any(axis)]]
        for name, axis in (("start", 0), ("width", 1))
    )
    values = result.windows.values.T[np.ix_(tried.any(1), tried.any(0))]
    low, high = figure.get_subplot(row, 2).yaxis.domain
    bar = {"x": 1.01, "y": (low + high) / 2, "len": high - low, "tickformat": ".0%"}
    trace = heatmap(values, starts, widths, scale=magnitude_range(values, 1.0), bar=bar)
    figure.add_trace(trace, row=row, col=2)
    keep = values >= result.target
    keep[keep.any(1).argmax() + 1 :] = False
    outline(figure, keep, row=row, col=2)
    figure.update_xaxes(**count_axis(starts, _MAX_TICKS), row=row, col=2)
    figure.update_yaxes(**count_axis(widths, _MAX_TICKS), row=row, col=2)
    figure.update_xaxes(title="first transfer layer (index)", row=row, col=2)
    figure.update_yaxes(title="transfer layers (count)", row=row, col=2)


def _pruning(figure: go.Figure, result: AllForOne) -> None:
    table = result.pruning
    if not len(table):
        _say(figure, _NOT_REACHED, 3, 1)
        return
    figure.add_trace(
        go.Scatter(
            x=table["step"],
            y=table["faithfulness"],
            mode="lines+markers",
            line={"color": ACCENT, "width": 1.5, "shape": "hv"},
            marker={"symbol": ["square"] * (len(table) - 1) + ["x"], "size": 6, "color": ACCENT},
            showlegend=False,
            customdata=table[["layer", "head", "logit_difference"]],
            hovertemplate="cut %{x}: layer %{customdata[0]}, head %{customdata[1]}<br>"
            "faithfulness %{y:.1%}, logit difference %{customdata[2]:.3f}<extra></extra>",
        ),
        row=3,
        col=1,
    )
    _axes(figure, result, 3, 1)
    figure.update_xaxes(title="heads cut (count); ×: the cut refused", row=3, col=1)


def _removal(figure: go.Figure, result: AllForOne) -> None:
    table = result.removal
    if not len(table):
        _say(figure, _NOT_REACHED, 3, 2)
        return
    for where in dict.fromkeys(table["where"]):
        part = table[table["where"] == where]
        single = part[part["layer"] >= 0]
        add_removal(
            figure,
            single.assign(at=single["layer"].astype(str)),
            part[part["layer"] < 0],
            where,
            row=3,
            col=2,
        )
    figure.update_traces(legend=_LEGEND, row=3, col=2)
    panel = figure.get_subplot(3, 2)
    place = {"x": panel.xaxis.domain[0], "xanchor": "left", "y": panel.yaxis.domain[1]}
    figure.update_layout({_LEGEND: {**place, "yanchor": "bottom", "orientation": "h"}})
    _axes(figure, result, 3, 2)
    figure.update_xaxes(title="transfer removed in layer (index)", type="category", row=3, col=2)


def _axes(figure: go.Figure, result: AllForOne, row: int, col: int) -> None:
    """Set the y-axis to shares, and draw the best constant answer and the target as lines."""
    constant_line(figure, result.constant, row=row, col=col)
    line = {"color": INK, "width": 1, "dash": "dot"}
    figure.add_hline(y=result.target, line=line, row=row, col=col)
    figure.update_yaxes(
        title="faithfulness", range=[-0.04, 1.06], tickformat=".0%", row=row, col=col
    )


def _chosen(x: pd.Series[str], y: pd.Series[float]) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"symbol": "square-open", "size": 14, "color": INK, "line": {"width": 2}},
        hoverinfo="skip",
        showlegend=False,
    )


def _say(figure: go.Figure, text: str, row: int, col: int) -> None:
    """Write a sentence in place of a panel."""
    figure.add_annotation(
        text=text,
        x=0.5,
        y=0.5,
        showarrow=False,
        font={"color": GREY},
        row=row,
        col=col,
    )
    figure.update_xaxes(visible=False, range=[0, 1], row=row, col=col)
    figure.update_yaxes(visible=False, range=[0, 1], row=row, col=col)

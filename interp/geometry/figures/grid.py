"""Figures of the operand grids: what does each neuron look for?"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import Figures, renders, shows
from interp.figures.theme import ACCENT, CATEGORIES, GREY, MAGNITUDE, error_bars, frame
from interp.geometry.results.grid import OperandGrids

_COLUMNS = 4


@renders(OperandGrids)
def grid(result: OperandGrids) -> go.Figure:
    """Maps over a × b of the best-matched neurons; without maps, their overlaps."""
    s = result.settings
    where = f"{s['site']}, layer {s['layer']}, {s['role']}"
    if not result.maps.size:
        plot, height = _overlaps(result), 360
    else:
        plot, height = _maps(result), 190 * -(-len(result.maps) // _COLUMNS)
    return frame(
        plot,
        title="What does each neuron look for?",
        caption=f"{result.caption} · {where} · best-matched neurons first",
        notes=result.notes,
        verdict=result.verdict,
        height=height,
    )


@shows(OperandGrids)
def grid_parts(result: OperandGrids) -> Figures:
    """Heuristics by family beside false positives, and the knock-out."""
    plot = make_subplots(
        cols=2, subplot_titles=("neurons by heuristic", "accuracy after knock-out")
    )
    counts = result.units["family"].value_counts()
    plot.add_bar(
        x=list(counts.index), y=counts / len(result.units), marker={"color": ACCENT},
        showlegend=False, row=1, col=1,
    )  # fmt: skip
    plot.add_hline(
        y=float(result.metrics["false_positives"]),
        line={"dash": "dot", "color": GREY},
        row=1,
        col=1,
    )
    table = result.knockout
    if len(table):
        plot.add_bar(
            x=table["arm"], y=table["accuracy"],
            error_y=error_bars(table["accuracy"], table["low"], table["high"]),
            marker={"color": [GREY, CATEGORIES[5], CATEGORIES[1]]}, showlegend=False, row=1, col=2,
        )  # fmt: skip
    plot.update_yaxes(range=[0, 1.05])
    return {
        "knockout": frame(
            plot,
            title="Which heuristics, and are they needed?",
            caption=f"{result.caption} · dotted: share of neurons that match any heuristic of "
            "renamed numbers",
            notes=result.notes,
            height=320,
        )
    }


def _overlaps(result: OperandGrids) -> go.Figure:
    table = result.units.sort_values("overlap", ascending=False)
    plot = go.Figure()
    for column, colour in (("overlap", ACCENT), ("chance", GREY)):
        plot.add_scatter(
            x=list(range(len(table))), y=table[column], mode="markers", name=column,
            marker={"color": colour, "size": 5}, text=table["heuristic"],
            hovertemplate="%{text}: %{y:.2f}<extra></extra>",
        )  # fmt: skip
    plot.update_xaxes(title="neuron, by overlap")
    plot.update_yaxes(title="overlap with its best heuristic", range=[0, 1.02])
    return plot


def _maps(result: OperandGrids) -> go.Figure:
    table = result.units.set_index("unit")
    titles = [f"{unit}: {table.loc[unit, 'heuristic'] or 'none'}" for unit in result.drawn]
    rows = -(-len(titles) // _COLUMNS)
    plot = make_subplots(rows=rows, cols=_COLUMNS, subplot_titles=titles, vertical_spacing=0.09)
    for i, values in enumerate(result.maps):
        plot.add_heatmap(
            z=values, x=result.b, y=result.a, colorscale=MAGNITUDE, showscale=False,
            hovertemplate=f"{result.axes[0]} = %{{y}}, {result.axes[1]} = %{{x}}: %{{z:.3g}}"
            "<extra></extra>",
            row=i // _COLUMNS + 1, col=i % _COLUMNS + 1,
        )  # fmt: skip
    plot.update_annotations(font={"size": 11})
    plot.update_xaxes(title=result.axes[1], row=rows)
    plot.update_yaxes(title=result.axes[0], col=1)
    return plot

"""Figure of faithfulness by layer, where one layer's transfer is removed at a time.

Also the curves shared by the figures of ablation: each with its interval, and the line of the
constant answer.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from interp.ablation.figures.rows import basis, percent
from interp.ablation.results.evaluate import about_replacement
from interp.ablation.results.removal import LayerRemoval
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, CATEGORIES, GREY, error_bars, frame, translucent
from interp.results.grid import Grid

FULL, WITHIN = "full model", "schedule"
_COLOURS = {"full": ACCENT, "schedule": CATEGORIES[1]}
_SYMBOLS = {"full": "square", "schedule": "diamond-open"}
_NAMES = {"full": FULL, "schedule": WITHIN}
ALL = "all"


@renders(LayerRemoval)
def layer_removal(result: LayerRemoval) -> go.Figure:
    """Faithfulness where the last tokens see only themselves and the sink in one layer, or in all
    transfer layers."""
    figure = go.Figure()
    for where, grid in (("full", result.full), ("schedule", result.schedule)):
        points = grid_points(grid, "layer")
        add_removal(figure, points, result.all_removed, where)
    constant_line(figure, result.constant)
    layers = [*result.full.axis("layer").labels, ALL]
    figure.update_xaxes(
        title="layer (index) whose transfer to the last tokens is cut; “all”: every transfer layer "
        "of the schedule at once",
        type="category",
        categoryorder="array",
        categoryarray=layers,
    )
    figure.update_yaxes(title="faithfulness", range=[-0.03, 1.05], tickformat=".0%")
    return frame(
        figure,
        title="In which layers must information move?",
        caption=f"{result.caption} · {basis(result)} · dashed: the best constant answer, "
        f"{percent(result.constant)} · {about_replacement(result.settings)}",
        notes=result.notes,
        verdict=result.verdict,
        height=320,
        legend=True,
    )


def grid_points(grid: Grid, axis: str) -> pd.DataFrame:
    """A one-axis Grid as columns `at` (its labels), `faithfulness`, `low`, `high`, without NaN."""
    nothing = np.full(grid.shape, np.nan)
    table = pd.DataFrame(
        {
            "at": grid.axis(axis).labels,
            "faithfulness": grid.values,
            "low": nothing if grid.low is None else grid.low,
            "high": nothing if grid.high is None else grid.high,
        }
    )
    return table.dropna(subset="faithfulness")


def add_removal(
    figure: go.Figure,
    points: pd.DataFrame,
    all_removed: pd.DataFrame,
    where: str,
    *,
    row: int | None = None,
    col: int | None = None,
) -> None:
    """Add the curve of single layers and, to its right, the point of all layers removed at once."""
    last = all_removed[all_removed["where"] == where].assign(at=ALL)
    for part, legend in ((points, True), (last, False)):
        if len(part):
            trace = curve(part, _NAMES[where], _COLOURS[where], _SYMBOLS[where], legend=legend)
            figure.add_trace(trace, row=row, col=col)


def curve(
    table: pd.DataFrame, name: str, colour: str, symbol: str, *, legend: bool = True
) -> go.Scatter:
    """Trace of `faithfulness` over `at`, with its interval."""
    value = table["faithfulness"]
    opened = symbol.endswith("-open")  # visible around another marker where both agree
    return go.Scatter(
        x=list(table["at"].astype(str)),
        y=value,
        mode="lines+markers" if len(table) > 1 else "markers",
        cliponaxis=False,
        name=name,
        legendgroup=name,
        showlegend=legend,
        line={"color": colour, "width": 1.5, "dash": "dot" if opened else "solid"},
        marker={"symbol": symbol, "size": 11 if opened else 7, "color": colour},
        error_y=error_bars(value, table["low"], table["high"], translucent(colour, 0.7), thin=True),
        customdata=table[["low", "high"]],
        hovertemplate="%{x}: %{y:.1%} [%{customdata[0]:.1%}, %{customdata[1]:.1%}]"
        f"<extra>{name}</extra>",
    )


def constant_line(
    figure: go.Figure, constant: float, *, row: int | None = None, col: int | None = None
) -> None:
    """Add a dashed line at the best constant answer's faithfulness; none for NaN."""
    if np.isnan(constant):
        return
    figure.add_hline(
        y=constant, line={"color": GREY, "width": 1.5, "dash": "dash"}, row=row, col=col
    )

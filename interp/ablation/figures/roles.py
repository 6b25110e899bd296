"""Which answer digits can wait: the wait × transfer grid of each answer token."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.figures.grid import count_axis
from interp.ablation.figures.rows import percent
from interp.ablation.results.grid import AblationGrid
from interp.figures.matrix import heatmap
from interp.figures.registry import shows
from interp.figures.theme import frame, magnitude_range
from interp.results.grid import Grid

_COLUMNS = 3  # panels side by side
_TICKS = 8
_PANEL, _GAP = 190, 66  # pixels


@shows(AblationGrid)
def by_role(result: AblationGrid) -> Mapping[str, go.Figure]:
    """One panel an answer token, in order of print, all on one scale; nothing where there is only
    one token, whose grid the main figure is."""
    grids = result.by_role
    if grids is None or len(grids.axis("role").labels) < 2:
        return {}
    roles = grids.axis("role").labels
    rows = -(-len(roles) // _COLUMNS)
    total = rows * _PANEL + (rows - 1) * _GAP
    figure = make_subplots(
        rows=rows,
        cols=_COLUMNS,
        shared_yaxes=True,
        subplot_titles=[_title(result, role) for role in roles],
        horizontal_spacing=0.05,
        vertical_spacing=_GAP / total if rows > 1 else 0,
    )
    for number, role in enumerate(roles):
        row, col = number // _COLUMNS + 1, number % _COLUMNS + 1
        grid = grids.at(role=role)
        assert isinstance(grid, Grid)
        waits, widths = (grid.axis(name).labels for name in ("wait", "width"))
        trace = heatmap(
            grid.values.T,
            waits,
            widths,
            scale=magnitude_range(grid.values, 1.0),
            bar={"x": 1.01, "tickformat": ".0%"},
        )
        if grid.low is not None and grid.high is not None:
            trace.customdata = np.stack([grid.low.T, grid.high.T], axis=-1)
        trace.hovertemplate = (
            f"{role}: wait %{{x}}, transfer %{{y}}: %{{z:.1%}} "
            "[%{customdata[0]:.1%}, %{customdata[1]:.1%}]<extra></extra>"
        )
        trace.showscale = number == 0
        figure.add_trace(trace, row=row, col=col)
        figure.update_xaxes(**count_axis(waits, _TICKS), title="layers that wait", row=row, col=col)
        figure.update_yaxes(**count_axis(widths, _TICKS), row=row, col=col)
    figure.update_yaxes(title="layers that transfer", col=1)
    figure.update_annotations(font={"size": 13})
    return {
        "by-role": frame(
            figure,
            title="Which answer digits can wait?",
            caption=f"{result.caption} · faithfulness of each answer token where the full model "
            "has that token right · guessed: without the operands, from the true answer before it",
            notes=result.notes,
            height=total,
        )
    }


def _title(result: AblationGrid, role: str) -> str:
    if result.guessed is None:
        return role
    return f"{role} (guessed: {percent(float(result.guessed.at(role=role)))})"  # type: ignore[arg-type]

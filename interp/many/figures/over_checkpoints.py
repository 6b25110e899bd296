"""Figure of an OverSeries: metrics of one analysis by training step."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, frame
from interp.many.results.over_checkpoints import OverSeries

_MOST = 12  # panels of the figure; further metrics are in the table


@renders(OverSeries)
def over_series(result: OverSeries) -> go.Figure:
    """One small panel for each metric, by training step."""
    names = result.names[:_MOST]
    columns = min(3, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[name.replace("_", " ") for name in names],
        shared_xaxes="all",
        horizontal_spacing=0.09,
        vertical_spacing=min(0.25, 0.3 / rows),
    )
    for at, name in enumerate(names):
        values = result.metric(name)
        figure.add_trace(
            go.Scatter(
                x=values.index,
                y=values,
                mode="lines+markers",
                showlegend=False,
                line={"color": ACCENT, "width": 1.8},
                marker={"size": 5},
                hovertemplate=f"<b>{name}</b>, step %{{x:,}}: %{{y:.4g}}<extra></extra>",
            ),
            row=at // columns + 1,
            col=at % columns + 1,
        )
    figure.update_xaxes(title="training step", row=rows)
    figure.update_annotations(font={"size": 12})
    left = len(result.names) - len(names)
    more = f" · {left} further metrics in the table" if left else ""
    return frame(
        figure,
        title=f"How did it come about? ({result.analysed.replace('_', ' ')})",
        caption=f"{result.caption}{more}",
        notes=result.notes,
        verdict=result.verdict,
        height=190 * rows,
    )

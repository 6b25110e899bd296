"""Figure of the logit lens: after which layer can each answer digit be read off?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.attribution.results.logit_lens import LogitLens
from interp.figures.matrix import heatmap, most_first, signed_text
from interp.figures.registry import renders
from interp.figures.theme import CATEGORIES, SYMBOLS, frame, magnitude_range, translucent
from interp.results.grid import Grid

_MAX_LINES = len(CATEGORIES)
_MAX_TICKS = 18


@renders(LogitLens)
def logit_lens(result: LogitLens) -> go.Figure:
    """Share of prompts whose true token is the first choice, after each layer, with its control.

    Lines with bands for up to eight roles; for more, a heat map by layer and role, and a second one
    for the control.
    """
    roles = most_first(result.first.axis("answer_digit").labels)
    few = len(roles) <= _MAX_LINES
    figure = _lines(result, roles) if few else _maps(result, roles)
    control = "dashed: " if few else "right: "
    return frame(
        figure,
        title="After which layer can each answer digit be read off?",
        caption=f"{result.caption} · {control}the true tokens of other prompts (shuffled)",
        notes=result.notes,
        verdict=result.verdict,
        height=360 if few else max(300, 26 * len(roles) + 60),
    )


def _lines(result: LogitLens, roles: list[str]) -> go.Figure:
    layers = result.first.axis("layer").labels
    figure = go.Figure()
    for number, role in enumerate(roles):
        colour = CATEGORIES[number]
        first = _along(result.first, role)
        if first.low is not None and first.high is not None:
            figure.add_trace(
                go.Scatter(
                    x=[*layers, *reversed(layers)],
                    y=[*first.high, *first.low[::-1]],
                    mode="lines",
                    fill="toself",
                    fillcolor=translucent(colour, 0.18),
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=role,
                )
            )
        control = _along(result.shuffled_first, role).values
        for name, values, dash in ((role, first.values, "solid"), ("shuffled", control, "dash")):
            figure.add_trace(
                go.Scatter(
                    x=layers,
                    y=values,
                    mode="lines+markers" if dash == "solid" else "lines",
                    name=role,
                    legendgroup=role,
                    showlegend=dash == "solid",
                    line={"color": colour, "width": 2 if dash == "solid" else 1, "dash": dash},
                    marker={"symbol": SYMBOLS[number], "size": 7},
                    hovertemplate=f"<b>{name}</b> of {role}, layer %{{x}}: %{{y:.3f}}"
                    "<extra></extra>",
                )
            )
    _label_layers(figure, layers)
    figure.update_yaxes(title="true token is first choice", range=[-0.02, 1.02])
    figure.update_layout(legend={"title": {"text": "answer digit<br>(index 0 least)"}})
    return figure


def _maps(result: LogitLens, roles: list[str]) -> go.Figure:
    layers = result.first.axis("layer").labels
    titles = ("true token is first choice", "control: another prompt's token")
    figure = make_subplots(
        cols=2, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.05
    )
    for col, grid in enumerate((result.first, result.shuffled_first), 1):
        values = np.stack([_along(grid, role).values for role in roles])
        trace = heatmap(
            values,
            layers,
            roles,
            scale=magnitude_range(values, 1.0),
            bar={"x": 1.01, "title": {"text": "share", "side": "top"}},
            text=signed_text(values),
        )
        trace.showscale = col == 2
        figure.add_trace(trace, row=1, col=col)
    _label_layers(figure, layers)
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_yaxes(title="answer digit (index 0 least significant)", col=1)
    return figure


def _label_layers(figure: go.Figure, layers: Sequence[str]) -> None:
    """Set upright layer labels, as many as fit side by side."""
    shown = list(layers[:: -(-len(layers) // _MAX_TICKS)])
    figure.update_xaxes(
        title="residual stream after layer", type="category", tickangle=0, tickvals=shown
    )


def _along(grid: Grid, role: str) -> Grid:
    picked = grid.at(answer_digit=role)
    assert isinstance(picked, Grid)
    return picked

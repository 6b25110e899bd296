"""Figure of the phases: when are the key waves learnt?"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import CATEGORIES, GREY, SYMBOLS, frame, translucent
from interp.geometry.results.phases import ModularPhases

_LOSSES = {
    "train_loss": "training pairs",
    "test_loss": "other pairs",
    "restricted_loss": "key waves alone (all pairs)",
    "excluded_loss": "without key waves (training pairs)",
}
_SHARES = {
    "logits_explained": "logits explained by key waves",
    "neurons_one_frequency": "neurons at one frequency",
    "gini_embedding": "Gini of W_E",
    "gini_unembedding": "Gini of W_L",
}
_PHASES = ("memorisation", "circuit", "clean-up")


@renders(ModularPhases)
def phases(result: ModularPhases) -> go.Figure:
    """Losses above, Fourier measures below, by step; the three phases shaded."""
    table = result.steps
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.07, row_heights=[3, 2])
    panels = ((1, _LOSSES, 0), (2, _SHARES, len(_LOSSES)))
    for row, names, offset in panels:
        for i, (column, label) in enumerate(names.items(), offset):
            figure.add_scatter(
                x=table["step"],
                y=table[column],
                mode="lines+markers",
                name=label,
                line={"color": CATEGORIES[i % len(CATEGORIES)], "width": 2},
                marker={"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 6},
                legend=f"legend{row if row > 1 else ''}",
                hovertemplate=f"{label}, step %{{x}}: %{{y:.4g}}<extra></extra>",
                row=row,
                col=1,
            )
    _shade(figure, result)
    figure.update_yaxes(title="loss (nats)", type="log", exponentformat="power", row=1, col=1)
    figure.update_yaxes(title="share, Gini", range=[0, 1.02], row=2, col=1)
    figure.update_xaxes(title="step", row=2, col=1)
    keys = " ".join(map(str, sorted(result.keys)))
    frame(
        figure,
        title="When are the key waves learnt?",
        caption=f"{result.caption} · key frequencies of the finished model: {keys}",
        notes=result.notes,
        verdict=result.verdict,
        height=520,
    )
    place = {"x": 1.01, "xanchor": "left", "yanchor": "top"}
    figure.update_layout(legend={**place, "y": 1}, legend2={**place, "y": 0.36})
    return figure.update_layout(margin={"r": 230})


def _shade(figure: go.Figure, result: ModularPhases) -> None:
    first, second, third = result.bounds
    end = float(result.steps["step"].iloc[-1])
    edges = [0.0, first, second, third if third == third else end]
    bands = zip(_PHASES, edges, edges[1:], CATEGORIES[4:7], strict=False)
    for line, (name, left, right, colour) in enumerate(bands):
        if right > left:
            figure.add_vrect(
                x0=left, x1=right, fillcolor=translucent(colour, 0.12), line_width=0, row="all",
                col=1, layer="below",
            )  # fmt: skip
            figure.add_annotation(
                x=left, y=1, yref="paper", xanchor="left", yanchor="bottom", text=name,
                yshift=14 * (line % 2), showarrow=False, font={"size": 11, "color": GREY},
            )  # fmt: skip

"""Figures of MLP neurons: which carry the answer, and do MLPs write towards its token?"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import most_first
from interp.figures.registry import renders, shows
from interp.figures.theme import ACCENT, CATEGORIES, GREY, error_bars, frame, translucent
from interp.heads.results.neurons import NeuronEffects
from interp.results.grid import Grid


@renders(NeuronEffects)
def neurons(result: NeuronEffects) -> go.Figure:
    """Left: exact effects against estimates; right: effect of patching neurons together."""
    figure = make_subplots(
        cols=2, subplot_titles=("one at a time", "together"), horizontal_spacing=0.11
    )
    table = result.effects
    both = table[["estimate", "exact"]].to_numpy().ravel()
    ends = [float(both.min()), float(both.max())]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dot"}, hoverinfo="skip",
        showlegend=False, row=1, col=1,
    )  # fmt: skip
    for chosen, label, colour in (
        (False, "random neurons (control)", GREY),
        (True, "ranked highest by gradients", ACCENT),
    ):
        some = table[table["chosen"] == chosen]
        figure.add_scatter(
            x=some["estimate"], y=some["exact"], mode="markers", name=label,
            error_y=error_bars(some["exact"], some["exact_low"], some["exact_high"], colour),
            marker={"color": colour, "size": 7}, customdata=some["neuron"],
            hovertemplate="%{customdata}: estimate %{x:.3g}, exact %{y:.3g}<extra></extra>",
            row=1, col=1,
        )  # fmt: skip
    _sets(figure, result)
    figure.update_xaxes(title="estimate (logits)", col=1)
    figure.update_yaxes(title="exact effect (logits)", col=1)
    figure.update_xaxes(title="neurons patched", type="log", dtick=np.log10(2), col=2)
    figure.update_yaxes(title="effect (logits)", col=2)
    s = result.settings
    return frame(
        figure,
        title="Which neurons carry the answer?",
        caption=f"{result.caption} · {s['direction']}, operand changed: {s['swap']}, ranked on "
        f"{s['chosen_on']} other prompts · every neuron at once: "
        f"{result.together['effect'].iloc[-1]:.2f} logits, the whole prompt {result.total:.2f}",
        notes=result.notes,
        verdict=result.verdict,
        legend=True,
    )


def _sets(figure: go.Figure, result: NeuronEffects) -> None:
    sets = result.together.iloc[:-1]
    x = sets["neurons"]
    for name, colour in (("random", GREY), ("effect", ACCENT)):
        figure.add_scatter(
            x=[*x, *x[::-1]], y=[*sets[f"{name}_high"], *sets[f"{name}_low"][::-1]],
            fill="toself", fillcolor=translucent(colour, 0.18), line={"width": 0}, mode="lines",
            hoverinfo="skip", showlegend=False, row=1, col=2,
        )  # fmt: skip
        figure.add_scatter(
            x=x, y=sets[name], mode="lines+markers", line={"color": colour}, marker={"size": 6},
            showlegend=False, row=1, col=2,
        )  # fmt: skip


@shows(NeuronEffects)
def directions(result: NeuronEffects) -> dict[str, go.Figure]:
    """Cosines of MLP inputs and outputs with number tokens, layer by layer."""
    sides = result.cosine.axis("side").labels
    tokens = result.cosine.axis("token").labels
    figure = make_subplots(
        rows=2, cols=2, shared_xaxes=True, shared_yaxes=True, vertical_spacing=0.09,
        horizontal_spacing=0.04,
        subplot_titles=[f"{side}, {_named(token)}" for token in tokens for side in sides],
    )  # fmt: skip
    digits = most_first(list(result.cosine.axis("answer_digit").labels))
    layers = list(result.cosine.axis("layer").labels)
    for i, token in enumerate(tokens):
        for j, side in enumerate(sides):
            place = {"row": i + 1, "col": j + 1}
            own, random = (g.at(side=side, token=token) for g in (result.cosine, result.random))
            assert isinstance(own, Grid) and isinstance(random, Grid)
            assert random.low is not None and random.high is not None
            low, high = np.nanmin(random.low, axis=1), np.nanmax(random.high, axis=1)
            figure.add_scatter(
                x=[*layers, *layers[::-1]], y=[*high, *low[::-1]], fill="toself",
                fillcolor=translucent(GREY, 0.3), line={"width": 0}, mode="lines",
                name="random directions (95 %)", showlegend=not i and not j, **place,
            )  # fmt: skip
            for k, digit in enumerate(digits):
                line = own.at(answer_digit=digit)
                assert isinstance(line, Grid) and line.low is not None and line.high is not None
                colour = CATEGORIES[k % len(CATEGORIES)]
                figure.add_scatter(
                    x=layers, y=line.values, mode="lines+markers", name=digit,
                    error_y=error_bars(line.values, line.low, line.high, colour),
                    line={"color": colour}, marker={"size": 5}, legendgroup=digit,
                    showlegend=not i and not j, **place,
                )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_xaxes(title="layer", row=2)
    figure.update_yaxes(title="mean cosine", col=1)
    figure.update_annotations(font={"size": 13})
    made = frame(
        figure,
        title="Do MLPs read and write the directions of numbers?",
        caption=f"{result.caption} · at the position that predicts each answer digit, all prompts",
        notes=("that a direction is used",),
        legend=True,
        height=520,
    )
    return {"directions": made}


def _named(token: str) -> str:
    return {"answer": "the answer's token", "operands": "the operands' tokens in its column"}[token]

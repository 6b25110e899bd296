"""Figures of the Minkowski sums: does a head add one point of each number?"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import Figures, renders, shows
from interp.figures.theme import ACCENT, CATEGORIES, PALE, frame
from interp.geometry.figures.figure import colours
from interp.geometry.results.minkowski import MinkowskiSum
from interp.results.display import number


@renders(MinkowskiSum)
def minkowski(result: MinkowskiSum) -> go.Figure:
    """Outputs in two principal components: by a, by b, and the prompts of one a by b."""
    s, table = result.settings, result.points
    local = table[table["local1"].notna()]
    named = f"{s['a']} = {int(local['a'].iloc[0])} alone, by {s['b']}"
    plot = make_subplots(cols=3, subplot_titles=(f"by {s['a']}", f"by {s['b']}", named))
    for col, (rows, operand, axis) in enumerate(
        ((table, "a", "pc"), (table, "b", "pc"), (local, "b", "local")), 1
    ):
        palette = colours(int(table[operand].max()) + 1)
        second = f"{axis}2" if f"{axis}2" in rows else f"{axis}1"
        plot.add_scatter(
            x=rows[f"{axis}1"],
            y=rows[second],
            mode="markers",
            marker={"color": [palette[v] for v in rows[operand]], "size": 5},
            text=rows[operand],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
            row=1,
            col=col,
        )
    plot.update_xaxes(title="PC1")
    plot.update_yaxes(title="PC2", col=1)
    _number_key(plot, int(table[["a", "b"]].to_numpy().max()) + 1)
    who = "all heads" if s["head"] < 0 else f"head {s['head']}"
    return frame(
        plot,
        title="Does attention add one point of each number?",
        caption=f"{result.caption} · layer {s['layer']}, {who}, query {s['role']}",
        notes=result.notes,
        verdict=result.verdict,
        height=340,
        legend=True,
    )


def _number_key(plot: go.Figure, q: int) -> None:
    """The colours of the numbers; above ten of them, of every tenth part."""
    palette = colours(q)
    for v in range(0, q, max(1, q // 10)):
        plot.add_scatter(
            x=[None], y=[None], mode="markers", name=str(v),
            marker={"color": palette[v], "size": 9}, row=1, col=1,
        )  # fmt: skip


@shows(MinkowskiSum)
def minkowski_parts(result: MinkowskiSum) -> Figures:
    """Predictions of the output, the published one among them, and the attention weights."""
    table = result.predictions[::-1]
    plot = make_subplots(
        cols=2, subplot_titles=("R² of the output", "attention weights, 5 % to 95 % of prompts"),
        horizontal_spacing=0.14,
    )  # fmt: skip
    for column, name, colour in (
        ("r2_scaled", "with the best common factor", PALE), ("r2", "as it stands", ACCENT),
    ):  # fmt: skip
        if column not in table:  # a Result of an earlier version
            continue
        plot.add_bar(
            x=table[column].clip(lower=0), y=table["prediction"], orientation="h", name=name,
            marker={"color": colour}, text=[number(v) for v in table[column]],
            textposition="outside", cliponaxis=False, row=1, col=1,
        )  # fmt: skip
    weights = result.weights
    if len(weights):
        plot.add_scatter(
            x=weights["mean"], y=weights["token"], mode="markers",
            error_x={"type": "data", "symmetric": False, "array": weights["high"] - weights["mean"],
                     "arrayminus": weights["mean"] - weights["low"]},
            marker={"color": CATEGORIES[1], "size": 9}, showlegend=False, row=1, col=2,
        )  # fmt: skip
    plot.update_xaxes(range=[0, 1.12])
    return {
        "weights": frame(
            plot,
            title="Do the model's own values and weights predict the sum?",
            caption=f"{result.caption} · published: no position, no norm; bars from 0",
            notes=result.notes,
            height=360,
            legend=True,
        )
    }

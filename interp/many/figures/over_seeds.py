"""Figure of an Agreement: metrics and cells of one analysis across models."""

from __future__ import annotations

import textwrap

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, CATEGORIES, GREY, SYMBOLS, frame
from interp.many.results.over_seeds import Agreement

_MOST = 12  # metrics that the figure shows; the rest are in the table


@renders(Agreement)
def agreement(result: Agreement) -> go.Figure:
    """Left: each metric of each model, in units of the mean over models. Right: the rank
    correlation of each pair's cells, with the shuffled control."""
    table = result.frame.set_index("metric")
    shown = table[(table["mean"].abs() > 0) & table["lowest"].notna()].head(_MOST)
    pairs = result.told.dropna(subset=["rank_correlation"])
    titles = ["metrics, relative to their mean", *(["cells, rank correlation"] * bool(len(pairs)))]
    figure = make_subplots(cols=len(titles), subplot_titles=titles, horizontal_spacing=0.16)
    labels = [_label(metric) for metric in shown.index]
    for number, model in enumerate(result.models):
        figure.add_trace(
            go.Scatter(
                x=shown[model] / shown["mean"],
                y=labels,
                mode="markers",
                name=model,
                marker={
                    "color": CATEGORIES[number % len(CATEGORIES)],
                    "symbol": SYMBOLS[number % len(SYMBOLS)],
                    "size": 9,
                },
                customdata=shown[[model]],
                hovertemplate=f"<b>%{{y}}</b><br>{model}: %{{customdata[0]:.4g}}<extra></extra>",
            ),
            row=1,
            col=1,
        )
    figure.update_xaxes(title="value / mean over models", row=1, col=1)
    if len(pairs):
        _correlations(figure, result)
    figure.update_yaxes(type="category", autorange="reversed", tickfont={"size": 10})
    figure.update_annotations(font={"size": 13})
    left = len(table) - len(shown)
    more = f" · {left} further metrics in the table" if left else ""
    return frame(
        figure,
        title=f"What agrees across models? ({result.analysed.replace('_', ' ')})",
        caption=f"{result.caption}{more}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(220, 34 * max(len(shown), pairs["grid"].nunique()) + 60),
        legend=True,
    )


def _correlations(figure: go.Figure, result: Agreement) -> None:
    pairs = result.told.dropna(subset=["rank_correlation"])
    names = pairs["first"] + " · " + pairs["second"]
    for name, values, symbol, colour in (
        ("pair of models", pairs["rank_correlation"], "circle", ACCENT),
        ("cells shuffled, 95 %", pairs["shuffled"], "line-ns-open", GREY),
    ):
        figure.add_trace(
            go.Scatter(
                x=values,
                y=[_label(grid) for grid in pairs["grid"]],
                mode="markers",
                name=name,
                marker={"symbol": symbol, "color": colour, "size": 10, "line": {"width": 2}},
                customdata=np.stack([names, pairs["cells"], pairs["same_sign"]], axis=1),
                hovertemplate="<b>%{y}</b>, %{customdata[0]}<br>%{x:.3f} over %{customdata[1]} "
                f"cells, same sign %{{customdata[2]:.0%}}<extra>{name}</extra>",
            ),
            row=1,
            col=2,
        )
    figure.update_xaxes(range=[min(-0.05, pairs["rank_correlation"].min() - 0.05), 1.05], col=2)
    figure.update_xaxes(title="Spearman's ρ", row=1, col=2)


def _label(name: str) -> str:
    """A metric's name wrapped into short lines, to save width."""
    return "<br>".join(textwrap.wrap(name.replace("_", " "), 20))

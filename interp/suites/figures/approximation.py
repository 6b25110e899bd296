"""Figure of approximate answers: grades by wording, and by topic."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import CATEGORIES, INK, frame
from interp.suites.results.approximation import Approximation

_COLOURS = dict(
    zip(
        ("exact", "good", "mildly off", "way off"),
        (*CATEGORIES[:2], CATEGORIES[4], "#d9d9d9"),
        strict=True,
    )
)


@renders(Approximation)
def approximation(result: Approximation) -> go.Figure:
    """Stacked shares of the four grades, over all topics above, by topic below."""
    topics = ["", *dict.fromkeys(result.answers["topic"])]
    wordings = list(dict.fromkeys(result.answers["wording"]))
    figure = make_subplots(
        cols=len(wordings),
        shared_yaxes=True,
        horizontal_spacing=0.06,
        subplot_titles=[f"asked {wording}" for wording in wordings],
    )
    for col, wording in enumerate(wordings, 1):
        rows = result.grades[result.grades["wording"] == wording]
        for name, colour in _COLOURS.items():
            part = rows[rows["grade"] == name].set_index("topic").loc[topics].reset_index()
            figure.add_trace(_bars(part, name, colour, col == 1), row=1, col=col)
        _chance(figure, result, wording, col)
        figure.update_xaxes(range=[0, 1], tickformat=".0%", row=1, col=col)
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="How good are its rough answers?",
        caption=f"{result.caption} · exact within 10⁻⁶, good within 20 %, mildly off within 60 %",
        notes=result.notes,
        verdict=result.verdict,
        height=34 * len(topics) + 60,
        legend=True,
    )


def _bars(part: pd.DataFrame, name: str, colour: str, legend: bool) -> go.Bar:
    return go.Bar(
        x=part["share"],
        y=[topic or "all" for topic in part["topic"]],
        orientation="h",
        name=name,
        legendgroup=name,
        showlegend=legend,
        marker={"color": colour, "line": {"color": "white", "width": 1}},
        text=[f"{hits:,}" if hits else "" for hits in part["hits"]],
        textposition="inside",
        insidetextanchor="middle",
        customdata=part[["hits", "n", "low", "high"]],
        hovertemplate="%{y}: %{x:.1%} [%{customdata[2]:.1%}, %{customdata[3]:.1%}]<br>"
        f"%{{customdata[0]:,}} of %{{customdata[1]:,}}<extra>{name}</extra>",
    )


def _chance(figure: go.Figure, result: Approximation, wording: str, col: int) -> None:
    """Draw the chance level of exact plus good, from answers shuffled among questions."""
    chance = result.metrics[f"{wording}_chance"]
    figure.add_trace(
        go.Scatter(
            x=[chance],
            y=["all"],
            mode="markers",
            name="exact or good, shuffled",
            legendgroup="chance",
            showlegend=col == 1,
            marker={
                "symbol": "diamond",
                "size": 10,
                "color": "white",
                "line": {"color": INK, "width": 1.5},
            },
            hovertemplate=f"{chance:.1%} by chance<extra></extra>",
        ),
        row=1,
        col=col,
    )

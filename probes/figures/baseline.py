"""Figure of the one-hot baseline: what a linear map finds in the operand digits alone."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, PALE, error_bars, frame
from probes.results.baseline import OneHotBaseline
from probes.results.sweep import split_words

_ROW = 21  # pixels


@renders(OneHotBaseline)
def one_hot_baseline(result: OneHotBaseline) -> go.Figure:
    """Plot score by target with its interval, and for numbers the mean absolute error, each beside
    the constant's."""
    table = result.cells
    errors = table[table["mae"].notna()]
    figure = make_subplots(
        cols=2 if len(errors) else 1,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        column_widths=[0.55, 0.45] if len(errors) else None,
        subplot_titles=("R², or accuracy", *(["Mean absolute error"] if len(errors) else [])),
    )
    labels = [_label(row) for row in table.to_dict("records")]
    named = dict(zip(table["target"], labels, strict=True))
    figure.add_trace(_constant(table["constant"], labels, legend=True), row=1, col=1)
    figure.add_trace(
        _digits(table["score"], labels, legend=True).update(
            error_x=error_bars(table["score"], table["low"], table["high"], ACCENT)
        ),
        row=1,
        col=1,
    )
    if len(errors):
        rows = [named[target] for target in errors["target"]]
        figure.add_trace(_constant(errors["constant_mae"], rows, legend=False), row=1, col=2)
        figure.add_trace(_digits(errors["mae"], rows, legend=False), row=1, col=2)
        figure.update_xaxes(rangemode="tozero", title="in units of the target", row=1, col=2)
    low = min(0.0, float(table[["low", "constant"]].min(axis=None)))
    figure.update_xaxes(range=[low - 0.03, 1.03], title="held-out score", row=1, col=1)
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=labels[::-1])
    figure.update_yaxes(showgrid=True, gridcolor=PALE)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="What do the operand digits give for free?",
        caption=f"{result.caption} · {split_words(result.settings)} · "
        f"{table['n_test'].iloc[0]:,} held-out problems · no model took part · index 0 least "
        "significant",
        notes=result.notes,
        verdict=result.verdict,
        height=max(200, _ROW * len(table) + 40),
        legend=True,
    )


def _label(row: dict[str, object]) -> str:
    return f"{row['target']} ({'R²' if row['metric'] == 'r2' else 'accuracy'})"


def _digits(values: pd.Series, labels: list[str], legend: bool) -> go.Scatter:
    return go.Scatter(
        x=values,
        y=labels,
        mode="markers",
        name="one-hot operand digits",
        legendgroup="digits",
        showlegend=legend,
        cliponaxis=False,
        marker={"size": 8, "color": ACCENT},
        hovertemplate="%{y}: %{x:.4g}<extra>one-hot operand digits</extra>",
    )


def _constant(values: pd.Series, labels: list[str], legend: bool) -> go.Scatter:
    return go.Scatter(
        x=values,
        y=labels,
        mode="markers",
        name="constant",
        legendgroup="constant",
        showlegend=legend,
        cliponaxis=False,
        marker={"size": 8, "color": "white", "line": {"color": GREY, "width": 1.5}},
        hovertemplate="%{y}: %{x:.4g}<extra>constant</extra>",
    )

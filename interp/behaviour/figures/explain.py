"""Figure of error explanations: which simulator predicts the wrong answers."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.behaviour.figures.shares import beside_chance
from interp.behaviour.results.explain import ErrorExplanation
from interp.figures.registry import renders
from interp.figures.theme import frame


@renders(ErrorExplanation)
def error_explanation(result: ErrorExplanation) -> go.Figure:
    """The share of wrong answers that each simulator predicts, beside shuffled wrong answers."""
    table = result.simulators.iloc[::-1]
    figure = make_subplots()
    most = min(1.0, 1.25 * float(max(table["high"].max(), table["chance_high"].max())))
    names = list(table["simulator"])
    hover = [
        f"<b>{row.simulator}</b> {row.does}<br>alone {row.alone:,} · p {row.p_best:.3g} among all"
        f" · errs on {row.false_alarms:.1%} of the right answers"
        for row in table.itertuples()
    ]
    beside_chance(figure, table, names, hover=hover, most=most)
    figure.update_xaxes(title="share of the wrong answers that it predicts to the last digit")
    return frame(
        figure,
        title="Which fault makes its mistakes?",
        caption=result.caption,
        notes=result.notes,
        verdict=result.verdict,
        height=max(240, 24 * len(names) + 40),
        legend=True,
    )

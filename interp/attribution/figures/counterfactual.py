"""Figures of counterfactual attribution and of one swap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.attribution.results.counterfactual import (
    CHANGES,
    CounterfactualAttribution,
    SwapExample,
)
from interp.figures.matrix import heatmap, most_first, outline, signed_text
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, frame, magnitude_range, signed_range
from interp.results.grid import Axis, Grid

_ROLES_SHOWN = 6


@renders(CounterfactualAttribution)
def counterfactual_attribution(result: CounterfactualAttribution) -> go.Figure:
    """Δlogit by operand digit and answer digit, next to the oracle's probability.

    The most significant digits are left and on top. In both panels a frame marks the cells where
    arithmetic lets the answer digit change.
    """
    rows = most_first(result.effect.axis("operand_digit").labels)
    columns = most_first(result.effect.axis("answer_digit").labels)
    effect, oracle = (_ordered(grid, rows, columns) for grid in (result.effect, result.oracle))
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.16,
        subplot_titles=(
            "Model: mean Δlogit (original − changed)",
            "Oracle: P(answer digit changes)",
        ),
    )
    half = None
    if effect.low is not None and effect.high is not None:
        half = (effect.high - effect.low) / 2
    bar = {"y": 0.5, "len": 1.0, "tickfont": {"size": 11}}
    figure.add_trace(
        heatmap(
            effect.values,
            columns,
            rows,
            scale=signed_range(effect.values),
            bar={**bar, "x": 0.425, "title": {"text": "logits", "side": "top"}},
            text=signed_text(effect.values, half),
            hover=_hover(result, rows, columns),
        ),
        row=1,
        col=1,
    )
    figure.add_trace(
        heatmap(
            oracle.values,
            columns,
            rows,
            scale=magnitude_range(oracle.values, 1.0),
            bar={**bar, "x": 1.005},
            text=signed_text(oracle.values),
            hover=_hover(result, rows, columns),
        ),
        row=1,
        col=2,
    )
    for column in (1, 2):
        outline(figure, oracle.values >= CHANGES, col=column)
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(type="category", title="answer digit (index 0 least significant)")
    figure.update_yaxes(title="replaced operand digit", col=1)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="Which operand digits does each answer digit depend on?",
        caption=f"{result.caption} · prefix: {result.settings.get('prefix')}, target: "
        f"{result.settings.get('target')} · framed: the oracle says P ≥ {CHANGES}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(260, 34 * len(rows) + 60),
    )


def _ordered(grid: Grid, rows: Sequence[str], columns: Sequence[str]) -> Grid:
    y = [grid.axes[0].index(label) for label in rows]
    x = [grid.axes[1].index(label) for label in columns]
    pick = np.ix_(y, x)
    axes = (Axis(grid.axes[0].name, tuple(rows)), Axis(grid.axes[1].name, tuple(columns)))
    low = None if grid.low is None else grid.low[pick]
    high = None if grid.high is None else grid.high[pick]
    return Grid(grid.values[pick], axes, low, high)


def _hover(
    result: CounterfactualAttribution, rows: Sequence[str], columns: Sequence[str]
) -> npt.NDArray[np.object_]:
    cells = result.frame.set_index(["operand_digit", "answer_digit"])
    text = np.empty((len(rows), len(columns)), dtype=object)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            c = cells.loc[row, column]
            text[i, j] = (
                f"<b>{row} → {column}</b><br>Δlogit {c.effect:.3g} [{c.effect_low:.3g}, "
                f"{c.effect_high:.3g}]<br>mean |Δlogit| {c.magnitude:.3g} [{c.magnitude_low:.3g}, "
                f"{c.magnitude_high:.3g}]<br>oracle P {c.oracle:.3g}<br>noise floor {c.noise:.1g}"
                f"<br>{c.used:.0f} prompts"
            )
    return text


@renders(SwapExample)
def swap_example(result: SwapExample) -> go.Figure:
    """Logits before (open) and after (filled) the swap, one panel per answer role shown."""
    table = result.logits
    moved = (
        (table["logit_before"] - table["logit_after"]).abs().groupby(table["answer_digit"]).max()
    )
    shown = set(moved.sort_values(ascending=False).index[:_ROLES_SHOWN])
    roles = [r for r in most_first(list(dict.fromkeys(table["answer_digit"]))) if r in shown]
    gap = 0.4 / len(roles)  # space for the token labels of each panel
    figure = make_subplots(cols=len(roles), subplot_titles=roles, horizontal_spacing=gap)
    for col, role in enumerate(roles, 1):
        part = table[table["answer_digit"] == role].sort_values("logit_before")
        marks = zip(part["token"], part["true_before"], part["true_after"], strict=True)
        names = [f"{'○' * was}{'●' * now} {token!r}" for token, was, now in marks]
        for token, before, after in zip(
            names, part["logit_before"], part["logit_after"], strict=True
        ):
            line = go.Scatter(x=[before, after], y=[token] * 2, mode="lines", showlegend=False)
            line.update(line={"color": GREY, "width": 1}, hoverinfo="skip")
            figure.add_trace(line, row=1, col=col)
        for name, open_marker in (("before", True), ("after", False)):
            figure.add_trace(
                go.Scatter(
                    x=part[f"logit_{name}"],
                    y=names,
                    mode="markers",
                    name=f"{name} the swap",
                    showlegend=col == 1,
                    customdata=part[f"probability_{name}"],
                    hovertemplate="%{y}: logit %{x:.2f}, p = %{customdata:.3f}<extra></extra>",
                    marker={
                        "size": 9,
                        "color": "white" if open_marker else ACCENT,
                        "line": {"color": INK if open_marker else ACCENT, "width": 1.5},
                    },
                ),
                row=1,
                col=col,
            )
    figure.update_xaxes(title="logit", matches="x")
    figure.update_yaxes(type="category")
    return frame(
        figure,
        title=f"{result.operand_digit} replaced:  {result.before}  →  {result.after}",
        caption=f"{result.caption} · ○ the right token before the swap, ● after it",
        notes=result.notes,
        height=max(220, 26 * int(table.groupby("answer_digit").size().max()) + 30),
        legend=True,
    )

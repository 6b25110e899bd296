"""Figures of knock-out: how many heads can be removed, and what each is needed for?"""

from __future__ import annotations

import plotly.graph_objects as go

from interp.figures.matrix import by_digit, heatmap, layer_panels, most_first, signed_text
from interp.figures.registry import renders, shows
from interp.figures.theme import ACCENT, GREY, frame, signed_range, translucent
from interp.heads.results.knockout import KnockOut


@renders(KnockOut)
def knockout(result: KnockOut) -> go.Figure:
    """Exact accuracy by number of removed heads, in effect order and in random orders."""
    curve, figure, given = result.curve, go.Figure(), result.settings["order"] is not None
    for name, label, colour in (
        ("random", "random orders (mean, 95 % of orders)", GREY),
        ("accuracy", "in the order given" if given else "in the order of effect", ACCENT),
    ):
        x = curve["removed"]
        figure.add_scatter(
            x=[*x, *x[::-1]], y=[*curve[f"{name}_high"], *curve[f"{name}_low"][::-1]],
            fill="toself", fillcolor=translucent(colour, 0.18), line={"width": 0},
            mode="lines", hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=x, y=curve[name], name=label, mode="lines+markers", line={"color": colour},
            marker={"size": 6},
            customdata=["", *result.ranking["head"]][: len(x)] if name == "accuracy" else None,
        )  # fmt: skip
    figure.update_xaxes(title="heads removed")
    figure.update_yaxes(title="exact accuracy", range=[-0.02, 1.02])
    first = ", ".join(result.ranking["head"].head(6))
    more = " …" if len(result.ranking) > 6 else ""
    other = f"ranked on {result.settings['ranked_on']} other prompts"
    ranked = "in the order given" if given else other
    return frame(
        figure,
        title="How many heads can be removed?",
        caption=f"{result.caption} · replaced by {result.settings['by']}, {ranked}: {first}{more}",
        notes=result.notes,
        verdict=result.verdict,
        legend=True,
    )


@shows(KnockOut)
def further(result: KnockOut) -> dict[str, go.Figure]:
    """Loss of accuracy by head and subtask class, by head and answer digit, and by layer."""
    panels = {"digits": (result.digits, "answer_digit", "answer digit")}
    if result.subtasks is not None:
        panels["subtasks"] = (result.subtasks, "subtask", "subtask class")
    out = {}
    for name, (grid, axis, title) in panels.items():
        heads = list(grid.axis("head").labels)
        columns = list(grid.axis(axis).labels)
        shown = most_first(columns) if axis == "answer_digit" else columns
        index = [columns.index(c) for c in shown]
        values = grid.values[:, index]
        assert grid.low is not None and grid.high is not None
        half = ((grid.high - grid.low) / 2)[:, index]
        figure = go.Figure(
            heatmap(
                values, shown, heads, scale=signed_range(values),
                bar={"title": {"text": "accuracy lost", "side": "right"}},
                text=signed_text(values, half),
            )
        )  # fmt: skip
        figure.update_xaxes(type="category", title=title)
        figure.update_yaxes(type="category", title="head removed", autorange="reversed")
        out[name] = frame(
            figure,
            title="What is each head needed for?",
            caption=_said(result),
            notes=result.notes,
            height=max(260, min(24 * len(heads) + 60, 900)),
        )
    return out | {"heads": _by_layer(result)}


def head_losses(result: KnockOut, head: str) -> go.Figure:
    """Accuracy lost without one head, by answer digit."""
    grid, row = result.digits, result.digits.axis("head").index(head)
    assert grid.low is not None and grid.high is not None
    figure = by_digit(
        grid.axis("answer_digit").labels,
        {f"without {head}": (grid.values[row], grid.low[row], grid.high[row])},
        title="accuracy lost",
    )
    return frame(
        figure, title=f"Which answer digits is {head} needed for?", caption=_said(result),
        notes=result.notes, height=260,
    )  # fmt: skip


def _by_layer(result: KnockOut) -> go.Figure:
    heads, digits = (axis.labels for axis in result.digits.axes)
    figure, height = layer_panels(heads, digits, result.digits.values, unit="accuracy lost")
    return frame(
        figure, title="Which heads are needed?", caption=_said(result), notes=result.notes,
        verdict=result.verdict, height=height,
    )  # fmt: skip


def _said(result: KnockOut) -> str:
    return f"{result.caption} · one head at a time, replaced by {result.settings['by']}"

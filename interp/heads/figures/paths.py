"""Figures of path patching: which nodes write to the logits, or into a head?"""

from __future__ import annotations

import plotly.graph_objects as go

from interp.figures.matrix import by_digit, heatmap, layer_panels, most_first, outline, panels
from interp.figures.registry import renders
from interp.figures.theme import frame, signed_range
from interp.heads.results.paths import FROZEN, LEVEL, PathPatching


@renders(PathPatching)
def paths(result: PathPatching) -> go.Figure:
    """Effect by layer and head (MLP last) for the logits, else by sender and receiver; a panel for
    each answer digit, findings framed."""
    to_logits = result.main.axis("receiver").labels == ("logits",)
    if to_logits:
        figure, height = layer_panels(
            result.main.axis("sender").labels,
            result.main.axis("answer_digit").labels,
            result.main.values[:, 0],
            unit=result.lead.replace("_", " "),
            found=result.q.values[:, 0] <= LEVEL,
        )
    else:
        figure, height = _by_receiver(result)
    where_to = "write the answer to the logits" if to_logits else "write into these heads"
    return frame(
        figure,
        title=f"Which nodes {where_to}?",
        caption=f"{_said(result)} · framed: q ≤ {LEVEL}",
        notes=result.notes,
        verdict=result.verdict,
        height=height,
    )


def sender_effects(result: PathPatching, sender: str) -> go.Figure:
    """Effect of one sender on the logits by answer digit."""
    grid, row = result.main, result.main.axis("sender").index(sender)
    assert grid.low is not None and grid.high is not None
    figure = by_digit(
        grid.axis("answer_digit").labels,
        {"effect": (grid.values[row, 0], grid.low[row, 0], grid.high[row, 0])},
        title=result.lead.replace("_", " "),
    )
    return frame(
        figure, title=f"Which answer digits does {sender} write to?", caption=_said(result),
        notes=result.notes, height=260,
    )  # fmt: skip


def _said(result: PathPatching) -> str:
    return (
        f"{result.caption} · {FROZEN[str(result.settings['frozen'])]}, "
        f"{result.settings['direction']}, operand changed: {result.settings['swap']}"
    )


def _by_receiver(result: PathPatching) -> tuple[go.Figure, int]:
    receivers, senders = (list(result.main.axis(x).labels) for x in ("receiver", "sender"))
    digits = result.main.axis("answer_digit")
    named = most_first(list(digits.labels))
    figure, down, across = panels(named)
    for i, digit in enumerate(named):
        where, row, col = digits.index(digit), i // across + 1, i % across + 1
        figure.add_trace(
            heatmap(
                result.main.values[..., where], receivers, senders,
                scale=signed_range(result.main.values),
                bar={"title": {"text": result.lead.replace("_", " "), "side": "right"}, "x": 1.01},
            ).update(showscale=i == 0),
            row=row, col=col,
        )  # fmt: skip
        outline(figure, result.q.values[..., where] <= LEVEL, row=row, col=col)
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    figure.update_yaxes(title="sender", col=1)
    figure.update_xaxes(title="receiver", row=down)
    figure.update_annotations(font={"size": 13})
    return figure, down * max(180, min(22 * len(senders) + 60, 640))

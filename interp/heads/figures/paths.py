"""Figure of path patching: which nodes write to the logits, or into a head?"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from interp.figures.matrix import heatmap, most_first, outline, panels
from interp.figures.registry import renders
from interp.figures.theme import frame, signed_range
from interp.heads.results.paths import FROZEN, LEVEL, PathPatching


@renders(PathPatching)
def paths(result: PathPatching) -> go.Figure:
    """Effect by layer and head (MLP last) for the logits, else by sender and receiver; a panel for
    each answer digit, findings framed."""
    receivers = result.main.axis("receiver").labels
    to_logits = receivers == ("logits",)
    named = most_first(list(result.main.axis("answer_digit").labels))
    figure, down, across = panels(named)
    digits = result.main.axis("answer_digit")
    for i, digit in enumerate(named):
        where = digits.index(digit)
        cells, found = result.main.values[..., where], result.q.values[..., where] <= LEVEL
        if to_logits:
            x, y, cells, found = _by_layer(result, cells[:, 0], found[:, 0])
        else:
            x, y = list(receivers), list(result.main.axis("sender").labels)
        row, col = i // across + 1, i % across + 1
        figure.add_trace(
            heatmap(
                cells, x, y, scale=signed_range(result.main.values),
                bar={"title": {"text": result.lead.replace("_", " "), "side": "right"}, "x": 1.01},
            ).update(showscale=i == 0),
            row=row, col=col,
        )  # fmt: skip
        outline(figure, found, row=row, col=col)
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    figure.update_yaxes(title="layer" if to_logits else "sender", col=1)
    figure.update_xaxes(title="head" if to_logits else "receiver", row=down)
    figure.update_annotations(font={"size": 13})
    where_to = "write the answer to the logits" if to_logits else "write into these heads"
    return frame(
        figure,
        title=f"Which nodes {where_to}?",
        caption=f"{result.caption} · {FROZEN[str(result.settings['frozen'])]}, "
        f"{result.settings['direction']}, operand changed: {result.settings['swap']} · framed: "
        f"q ≤ {LEVEL}",
        notes=result.notes[:1],
        verdict=result.verdict,
        height=down * max(180, min(22 * len(y) + 60, 640)),
    )


def _by_layer(
    result: PathPatching,
    cells: np.ndarray,
    found: np.ndarray,
) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Columns heads and "MLP", rows layers; NaN where a sender was not asked."""
    names = result.main.axis("sender").labels
    layers = sorted({_layer(name) for name in names})
    columns = sorted({_column(name) for name in names}, key=lambda c: (c == "MLP", c.zfill(4)))
    grid = np.full((len(layers), len(columns)), np.nan)
    framed = np.zeros(grid.shape, dtype=bool)
    for name, value, one in zip(names, cells, found, strict=True):
        place = layers.index(_layer(name)), columns.index(_column(name))
        grid[place], framed[place] = value, one
    return columns, [str(layer) for layer in layers], grid, framed


def _layer(name: str) -> int:
    return int(name[1:].split("H")[0].split(".")[0])


def _column(name: str) -> str:
    return name.split("H")[1] if "H" in name else "MLP"

"""Figure of a stack of interventions on one prompt: which logits move?

The explorer draws it anew at each key press, so it is one dictionary, which Plotly reads once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from interp.figures.matrix import signed_text
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, error_bars, frame, signed_range
from interp.results.display import number
from interp.stack.results.intervene import Intervened

_ROW, _BELOW, _GAP = 22, 120, 40  # pixels: a token's row, the lower panel, and between them
_TITLES = (
    "Δlogit of each token, after − before (frame: the right token)",
    "The same of the right token",
)


@renders(Intervened)
def intervened(result: Intervened) -> go.Figure:
    """Δlogit by token and answer digit, the right token framed, and the right token's Δlogit by
    answer digit beside the random counterparts' mean and range."""
    return frame(
        drawing(result),
        title="Which logits does the stack move?",
        caption=result.caption,
        notes=result.notes,
        verdict=result.conclusion(),
        height=height(result),
        legend=True,
    )


def height(result: Intervened) -> int:
    """Pixels of the plot itself."""
    return _ROW * max(len(result.after.axis("token").labels), 8) + _GAP + _BELOW


def drawing(result: Intervened) -> go.Figure:
    """The two panels, without title and text below."""
    roles = list(result.after.axis("answer_digit").labels)
    tokens = list(result.after.axis("token").labels)
    change = result.change.values.T  # [tokens, roles]
    low = _BELOW / height(result)
    high = low + _GAP / height(result)
    heat = {
        "type": "heatmap",
        "z": change,
        "x": roles,
        "y": tokens,
        "text": signed_text(change),
        "texttemplate": "%{text}",
        "textfont": {"size": 11},
        "customdata": _hover(result, roles, tokens),
        "hovertemplate": "%{customdata}<extra></extra>",
        "xgap": 1,
        "ygap": 1,
        "colorbar": {
            "thickness": 12, "outlinewidth": 0, "ticks": "outside",
            "title": {"text": "logits", "side": "right"}, "y": (1 + high) / 2, "len": 1 - high,
        },
        **signed_range(change),
    }  # fmt: skip
    layout = {
        "xaxis": {
            "type": "category", "anchor": "y2", "range": [-0.5, len(roles) - 0.5],
            "title": {"text": "answer digit, in order of print (index 0 least significant)"},
        },
        "yaxis": {
            "type": "category", "domain": [high, 1], "title": {"text": "token"},
            "range": [len(tokens) - 0.5, -0.5],
        },
        "yaxis2": {"domain": [0, low], "title": {"text": "logits"}, "anchor": "x"},
        "shapes": _frames(result, tokens),
        "annotations": [_title(text, y) for text, y in zip(_TITLES, (1, low), strict=True)],
    }  # fmt: skip
    return go.Figure({"data": [heat, *_right_tokens(result)], "layout": layout})


def _title(text: str, y: float) -> dict[str, Any]:
    return {
        "text": text, "x": 0, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left",
        "yanchor": "bottom", "showarrow": False, "font": {"size": 13},
    }  # fmt: skip


def _frames(result: Intervened, tokens: list[str]) -> list[dict[str, Any]]:
    line = {"color": INK, "width": 1.5}
    places = [(x, tokens.index(token)) for x, token in enumerate(result.right_tokens)]
    zero = {"type": "line", "xref": "paper", "yref": "y2", "x0": 0, "x1": 1, "y0": 0, "y1": 0}
    return [
        *(
            {"type": "rect", "x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5,
             "xref": "x", "yref": "y", "line": line}
            for x, y in places
        ),
        {**zero, "line": {"color": GREY, "width": 1, "dash": "dot"}},
    ]  # fmt: skip


def _right_tokens(result: Intervened) -> list[dict[str, Any]]:
    table = result.right_change
    traces = [_markers(table["answer_digit"], table["change"], "the stack", ACCENT, "circle")]
    if len(result.controls):
        name = "random counterparts, mean and range (control)"
        control = _markers(table["answer_digit"], table["control"], name, GREY, "diamond-open")
        bars = error_bars(table["control"], table["low"], table["high"], GREY)
        traces.append({**control, "error_y": bars})
    return traces


def _markers(x: Any, y: Any, name: str, colour: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "yaxis": "y2",
        "name": name,
        "marker": {"color": colour, "symbol": symbol, "size": 9},
        "hovertemplate": "%{x}: %{y:.3g} logits<extra></extra>",
    }


def _hover(result: Intervened, roles: list[str], tokens: list[str]) -> npt.NDArray[np.object_]:
    before, after = result.before.values, result.after.values
    lines = [
        [
            f"{role}, token {token}<br>logit {number(before[k, t])} → {number(after[k, t])}"
            for k, role in enumerate(roles)
        ]
        for t, token in enumerate(tokens)
    ]
    return np.array(lines, dtype=object)

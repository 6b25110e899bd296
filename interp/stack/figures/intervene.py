"""Figure of a stack of interventions on one prompt: which logits move?"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap, outline, signed_text
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, error_bars, frame, signed_range
from interp.results.display import number
from interp.stack.results.intervene import Intervened

_ROW = 22  # pixels of a token's row


@renders(Intervened)
def intervened(result: Intervened) -> go.Figure:
    """Δlogit by token and answer digit, the right token framed, and the right token's Δlogit by
    answer digit beside the random counterparts' mean and range."""
    roles = list(result.after.axis("answer_digit").labels)
    tokens = list(result.after.axis("token").labels)
    change = result.change.values.T  # [tokens, roles]
    figure = make_subplots(
        rows=2,
        shared_xaxes=True,
        vertical_spacing=0.07,
        row_heights=[0.68, 0.32],
        subplot_titles=("Δlogit of each token (after − before)", "Δlogit of the right token"),
    )
    figure.add_trace(
        heatmap(
            change,
            roles,
            tokens,
            scale=signed_range(change),
            bar={"title": {"text": "logits", "side": "right"}, "y": 0.68, "len": 0.66},
            text=signed_text(change),
            hover=_hover(result, roles, tokens),
        ),
        row=1,
        col=1,
    )
    right = np.zeros(change.shape, dtype=bool)
    for column, token in enumerate(result.right_tokens):
        right[tokens.index(token), column] = True
    outline(figure, right)
    _right_tokens(figure, result)
    figure.update_xaxes(type="category")
    figure.update_xaxes(title="answer digit, in order of print (index 0 least significant)", row=2)
    figure.update_yaxes(type="category", title="token", autorange="reversed", row=1)
    figure.update_yaxes(title="logits", row=2)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="Which logits does the stack move?",
        caption=f"{result.caption} · frame: the right token",
        notes=result.notes,
        verdict=result.conclusion(),
        height=_ROW * max(len(tokens), 8) + 190,
        legend=True,
    )


def _right_tokens(figure: go.Figure, result: Intervened) -> None:
    table = result.right_change
    drawn = bool(table["control"].notna().any())
    lines = [("the stack", "change", ACCENT, "circle")]
    lines += [("random counterparts, mean and range", "control", GREY, "diamond-open")] * drawn
    for name, column, colour, symbol in lines:
        bars = None
        if column == "control":
            bars = error_bars(table["control"], table["low"], table["high"], colour)
        figure.add_scatter(
            x=table["answer_digit"],
            y=table[column],
            error_y=bars,
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertemplate="%{x}: %{y:.3g} logits<extra></extra>",
            row=2,
            col=1,
        )
    figure.add_hline(y=0, line={"color": INK, "width": 1, "dash": "dot"}, row=2)


def _hover(result: Intervened, roles: list[str], tokens: list[str]) -> np.ndarray:
    before, after = result.before.values, result.after.values
    lines = [
        [
            f"{role}, token {token}<br>logit {number(before[k, t])} → {number(after[k, t])}"
            for k, role in enumerate(roles)
        ]
        for t, token in enumerate(tokens)
    ]
    return np.array(lines, dtype=object)

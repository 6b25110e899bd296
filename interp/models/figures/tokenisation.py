"""Figure of the tokens of a prompt, coloured by role."""

from __future__ import annotations

import plotly.graph_objects as go

from interp.figures.registry import renders
from interp.figures.theme import CATEGORIES, INK, PALE, frame, translucent
from interp.models.results.tokenisation import TokenisationReport

_ACROSS = 14
_FAMILIES = (
    ("first operand", "a", CATEGORIES[0]),
    ("second operand", "b", CATEGORIES[1]),
    ("further operands", "defghi", CATEGORIES[4]),
    ("answer", "c", CATEGORIES[2]),
    ("chain of thought", "t", CATEGORIES[3]),
)


@renders(TokenisationReport)
def tokenisation(result: TokenisationReport) -> go.Figure:
    """Plot one example: a box for each token with its role below, coloured by number."""
    figure = go.Figure()
    example = result.example
    rows = -(-len(example) // _ACROSS)
    for place, (token, role) in enumerate(zip(example["token"], example["role"], strict=True)):
        x, y = place % _ACROSS, -(place // _ACROSS)
        figure.add_shape(
            type="rect",
            x0=x - 0.46,
            x1=x + 0.46,
            y0=y - 0.4,
            y1=y + 0.4,
            line={"width": 0},
            fillcolor=_colour(str(role)),
        )
        shown = str(token).replace("\n", "⏎").replace(" ", "␣") or "∅"
        text = f"<b>{_escaped(shown)}</b><br><sub>{role or '–'}</sub>"
        figure.add_annotation(x=x, y=y, text=text, showarrow=False, font={"color": INK})
    for name, letters, colour in _FAMILIES:
        if any(_letter(str(role)) in letters for role in example["role"]):
            marker = {"color": translucent(colour, 0.35), "size": 12, "symbol": "square"}
            figure.add_trace(
                go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker)
            )
    figure.update_xaxes(visible=False, range=[-0.6, min(_ACROSS, len(example)) - 0.4])
    figure.update_yaxes(visible=False, range=[-rows + 0.5, 0.5])
    moving = ", ".join(result.moving_roles) or "none"
    return frame(
        figure,
        title="How does it read a prompt?",
        caption=f"{result.caption} · format {result.format} · {_length(result)} tokens · roles "
        f"whose position varies: {moving} · index 0 is the least significant digit",
        notes=result.notes,
        height=74 * rows,
        legend=True,
    )


def _length(result: TokenisationReport) -> str:
    least, most = result.tokens_min, result.tokens_max
    return str(least) if least == most else f"{least} to {most}"


def _letter(role: str) -> str:
    """The letter of a digit, packed-digits or thought role; '' for any other."""
    return role[0] if len(role) > 1 and (role[1].isdigit() or role[1] == "[") else " "


def _colour(role: str) -> str:
    for _, letters, colour in _FAMILIES:
        if _letter(role) in letters:
            return translucent(colour, 0.35)
    return PALE


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""Figure of a causal test: the answer after an edit along a probe's direction."""

import re
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import most_first
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, PALE, error_bars, frame
from interp.results.display import number
from probes.results.causal_test import ProbeUse

_ARMS = {  # colour, symbol, whether filled
    "probe": ("step along the probe", ACCENT, "circle", True),
    "random": ("random step as long", GREY, "square", False),
    "clean": ("no step", INK, "x-thin", False),
}
_OTHERS = ("the same, to what is predicted for another prompt", ACCENT, "circle", False)
_PANELS = {
    "predicted": "Becomes the predicted digit",
    "original": "Stays the model's own digit",
    "right": "Is the right digit",
}


@renders(ProbeUse)
def probe_use(result: ProbeUse) -> go.Figure:
    """Plot shares of prompts by answer digit after the probe's step, random steps and no step.

    Shows predicted and original (removing: original and right) and, beside predicted, how often the
    probe's step gives the digit predicted for another prompt. The digit that the target names is
    shaded. Digits that no edit should change are left out."""
    table = result.outcomes
    panels = ("predicted", "original") if result.mode == "move" else ("original", "right")
    counted = table[table["n"] > 0] if table["n"].any() else table
    digits = most_first(sorted(dict.fromkeys(counted["answer_digit"]), key=_index))
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.05,
        subplot_titles=[_PANELS[panel] for panel in panels],
    )
    for col, panel in enumerate(panels, 1):
        for arm in [arm for arm in _ARMS if arm in set(table["arm"])]:
            part = table[table["arm"] == arm].set_index("answer_digit").loc[digits]
            figure.add_trace(_points(part, panel, arm, legend=col == 1), row=1, col=col)
        if panel == "predicted":
            stepped = table[table["arm"] == "probe"].set_index("answer_digit").loc[digits]
            figure.add_trace(_points(stepped, "mismatched", "others", legend=True), row=1, col=col)
        if result.named in digits and len(digits) > 1:
            at = digits.index(result.named)
            figure.add_vrect(
                x0=at - 0.5, x1=at + 0.5, fillcolor=PALE, opacity=0.6, layer="below",
                line_width=0, row=1, col=col,
            )  # fmt: skip
    figure.update_xaxes(
        type="category",
        title="answer digit (index 0 least significant)",
        range=[-0.5, len(digits) - 0.5],
    )
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_yaxes(title="prompts", col=1)
    figure.update_layout(scattermode="group", scattergap=0.5)
    figure.update_annotations(font={"size": 13})
    if not table["n"].any():
        nothing = {"text": "no prompt has another digit predicted here", "showarrow": False}
        figure.add_annotation(**nothing, xref="paper", yref="paper", x=0.5, y=0.5)
    head = f" head {result.head}" if result.head >= 0 else ""
    return frame(
        figure,
        title=f"Does the answer use what the probe of {result.target} reads at {result.site} of "
        f"layer {result.layer}{head}, {result.role}?",
        caption=_caption(result),
        notes=result.notes,
        verdict=result.verdict,
        height=320,
        legend=True,
    )


def _index(role: str) -> int:
    """Position of a role's lowest digit; a sign has none and comes first."""
    found = re.search(r"\d+", role)
    return int(found[0]) if found else -1


def _points(part: pd.DataFrame, panel: str, arm: str, legend: bool) -> go.Scatter:
    name, colour, symbol, filled = _ARMS.get(arm, _OTHERS)
    value = part[panel]
    bars: dict[str, Any] = error_bars(value, part[f"{panel}_low"], part[f"{panel}_high"], colour)
    return go.Scatter(
        x=list(part.index),
        y=value,
        error_y=bars,
        mode="markers",
        name=name,
        legendgroup=arm,
        offsetgroup=arm,
        showlegend=legend,
        cliponaxis=False,
        customdata=part[["n", "logit", "logit_low", "logit_high"]],
        hovertemplate="%{x}: %{y:.1%} of %{customdata[0]:,}<br>logit(predicted) − logit(own) "
        "%{customdata[1]:.3g} [%{customdata[2]:.3g}, %{customdata[3]:.3g}]"
        f"<extra>{name}</extra>",
        marker={
            "size": 9,
            "symbol": symbol,
            "color": colour if filled else "white",
            "line": {"color": colour, "width": 1.6},
        },
    )


def _caption(result: ProbeUse) -> str:
    parts = [result.caption, f"mode {result.mode}"]
    parts += [f"along {along}"] if (along := result.settings.get("along")) else []
    parts.append(f"mean step {number(result.norm)} against a norm of {number(result.stream)}")
    if result.mode == "move":
        parts.append("counted are prompts whose predicted digit is not the model's own already")
    parts += (
        [f"{result.target} names {result.named} (shaded, beside others)"] if result.named else []
    )
    return " · ".join(parts)

"""Figures of the helix: is an operand a helix, and does its fit carry the answer?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interp.figures.registry import Figures, renders, shows
from interp.figures.theme import CATEGORIES, GREY, PALE, SYMBOLS, error_bars, frame
from interp.geometry.figures.figure import errors_by_offset
from interp.geometry.results.helix import HelixFit

_NAMES = (
    *("helix", "PCA of the activation", "circle", "polynomial"),
    *("helix, values permuted", "activation"),
    *("moved along the helix", "moved, helix, values permuted"),
)
_TICKS = 12
_ARMS = {  # colour and pattern
    "clean": (PALE, ""), "remove": (CATEGORIES[5], ""), "remove random": (GREY, ""),
    "remove values permuted": (GREY, "/"), "keep": (CATEGORIES[2], ""), "keep random": (GREY, "."),
    "keep values permuted": (GREY, "x"),
}  # fmt: skip
_COLOUR = dict(zip(_NAMES, (*CATEGORIES[:4], GREY, *CATEGORIES[5:7], PALE), strict=True))


@renders(HelixFit)
def helix(result: HelixFit) -> go.Figure:
    """R² on held-out values by layer, of the helix and its rivals."""
    plot = go.Figure()
    for i, (name, own) in enumerate(result.fits.groupby("fit", sort=False)):
        _line(plot, own, "r2_test", str(name), i)
    plot.update_xaxes(title=f"{result.settings['site']} of layer", **_whole(result.fits["layer"]))
    low = float(result.fits["r2_test"].min())
    plot.update_yaxes(title="R² on held-out values", range=[max(-1.0, min(low, 0)) - 0.05, 1.02])
    return frame(
        plot,
        title=f"Is the number {result.settings['operand']} a helix?",
        caption=f"{result.caption} · {result.settings['columns']} columns each; the PCA sees the "
        "held-out activation",
        notes=result.notes,
        verdict=result.verdict,
        height=360,
        legend=True,
    )


@shows(HelixFit)
def helix_parts(result: HelixFit) -> Figures:
    """Circular probes by layer, and logit differences of the patched fits."""
    parts = {"circles": _circles(result)}
    if len(result.patched):
        parts["patched"] = _patched(result)
    if len(result.removal):
        parts["removal"] = _removal(result)
    if len(result.errors):
        parts["errors"] = _errors(result)
    return parts


def _removal(result: HelixFit) -> go.Figure:
    plot = go.Figure()
    for arm, (colour, pattern) in _ARMS.items():
        own = result.removal[result.removal["arm"] == arm]
        if len(own):
            plot.add_bar(
                x=own["answer_digit"], y=own["accuracy"], name=arm,
                error_y=error_bars(own["accuracy"], own["low"], own["high"]),
                marker={"color": colour, "pattern": {"shape": pattern, "fillmode": "overlay",
                                                     "fgcolor": "white", "size": 5}},
            )  # fmt: skip
    plot.update_xaxes(title="answer digit", type="category")
    plot.update_yaxes(title="accuracy", range=[0, 1.05])
    return frame(
        plot,
        title="Does the model need the plane of the helix, and is it enough?",
        caption=f"{result.caption} · layer {result.best_layer}; random: planes of as many "
        "dimensions in the space of the values' means; 95 % bootstrap intervals",
        notes=result.notes,
        height=360,
        legend=True,
    )


def _errors(result: HelixFit) -> go.Figure:
    return frame(
        errors_by_offset(result.errors),
        title="Which errors does the model make without the helix?",
        caption=f"{result.caption} · layer {result.best_layer}",
        notes=result.notes,
        height=320,
        legend=True,
    )


def _circles(result: HelixFit) -> go.Figure:
    plot = go.Figure()
    for i, (name, own) in enumerate(result.circles.groupby("probe", sort=False)):
        plot.add_scatter(
            x=own["layer"], y=own["accuracy"], mode="lines+markers", name=str(name),
            line={"color": (CATEGORIES[0], CATEGORIES[1], GREY)[i % 3]},
            marker={"symbol": SYMBOLS[i]},
        )  # fmt: skip
    plot.add_hline(y=0.1, line={"dash": "dot", "color": GREY})
    plot.update_xaxes(title="layer", **_whole(result.circles["layer"]))
    plot.update_yaxes(title="last digits read right", range=[0, 1.02])
    return frame(
        plot,
        title="Is the last digit read off a circle?",
        caption=f"{result.caption} · bias-free, on held-out values; dotted: chance in base 10",
        notes=result.notes,
        height=320,
        legend=True,
    )


def _patched(result: HelixFit) -> go.Figure:
    plot = go.Figure()
    for i, (name, own) in enumerate(result.patched.groupby("patched", sort=False)):
        _line(plot, own, "logit_difference", str(name), i)
    plot.update_xaxes(title="layer", **_whole(result.patched["layer"]))
    plot.update_yaxes(title="logit difference", zeroline=True, zerolinecolor=GREY)
    n = int(result.patched["n"].iloc[0])
    distinct = int(result.patched["n_distinct"].iloc[0])
    return frame(
        plot,
        title="Does the fitted vector carry the answer?",
        caption=f"{result.caption} · {n} corrupted runs ({distinct} distinct prompts), 95 % "
        "bootstrap intervals",
        notes=result.notes,
        height=360,
        legend=True,
    )


def _whole(layers: pd.Series) -> dict[str, Any]:
    """Ticks at whole layers alone."""
    return {"dtick": 1} if layers.nunique() <= _TICKS else {}


def _line(plot: go.Figure, own: pd.DataFrame, column: str, name: str, i: int) -> None:
    bars = None
    if "low" in own:
        bars = error_bars(own[column], own["low"], own["high"], _COLOUR.get(name, GREY), thin=True)
    plot.add_scatter(
        x=own["layer"], y=own[column], error_y=bars, mode="lines+markers", name=name,
        line={"color": _COLOUR.get(name, GREY)},
        marker={"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 7},
    )  # fmt: skip

"""Figures of the probes of numbers near a multiple: by k and wording, and by layer."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import Figures, renders, shows
from interp.figures.theme import CATEGORIES, GREY, INK, SYMBOLS, error_bars, frame
from probes.results.near import NearMultiples

_WORDINGS = {"digits": "digits", "paraphrased": "digits, other sentences", "words": "words"}
_PALE = 0.35  # opacity of a bar


@renders(NearMultiples)
def near_multiples(result: NearMultiples) -> go.Figure:
    """Accuracy at the chosen layer by k, beside the larger class and the digits alone; pale where a
    probe does not beat each of its controls."""
    rows = result.chosen.assign(opacity=1.0)
    if len(result.tests):
        beats = result.beats_all[pd.MultiIndex.from_frame(rows[["k", "wording"]])]
        rows["opacity"] = np.where(beats.to_numpy(bool), 1.0, _PALE)
    ks = [str(k) for k in dict.fromkeys(rows["k"])]
    figure = go.Figure()
    for at, (wording, name) in enumerate(_WORDINGS.items()):
        part = rows[rows["wording"] == wording]
        figure.add_trace(
            go.Bar(
                x=part["k"].astype(str), y=part["accuracy"], name=name,
                marker={"color": CATEGORIES[at], "opacity": part["opacity"]},
                error_y=error_bars(part["accuracy"], part["low"], part["high"], INK),
                customdata=part[["layer", "n", "untrained"]],
                hovertemplate="k = %{x}: %{y:.1%}, layer %{customdata[0]}, n = %{customdata[1]:,}"
                "<br>random weights %{customdata[2]:.1%}<extra>" + name + "</extra>",
            )
        )  # fmt: skip
    once = rows[rows["wording"] == "digits"]
    for column, name, symbol in (
        ("majority", "larger class", "line-ew"),
        ("digits_alone", "the digits alone, no model", "diamond"),
    ):
        figure.add_trace(
            go.Scatter(
                x=once["k"].astype(str), y=once[column], name=name, mode="markers",
                marker={
                    "symbol": symbol, "size": 34 if symbol == "line-ew" else 9, "color": "white",
                    "line": {"color": INK, "width": 2},
                },
                hovertemplate="%{y:.1%}<extra>" + name + "</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title="k", type="category", categoryarray=ks, categoryorder="array")
    figure.update_yaxes(title="right on new numbers", tickformat=".0%", range=[0, 1.02])
    figure.update_layout(barmode="group", bargap=0.3)
    return frame(
        figure,
        title="Is the number near a multiple of k?",
        caption=f"{result.caption} · probe fitted on {result.settings['n']:,} numbers in digits"
        + (" · pale: does not beat each of its controls" if len(result.tests) else ""),
        notes=result.notes,
        verdict=result.verdict,
        height=320,
        legend=True,
    )


@shows(NearMultiples)
def closer(result: NearMultiples) -> Figures:
    """Accuracy by layer, and the statistics of the states."""
    return {"layers": _layers(result), "states": _states(result)}


def _layers(result: NearMultiples) -> go.Figure:
    ks = list(dict.fromkeys(result.scores["k"]))
    figure = make_subplots(
        cols=len(_WORDINGS), shared_yaxes=True, horizontal_spacing=0.04,
        subplot_titles=list(_WORDINGS.values()),
    )  # fmt: skip
    for col, wording in enumerate(_WORDINGS, 1):
        for k, colour, symbol in zip(ks, CATEGORIES, SYMBOLS, strict=False):
            part = result.scores[(result.scores["wording"] == wording) & (result.scores["k"] == k)]
            figure.add_trace(
                go.Scatter(
                    x=part["layer"], y=part["accuracy"], name=f"k = {k}", legendgroup=str(k),
                    showlegend=col == 1, mode="lines+markers", line={"color": colour},
                    marker={"symbol": symbol, "size": 6},
                ),
                row=1, col=col,
            )  # fmt: skip
            figure.add_trace(
                go.Scatter(
                    x=part["layer"], y=part["majority"], mode="lines", showlegend=False,
                    line={"color": colour, "dash": "dot", "width": 1}, hoverinfo="skip",
                ),
                row=1, col=col,
            )  # fmt: skip
    figure.update_xaxes(title="layer")
    figure.update_yaxes(title="right on new numbers", tickformat=".0%", col=1)
    figure.update_annotations(font_size=13)
    return frame(
        figure,
        title="At which layer?",
        caption=f"{result.caption} · dotted: the larger class",
        notes=result.notes,
        height=300,
        legend=True,
    )


def _states(result: NearMultiples) -> go.Figure:
    named = {
        "spectral_entropy": "spectral entropy, nats", "effective_rank": "effective rank",
        "trace": "trace of the covariance", "entropy": "entropy of activations, nats",
        "root_variance_size": "√variance · size", "cosine": "cosine to the next mean",
    }  # fmt: skip
    figure = make_subplots(
        rows=2, cols=3, subplot_titles=list(named.values()), horizontal_spacing=0.09,
        vertical_spacing=0.2,
    )  # fmt: skip
    for at, column in enumerate(named):
        figure.add_trace(
            go.Scatter(
                x=result.states["layer"], y=result.states[column], mode="lines+markers",
                showlegend=False, line={"color": GREY}, marker={"color": CATEGORIES[0], "size": 5},
            ),
            row=at // 3 + 1, col=at % 3 + 1,
        )  # fmt: skip
    figure.update_xaxes(title="layer", row=2)
    figure.update_yaxes(rangemode="tozero")
    figure.update_annotations(font_size=12)
    return frame(
        figure,
        title="How are the states of numbers spread, layer by layer?",
        caption=f"{result.caption} · {result.settings['n']:,} states a layer",
        notes=("what a layer computes: none of these is a gradient or an accuracy",),
        height=420,
    )

"""Figures of the Fourier fits: do the numbers lie on waves?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import count_axis, heatmap, outline, signed_text
from interp.figures.registry import Figures, renders, shows
from interp.figures.theme import ACCENT, CATEGORIES, GREY, SYMBOLS, error_bars, frame
from interp.geometry.results.fourier import FourierFits
from interp.results.display import number

_MOST = 40  # places in the main figure; the best of each object beyond
_SIGNIFICANT = 0.05


@renders(FourierFits)
def fourier(result: FourierFits) -> go.Figure:
    """R² of each place beside its null; many places: the best of each object and role."""
    table = result.places
    if len(table) > _MOST:
        index = table.groupby(["object", "role"], sort=False)["adjusted"].idxmax()
        table = table.loc[index]
    names = [_name(row) for _, row in table.iterrows()]
    figure = go.Figure()
    for column, label, colour, symbol in (
        ("null", "permuted numbers (90 % of draws)", GREY, "line-ns-open"),
        ("r2", "R², median over rows", ACCENT, "circle"),
    ):
        bars = None
        if column == "null":
            bars = error_bars(table["null"], table["null_low"], table["null_high"], colour)
        elif "low" in table:
            bars = error_bars(table["r2"], table["low"], table["high"], colour, thin=True)
        figure.add_scatter(
            x=table[column],
            y=names,
            error_x=bars,
            mode="markers",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 9},
            customdata=[f"p = {number(p)} (best of all: {number(q)})"
                        for p, q in zip(table["p"], table["p_best"], strict=True)],
            hovertemplate="%{y}: %{x:.3f}, %{customdata}<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=table["expected"], y=names, mode="markers", name="expected of random rows",
        marker={"color": GREY, "symbol": "x-thin-open", "size": 8}, hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(title="R² on the waves", range=[0, 1.02])
    figure.update_yaxes(autorange="reversed", type="category")
    shown = ", ".join(
        dict.fromkeys(f"k = {text.replace(' ', ', ')}" for text in table["frequencies"])
    )
    shown = shown if len(shown) < 60 else "the five strongest of each"
    return frame(
        figure,
        title="Do the numbers lie on a few waves?",
        caption=f"{result.caption} · {shown} and a constant",
        notes=result.notes,
        verdict=_short(result),
        height=26 * len(table) + 70,
        legend=True,
    )


@shows(FourierFits)
def fourier_parts(result: FourierFits) -> Figures:
    """Spectrum and cumulative R² of the best places, and a map by layer and role."""
    parts = {"spectrum": _spectrum(result, "share"), "cumulative": _spectrum(result, "cumulative")}
    sites = result.places[~result.places["object"].isin(_SINGLE)]
    if len(sites):
        parts["layers"] = _layers(result, sites)
    return parts


_SINGLE = ("embedding", "unembedding", "neurons", "logits")


def _short(result: FourierFits) -> str | None:
    verdict = result.verdict
    return verdict if verdict is None or len(verdict) < 400 else None


def _name(row: pd.Series) -> str:
    place = "" if row["object"] in _SINGLE[:3] else f" · layer {row['layer']} · {row['role']}"
    return f"{row['object']}{place}"


def _spectrum(result: FourierFits, column: str) -> go.Figure:
    figure = go.Figure()
    for i, (_, place) in enumerate(result.best.iterrows()):
        own = result.waves_at(place)
        colour = CATEGORIES[i % len(CATEGORIES)]
        if column == "cumulative":
            own = own.sort_values("share", ascending=False)
            x = list(range(1, len(own) + 1))
            hover = [f"k = {k}" for k in own["frequency"]]
        else:
            x = list(own["frequency"])
            hover = [f"period {period:.3g}" for period in own["period"]]
            figure.add_scatter(
                x=x, y=own["null_high"], mode="lines", line={"color": colour, "dash": "dot"},
                showlegend=False, hoverinfo="skip",
            )  # fmt: skip
        figure.add_scatter(
            x=x,
            y=own[column],
            mode="lines+markers",
            name=_name(place),
            line={"color": colour},
            marker={"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 8},
            text=hover,
            hovertemplate="%{text}: %{y:.3f}<extra></extra>",
        )
    what = {
        "share": ("share of variance, median over rows", "Which waves do the numbers have?"),
        "cumulative": ("R², median over rows", "How many waves does it take?"),
    }[column]
    figure.update_yaxes(title=what[0], range=[0, 1.02])
    if max(len(trace.x) for trace in figure.data) <= 10:
        figure.update_xaxes(dtick=1)
    figure.update_xaxes(
        title="frequency k" if column == "share" else "strongest frequencies taken together"
    )
    dotted = " · dotted: 95 % of permuted numbers" if column == "share" else ""
    return frame(
        figure,
        title=what[1],
        caption=f"{result.caption}{dotted} · the best place of each object",
        notes=result.notes,
        height=360,
        legend=True,
    )


def _layers(result: FourierFits, sites: pd.DataFrame) -> go.Figure:
    site = str(sites["object"].iloc[0])
    own = sites[sites["object"] == site]
    table = own.pivot(index="role", columns="layer", values="adjusted")
    table = table.reindex(list(dict.fromkeys(own["role"])))
    p = own.pivot(index="role", columns="layer", values="p_best").reindex(table.index)
    values = table.to_numpy(float)
    columns = [str(layer) for layer in table.columns]
    figure = make_subplots()
    figure.add_trace(
        heatmap(
            values,
            columns,
            list(table.index),
            scale={"colorscale": "RdBu", "zmin": -1.0, "zmax": 1.0},
            bar={"title": {"text": "adjusted R²", "side": "top"}},
            text=signed_text(values),
        )
    )
    outline(figure, np.asarray(p.to_numpy(float) < _SIGNIFICANT))
    figure.update_xaxes(title="layer", **count_axis(columns))
    figure.update_yaxes(type="category", autorange="reversed")
    return frame(
        figure,
        title=f"Where do class means of {site} lie on waves?",
        caption=f"{result.caption} · framed: p < 0.05 against the best of all places",
        notes=result.notes,
        height=max(200, 30 * len(table) + 60),
    )

"""Figures of a regular figure: what shape have the numbers, and is it used?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.express.colors import cyclical, sample_colorscale
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap, signed_text
from interp.figures.registry import Figures, renders, shows
from interp.figures.theme import ACCENT, CATEGORIES, DIGITS, GREY, PALE, error_bars, frame
from interp.geometry.results.figure import RegularFigure

_LABELLED = 30  # numbers; above it points have no text


@renders(RegularFigure)
def figure(result: RegularFigure) -> go.Figure:
    """Class means in their first three principal components, with the walk n → n + 4."""
    table = result.points
    axes = [name for name in ("pc1", "pc2", "pc3") if name in table]
    while len(axes) < 3:
        axes.append(axes[-1])
    q, step = len(table), walk(result)
    xyz = table[axes].to_numpy(float)
    plot = go.Figure()
    edges = [(v, (v + q // 2) % q) for v in range(q // 2)] if q == 10 else []
    _lines(plot, xyz, edges, PALE, "n ↔ n + 5")
    _lines(plot, xyz, [(v, (v + step) % q) for v in range(q)], GREY, f"walk n → n + {step}")
    plot.add_scatter3d(
        x=xyz[:, 0],
        y=xyz[:, 1],
        z=xyz[:, 2],
        mode="markers+text" if q <= _LABELLED else "markers",
        text=[str(v) for v in table["number"]],
        textposition="top center",
        marker={"color": colours(q), "size": 7 if q <= _LABELLED else 4},
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    shares = result.components["explained"]
    titles = [f"PC{i + 1} ({100 * shares.iloc[i]:.0f} %)" for i in range(min(3, len(shares)))]
    titles += [""] * (3 - len(titles))
    plot.update_layout(
        scene={
            **{
                f"{x}axis": {
                    "title": {"text": t},
                    "showticklabels": False,
                    "backgroundcolor": "white",
                    "gridcolor": PALE,
                }
                for x, t in zip("xyz", titles, strict=True)
            },
            "camera": {"eye": {"x": 1.5, "y": 1.2, "z": 0.9}},
        },
    )  # fmt: skip
    s = result.settings
    return frame(
        plot,
        title=f"What shape have the numbers {result.number}?",
        caption=f"{result.caption} · {s['site']}, layer {s['layer']}, {s['role']} · means of "
        f"prompts by number, principal components of the means",
        notes=result.notes,
        verdict=result.verdict,
        height=460,
        legend=True,
    )


@shows(RegularFigure)
def figure_parts(result: RegularFigure) -> Figures:
    """Planes of the waves, alignment of the components, and the causal test."""
    parts = {"circles": _circles(result), "alignment": _alignment(result)}
    if len(result.moves):
        parts["causal"] = _causal(result)
        parts["errors"] = _errors(result)
    return parts


def walk(result: RegularFigure) -> int:
    """The step whose walk goes round: 4 for ten digits (a face of the prism), else the inverse of
    the strongest frequency."""
    q = len(result.points)
    if q == 10:
        return 4
    strongest = int(result.circles.loc[result.circles["share"].idxmax(), "frequency"])
    return pow(strongest, -1, q) if np.gcd(strongest, q) == 1 else 1


def colours(q: int) -> list[str]:
    """A cyclic colour for each number."""
    if q == 10:
        return list(DIGITS)
    return list(sample_colorscale(cyclical.Phase, [v / q for v in range(q)]))


def _lines(
    plot: go.Figure, xyz: np.ndarray, pairs: list[tuple[int, int]], colour: str, name: str
) -> None:
    if not pairs:
        return
    gap = np.full(3, np.nan)
    path = np.array([point for a, b in pairs for point in (xyz[a], xyz[b], gap)])
    plot.add_scatter3d(
        x=path[:, 0], y=path[:, 1], z=path[:, 2], mode="lines", name=name,
        line={"color": colour, "width": 4}, hoverinfo="skip",
    )  # fmt: skip


def _circles(result: RegularFigure) -> go.Figure:
    waves = list(result.settings["frequencies"])
    table = result.circles.set_index("frequency")
    titles = [
        f"k = {k}: {100 * table.loc[k, 'share']:.1f} % (p = {table.loc[k, 'p_share']:.2g})"
        for k in waves
    ]
    plot = make_subplots(cols=len(waves), subplot_titles=titles)
    q = len(result.points)
    for i, k in enumerate(waves, 1):
        plot.add_scatter(
            x=result.points[f"x{k}"],
            y=result.points[f"y{k}"],
            mode="markers+text" if q <= _LABELLED else "markers",
            text=[str(v) for v in result.points["number"]],
            textposition="top center",
            marker={"color": colours(q), "size": 9},
            showlegend=False,
            row=1,
            col=i,
        )
        plot.update_yaxes(scaleanchor=f"x{i if i > 1 else ''}", row=1, col=i)
    return frame(
        plot,
        title="Do the numbers lie on circles?",
        caption=f"{result.caption} · the class means in the plane of each wave",
        notes=result.notes,
        height=320,
    )


def _alignment(result: RegularFigure) -> go.Figure:
    table = result.components
    names = [name for name in table if name.startswith("k")]
    values = table[names].to_numpy(float)
    rows = [
        f"PC{row.component} ({100 * row.explained:.0f} %, p = {row.p:.2g})"
        for row in table.itertuples()
    ]
    plot = go.Figure(
        heatmap(
            values,
            [name[1:] for name in names],
            rows,
            scale={"colorscale": "Cividis", "zmin": 0, "zmax": 1},
            bar={"title": {"text": "share", "side": "top"}},
            text=signed_text(values),
        )
    )
    plot.update_xaxes(title="frequency k", type="category")
    plot.update_yaxes(autorange="reversed")
    return frame(
        plot,
        title="Which wave is each principal component?",
        caption=f"{result.caption} · share of the component's profile over the numbers; p against "
        "the best frequency of permuted numbers",
        height=30 * len(table) + 60,
    )


def _errors(result: RegularFigure) -> go.Figure:
    """Said minus right where the waves are removed, beside as many random directions."""
    plot = errors_by_offset(result.errors)
    return frame(
        plot,
        title="Which errors does the model make without the waves?",
        caption=result.caption,
        notes=result.notes,
        height=320,
        legend=True,
    )


def errors_by_offset(errors: pd.DataFrame) -> go.Figure:
    """Bars of said minus right, mean over the answer's digits: clean, removed, random removed."""
    plot = go.Figure()
    table = errors[errors["offset"] != 0]
    every = sorted(table["offset"].unique())
    digits = max(1, errors["answer_digit"].nunique())
    for arm, colour in (("clean", PALE), ("remove", CATEGORIES[5]), ("remove random", GREY)):
        own = table[table["arm"] == arm].groupby("offset")["share"].sum()
        plot.add_bar(
            x=[str(offset) if offset >= 0 else "no number" for offset in every],
            y=[float(own.get(offset, 0.0)) / digits for offset in every],
            name=arm,
            marker={"color": colour},
        )
    plot.update_xaxes(title="said − right (mod the number of digits)", type="category")
    plot.update_yaxes(title="share of all answer digits")
    return plot


def _causal(result: RegularFigure) -> go.Figure:
    plot = make_subplots(
        cols=2, subplot_titles=("moved along the figure", "waves removed or kept"),
        horizontal_spacing=0.12,
    )  # fmt: skip
    for arm, colour in (("move", ACCENT), ("random", GREY), ("clean", PALE)):
        own = result.moves[result.moves["arm"] == arm]
        plot.add_bar(
            x=[f"+{step}" for step in own["step"]],
            y=own["followed"],
            error_y=error_bars(own["followed"], own["low"], own["high"]),
            name=f"{arm}d" if arm == "move" else arm,
            marker={"color": colour},
            row=1,
            col=1,
        )
    names = ("clean", "remove", "remove random", "keep", "keep random")
    shades = (PALE, CATEGORIES[5], GREY, CATEGORIES[2], GREY)
    for arm, colour in zip(names, shades, strict=True):
        own = result.removal[result.removal["arm"] == arm]
        plot.add_scatter(
            x=own["answer_digit"], y=own["accuracy"], name=arm, mode="lines+markers",
            line={"color": colour, "dash": "dot" if "random" in arm else "solid"},
            error_y=error_bars(own["accuracy"], own["low"], own["high"], colour, thin=True),
            showlegend=arm in ("remove", "keep"),
            row=1, col=2,
        )  # fmt: skip
    plot.update_yaxes(title="share of changed digits said", range=[0, 1.05], row=1, col=1)
    plot.update_yaxes(title="accuracy", range=[0, 1.05], row=1, col=2)
    plot.update_xaxes(title="step", row=1, col=1)
    plot.update_xaxes(title="answer digit", row=1, col=2)
    return frame(
        plot,
        title="Is the figure used?",
        caption=f"{result.caption} · random: displacements of the same length; dotted: as many "
        "within-class directions removed or kept",
        notes=result.notes,
        verdict=result.verdict,
        height=340,
        legend=True,
    )

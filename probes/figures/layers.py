"""Figure of probe score by layer, one line per control."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.errors import InputError
from interp.figures.theme import CATEGORIES, GREY, INK, SYMBOLS, frame, translucent
from probes.figures.cell import CONTROLS
from probes.results.sweep import ASKED_FOR, ProbeSweep, split_words

_MAX_ROLES = 9
_LOWEST = -0.5  # lower limit of the R² axis
_STYLE = {  # colour, dash, and a symbol where lines meet
    "shown": (INK, "solid", SYMBOLS[1]),
    "one_hot": (CATEGORIES[1], "dash", SYMBOLS[2]),
    "embedding": (CATEGORIES[2], "dash", SYMBOLS[3]),
    "untrained": (CATEGORIES[3], "dashdot", SYMBOLS[5]),
    "shuffled": (CATEGORIES[5], "dot", SYMBOLS[4]),
    "control_task": (CATEGORIES[4], "dot", SYMBOLS[6]),
    "constant": (GREY, "dot", SYMBOLS[7]),
}


def score_by_layer(
    result: ProbeSweep, target: str, site: str | None = None, head: int | None = None
) -> go.Figure:
    """Plot held-out score by layer with its controls, one panel per role.

    The band is the interval of the gain, drawn from the reference. `site` defaults to the first
    probed site; `head` applies to `z`.

    Raises:
        InputError: for a target, site or head that was not probed.
    """
    table = result.frame
    mine = table[table["target"] == target]
    if mine.empty:
        raise InputError(f"{target!r} was not probed; there are {', '.join(result.names)}")
    site = str(mine["site"].iloc[0]) if site is None else site
    mine = mine[mine["site"] == site]
    head = -1 if head is None and (mine["head"] < 0).any() else head
    mine = mine[mine["head"] == (mine["head"].min() if head is None else head)]
    if mine.empty:
        raise InputError(f"{target} was not probed at {site!r}, head {head}")
    roles = list(dict.fromkeys(mine["role"]))[:_MAX_ROLES]
    wide = min(len(roles), 4 if len(roles) in (4, 7, 8) else 3)
    deep = -(-len(roles) // wide)
    height = 200 * deep + 60 * (deep - 1) + 20
    figure = make_subplots(
        rows=deep,
        cols=wide,
        shared_yaxes=True,
        subplot_titles=roles,
        horizontal_spacing=0.03,
        vertical_spacing=70 / height if deep > 1 else 0,
    )
    for number, role in enumerate(roles):
        part = mine[mine["role"] == role].sort_values("layer")
        for trace in _lines(part, legend=number == 0):
            figure.add_trace(trace, row=number // wide + 1, col=number % wide + 1)
    metric = "R²" if mine["metric"].iloc[0] == "r2" else "accuracy"
    figure.update_xaxes(title="layer", dtick=max(1, int(mine["layer"].max()) // 10))
    drawn = mine[["score", *_STYLE]].to_numpy()
    low = min(0.0, max(_LOWEST, float(np.nanmin(drawn))))
    figure.update_yaxes(range=[low - 0.05, 1.05])
    figure.update_yaxes(title=f"held-out {metric}", col=1)
    figure.update_annotations(font={"size": 13})
    where = f"{site} head {head}" if head is not None and head >= 0 else site
    return frame(
        figure,
        title=f"{target} at {where}, layer by layer",
        caption=_caption(result, mine, bool(np.nanmin(drawn) < _LOWEST)),
        notes=result.notes,
        height=height,
    ).update_layout(legend={"font": {"size": 11}, "traceorder": "reversed"})


def _lines(part: pd.DataFrame, legend: bool) -> list[go.Scatter]:
    """Traces in drawing order: the band, every measured control, the probe."""
    colour = CATEGORIES[0]
    reference = part["score"] - part["gain"]
    low, high = ((reference + part[f"gain_{end}"]).to_numpy() for end in ("low", "high"))
    layers = part["layer"].to_numpy()
    traces = [
        go.Scatter(
            x=[*layers, *layers[::-1]],
            y=[*high, *low[::-1]],
            mode="lines",
            fill="toself",
            fillcolor=translucent(colour, 0.18),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
        )
    ]
    for name, (ink, dash, symbol) in _STYLE.items():
        if part[name].notna().any():
            traces.append(_line(part, name, CONTROLS[name], ink, dash, symbol, 1.3, legend))
    traces.append(_line(part, "score", "the probe", colour, "solid", SYMBOLS[0], 2.4, legend))
    return traces


def _line(
    part: pd.DataFrame,
    column: str,
    name: str,
    colour: str,
    dash: str,
    symbol: str,
    width: float,
    legend: bool,
) -> go.Scatter:
    options: dict[str, Any] = {"showlegend": legend, "legendgroup": name, "name": name}
    return go.Scatter(
        x=part["layer"],
        y=part[column],
        mode="lines+markers",
        line={"color": colour, "width": width, "dash": dash},
        marker={"symbol": symbol, "size": 5 if width < 2 else 7},
        hovertemplate="layer %{x}: %{y:.4g}<extra>" + name + "</extra>",
        **options,
    )


def _caption(result: ProbeSweep, mine: pd.DataFrame, cut: bool) -> str:
    parts = [
        result.caption,
        split_words(result.settings),
        f"{mine['n_test'].iloc[0]:,} held-out prompts",
        f"band: interval of the gain, drawn from {' or '.join(dict.fromkeys(mine['reference']))}",
        "index 0 least significant",
    ]
    parts += [f"below {_LOWEST:g} not drawn".replace("-", "−")] if cut else []
    parts += [ASKED_FOR] if mine["trained_in"].any() else []
    hidden = mine["role"].nunique() - _MAX_ROLES
    parts += [f"the first {_MAX_ROLES} of {hidden + _MAX_ROLES} roles"] if hidden > 0 else []
    return " · ".join(parts)

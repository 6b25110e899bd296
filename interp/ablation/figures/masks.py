"""A schedule drawn as a strip along the layers, and its attention masks as matrices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from interp.figures.matrix import heatmap
from interp.figures.theme import ACCENT, CATEGORIES, PALE

LAST, OTHERS = "last tokens", "other tokens"
ROWS = (LAST, OTHERS)  # from the bottom of the strip
LEGEND = "legend2"  # the strip's own
WAITS = "waits: replaced, but for the sink"
ALONE = "sees itself and the sink"
FREE = "sees all before it, as in the full model"
LOOKS = "looks at "
_LOOKS_AT = {"full-peek": "all before it", "open": "all before it", "operands": "operand digits"}

_HEADING = re.compile(r"layers? (\d+)(?:–(\d+))? \(\d+\): (wait|transfer|compute|as it is)")
_CUT = "; further cut: "  # in a heading, before the cuts of additional masks
_MAX_COUNTS = 40  # layers; with more, a number in a cell is illegible
_MAX_TICKS = 32
_MAX_ROLES = 16  # with more, only every other role is labelled


class State(NamedTuple):
    """The state of a kind of token in some layers: its name, colour and pattern."""

    name: str
    colour: str
    pattern: str = ""


class Mask(NamedTuple):
    """The attention mask of layers with equal masks: `seen` [query, key], NaN for later keys."""

    kind: str  # with its additional cuts
    layers: tuple[int, ...]
    roles: tuple[str, ...]
    seen: npt.NDArray[np.float64]


def n_layers(picture: str) -> int:
    """The number of layers in a picture (`AblationScore.picture`)."""
    return max(max(_layers(found)) for found in _HEADING.finditer(picture)) + 1


def masks(picture: str) -> list[Mask]:
    """The matrices of a picture, one for each kind of layer; waiting layers have none."""
    kinds: dict[str, Mask] = {}
    for block in picture.split("\n\n"):
        heading, *rows = block.splitlines()
        found = _HEADING.match(heading)
        if found is None or found[3] == "wait":
            continue
        roles = tuple(rows[0].split())
        seen = np.full((len(roles), len(roles)), np.nan)
        for query, row in enumerate(rows[1:]):
            seen[query, : query + 1] = [mark == "o" for mark in row.split()[1:]]
        _, cut, edges = heading.partition(_CUT)
        kind = f"{found[3]}{cut and ', cut: '}{edges}"
        before = kinds[kind].layers if kind in kinds else ()
        kinds[kind] = Mask(kind, (*before, *_layers(found)), roles, seen)
    return list(kinds.values())


def add_masks(figure: go.Figure, picture: str, *, row: int) -> None:
    """Add a panel for each kind of layer, from the first column on: queries by row, keys by
    column."""
    for col, mask in enumerate(masks(picture), 1):
        hover = np.array(
            [[f"{q} {'sees' if mask.seen[i, j] == 1 else 'does not see'} {k}"
              for j, k in enumerate(mask.roles)] for i, q in enumerate(mask.roles)],
            dtype=object,
        )  # fmt: skip
        names = [f"{role}\u200b{at}" for at, role in enumerate(mask.roles)]  # a role may recur
        scale = {"colorscale": [[0, PALE], [1, ACCENT]], "zmin": 0, "zmax": 1}
        trace = heatmap(mask.seen, names, names, scale=scale, bar={}, hover=hover)
        trace.showscale = False
        figure.add_trace(trace, row=row, col=col)
        shown = slice(None, None, 1 + (len(names) > _MAX_ROLES))
        ticks: dict[str, Any] = {"tickvals": names[shown], "ticktext": mask.roles[shown]}
        ticks |= {"type": "category", "tickfont": {"size": 11}}
        title = f"{mask.kind}: {spans(mask.layers)}"
        ends = [-0.5, len(names) - 0.5]
        figure.update_xaxes(**ticks, range=ends, title=title, tickangle=-90, row=row, col=col)
        figure.update_yaxes(**ticks, range=ends[::-1], row=row, col=col)
    figure.update_yaxes(title="this token looks at …", row=row, col=1)


def spans(layers: tuple[int, ...]) -> str:
    """Layer indices as text: "layers 0–13, 17"."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    texts = [f"{run[0]}" if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return f"layer{'s' * (len(layers) > 1)} {', '.join(texts)}"


def add_strip(
    figure: go.Figure, spec: Mapping[str, Any], layers: int, *, row: int, col: int
) -> None:
    """Add a strip with a cell for each layer, for the tokens that emit answers and for all others,
    with a legend above.

    `spec` is a `Schedule.spec()`. In transfer layers where only some heads look, the cell shows
    their number.
    """
    states = [
        (where, layer, state_of(spec, layer, last=where == LAST))
        for where in ROWS
        for layer in range(layers)
    ]
    counts = _heads(spec) if layers <= _MAX_COUNTS else {}
    for state in dict.fromkeys(state for _, _, state in states):
        cells = [(where, layer) for where, layer, own in states if own == state]
        text = [counts.get(layer, "") if state.name.startswith(LOOKS) else "" for _, layer in cells]
        figure.add_trace(_cells(state, cells, text), row=row, col=col)
    top = figure.get_subplot(row, col).yaxis.domain[1]
    where = {"x": 0, "xanchor": "left", "y": top, "yanchor": "bottom", "orientation": "h"}
    figure.update_layout(barmode="overlay", **{LEGEND: where})
    figure.update_xaxes(
        title="layer (index)",
        range=[-0.5, layers - 0.5],
        tickvals=list(range(0, layers, -(-layers // _MAX_TICKS))),
        tickangle=0,
        row=row,
        col=col,
    )
    figure.update_yaxes(type="category", categoryarray=list(ROWS), row=row, col=col)


def state_of(spec: Mapping[str, Any], layer: int, *, last: bool) -> State:
    """The state of the last tokens, or of all others, in a layer of a schedule."""
    if layer < spec["wait"]:
        return State(WAITS, PALE)
    for name in ("transfer", "compute"):
        if layer in spec[name]:
            mask = spec[f"{name}_mask"]
            return _peeks(mask if last or mask == "open" else "self-peek")
    return State(FREE, CATEGORIES[4], "/")


def _peeks(mask: str) -> State:
    if mask == "self-peek":
        return State(ALONE, CATEGORIES[1])
    at = _LOOKS_AT.get(mask, f"the {mask.removeprefix('window:')} positions that end with it")
    return State(f"{LOOKS}{at}", ACCENT)


def _cells(state: State, cells: list[tuple[str, int]], text: list[str]) -> go.Bar:
    pattern = {"shape": state.pattern, "fillmode": "overlay", "fgcolor": "white", "size": 6}
    return go.Bar(
        orientation="h",
        y=[where for where, _ in cells],
        x=[1.0] * len(cells),
        base=[layer - 0.5 for _, layer in cells],
        name=state.name,
        legend=LEGEND,
        width=0.8,
        marker={
            "color": state.colour,
            "line": {"color": "white", "width": 1},
            "pattern": pattern,
        },
        text=text,
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"color": "white", "size": 11},
        customdata=[layer for _, layer in cells],
        hovertemplate=f"%{{y}}, layer %{{customdata}}: {state.name}<extra></extra>",
    )


def _heads(spec: Mapping[str, Any]) -> dict[int, str]:
    """Layer → number of heads that look, as text; no entry where all heads look."""
    if spec["heads"] is None:
        return {}
    layers = [layer for layer, _ in spec["heads"]]
    return {layer: f"{layers.count(layer)}" for layer in spec["transfer"]}


def _layers(heading: re.Match[str]) -> range:
    first = int(heading[1])
    return range(first, int(heading[2] or first) + 1)

"""Figures of a probe sweep: gain over the reference by place, and scores by layer."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.errors import InputError
from interp.figures.export import file_name
from interp.figures.matrix import heatmap, outline, signed_text
from interp.figures.registry import renders, shows
from interp.figures.theme import INK, PALE, SIGNED, WIDTH, frame
from probes.figures.cell import measured, probe_cell
from probes.figures.layers import score_by_layer
from probes.results.sweep import ASKED_FOR, ProbeSweep, split_words

FLOW = ("resid_pre", "z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post")
"""Sites in the order in which a block computes them."""

_MAX_PANELS, _MAX_CLOSER = 24, 12
_MAX_LABELLED = 400  # cells; above it no numbers, and dots instead of frames
_ROW, _WIDE = 30, 42  # pixels of a cell, where there is room
_NUMBER, _TALL = 34, 17  # pixels across and down that a number needs
_LEAST = 0.1  # gain; smaller ones are pale
_LETTER = 8  # pixels of a letter of an axis
_SIDES, _BETWEEN = 190, 30  # pixels beside all panels, and between two
_HEAD, _FOOT = 30, 62  # pixels of a panel's title, and of its axis


@renders(ProbeSweep)
def probe_sweep(result: ProbeSweep) -> go.Figure:
    """Plot the gain of every target over its reference: all sites for one target, else one site."""
    if len(result.names) == 1:
        return gain_maps(result)
    sites = set(result.cells["site"])
    return gain_maps(result, site=next(site for site in reversed(FLOW) if site in sites))


@shows(ProbeSweep)
def closer(result: ProbeSweep) -> Mapping[str, go.Figure]:
    """Figures of each target: gain at every site, scores by layer, and the cell with the best
    cross-validated score."""
    figures = {}
    for target in islice(result.names, _MAX_CLOSER):
        best = result.best(target)
        figures[file_name("gain", target)] = gain_maps(result, targets=[target])
        figures[file_name("layers", target)] = score_by_layer(
            result, target, str(best["site"]), int(best["head"])
        )
        figures[file_name("scatter", target)] = probe_cell(result, int(best.name))
    return figures


def gain_maps(
    result: ProbeSweep, targets: Sequence[str] | None = None, site: str | None = None
) -> go.Figure:
    """Plot gain by layer and role, one panel per target; represented cells are framed.

    Raises:
        InputError: for a target or site that was not probed.
    """
    wanted = list(result.names if targets is None else targets)
    panels = [cells_of(result, target, site) for target in wanted[:_MAX_PANELS]]
    rows = list(dict.fromkeys(label for panel in panels for label in panel["row"]))
    known = set(pd.concat(panels)["role"])
    columns = [role for role in dict.fromkeys(result.cells["role"]) if role in known]
    wide = max(1, min(len(panels), (WIDTH - 100) // (_SIDES + _WIDE * len(columns)), 4))
    if len(panels) > 3 and len(columns) <= 12:
        wide = max(2, wide)
    deep = -(-len(panels) // wide)
    tall = max(90, _ROW * len(rows)) if len(rows) <= 16 else max(480, _TALL * len(rows))
    height = deep * tall + (deep - 1) * (_HEAD + _FOOT) + _HEAD
    figure = make_subplots(
        rows=deep,
        cols=wide,
        shared_yaxes=True,
        subplot_titles=[_title(panel) for panel in panels],
        horizontal_spacing=_BETWEEN / (WIDTH - 100),
        vertical_spacing=(_HEAD + _FOOT) / height if deep > 1 else 0,
    )
    scale = _scale(panels)
    across = (WIDTH - _SIDES) / wide / len(columns)
    fits = across >= _NUMBER and tall / len(rows) >= _TALL
    room = fits and sum(map(len, panels)) <= _MAX_LABELLED
    for number, panel in enumerate(panels):
        row, col = number // wide + 1, number % wide + 1
        _panel(figure, panel, rows, columns, scale | {"showscale": number == 0}, room, row, col)
    _axes(figure, columns, _rows_are(panels), across)
    figure.update_yaxes(tickvals=rows, ticktext=rows, range=[-0.5, len(rows) - 0.5])
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="What is represented, beyond what the question gives for free?",
        caption=_caption(result, panels, len(wanted), site, "framed" if room else "dot"),
        notes=result.notes,
        verdict=result.verdict,
        height=height,
    )


def cells_of(result: ProbeSweep, target: str, site: str | None = None) -> pd.DataFrame:
    """Rows of `frame` for a target (at one site), with their index in `frame` and a column `row`:
    the heat map's label of layer, head and site.

    Raises:
        InputError: for a target or site that was not probed.
    """
    table = result.frame
    mine = table[table["target"] == target]
    if mine.empty:
        raise InputError(f"{target!r} was not probed; there are {', '.join(result.names)}")
    if site is not None:
        mine = mine[mine["site"] == site]
        if mine.empty:
            raise InputError(f"{target} was not probed at {site!r}")
    several = mine["site"].nunique() > 1
    mine = mine.assign(
        row=[_row(layer, head, name if several else "")
             for layer, head, name in zip(mine["layer"], mine["head"], mine["site"], strict=True)]
    )  # fmt: skip
    order = pd.DataFrame(
        {"layer": mine["layer"], "site": [FLOW.index(x) if x in FLOW else -1 for x in mine["site"]],
         "head": mine["head"]}
    )  # fmt: skip
    return mine.loc[order.sort_values(["layer", "site", "head"], kind="stable").index]


def _row(layer: int, head: int, site: str) -> str:
    place = f"L{layer}H{head}" if head >= 0 else f"L{layer}"
    return f"{place} {site}".strip()


def _scale(panels: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """One red–blue scale for all panels, symmetric to the largest gain, at least ±_LEAST.

    A score far below the reference reflects few prompts. Such values take the scale's last colour,
    so that they do not wash out the gains.
    """
    top = max(_LEAST, *(float(panel["gain"].max()) for panel in panels))
    return {"colorscale": SIGNED, "zmin": -top, "zmax": top}


def _title(panel: pd.DataFrame) -> str:
    first = panel.iloc[0]
    what = "R²" if first["metric"] == "r2" else "accuracy"
    asked = ", trained in" if panel["trained_in"].any() else ""
    return f"{first['target']} <span style='font-size:11px'>({what}{asked})</span>"


def _panel(
    figure: go.Figure,
    panel: pd.DataFrame,
    rows: Sequence[str],
    columns: Sequence[str],
    scale: dict[str, Any],
    room: bool,
    row: int,
    col: int,
) -> None:
    shape = (len(rows), len(columns))
    gain, half = np.full(shape, np.nan), np.full(shape, np.nan)
    found, hover = np.zeros(shape, dtype=bool), np.full(shape, "", dtype=object)
    seen = np.full(shape, "", dtype=object)
    for cell in panel.to_dict("records"):
        at = rows.index(cell["row"]), columns.index(cell["role"])
        gain[at], half[at] = cell["gain"], (cell["gain_high"] - cell["gain_low"]) / 2
        found[at], hover[at] = cell["represented"], _hover(cell)
        seen[at] = "*" if cell["visible"] else ""
    figure.add_trace(
        heatmap(
            gain,
            columns,
            rows,
            scale=scale,
            bar={"title": {"text": "gain", "side": "top", "font": {"size": 12}}, "x": 1.01},
            text=signed_text(gain) + seen if room else None,
            hover=_or_nothing(hover),
        ),
        row=row,
        col=col,
    )
    if room:
        outline(figure, found, row=row, col=col)
        return
    y, x = (axis.tolist() for axis in np.nonzero(found))
    dots = go.Scatter(x=[columns[i] for i in x], y=[rows[i] for i in y], mode="markers")
    dots.update(
        marker={"size": 5, "color": "white", "line": {"color": INK, "width": 1}},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_trace(dots, row=row, col=col)


def _or_nothing(hover: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    return np.where(hover == "", "not probed: it cannot be known there", hover).astype(object)


def _hover(cell: Mapping[Any, Any]) -> str:
    """Hover text with all measurements of a cell."""
    shows = "as a chain of thought does" if cell["visible"] == "chain" else cell["visible"]
    seen = f"<br>the token shows it: {shows}" if shows else ""
    asked = f"<br>{ASKED_FOR}" if cell["trained_in"] else ""
    return (
        f"<b>{cell['target']}, {cell['row']}, {cell['role']}</b><br>{measured(cell)}<br>"
        f"gain over {cell['reference']} {cell['gain']:.3g} [{cell['gain_low']:.3g}, "
        f"{cell['gain_high']:.3g}], q = {cell['q']:.2g}{seen}{asked}"
    )


def _rows_are(panels: Sequence[pd.DataFrame]) -> str:
    """Title of the row axis: the layer, and site or head if they vary."""
    heads = any((panel["head"] >= 0).any() for panel in panels)
    sites = any(panel["site"].nunique() > 1 for panel in panels)
    return "layer" + ", head" * heads + ", site" * sites


def _axes(figure: go.Figure, columns: Sequence[str], rows_are: str, across: float) -> None:
    short = [column.replace("predicts(", "→").rstrip(")") for column in columns]
    level = max(map(len, short)) * _LETTER <= across
    figure.update_xaxes(
        type="category",
        tickvals=list(columns),
        ticktext=short,
        tickangle=0 if level else -60,
        range=[-0.5, len(columns) - 0.5],
        showticklabels=True,
    )
    figure.update_yaxes(type="category")
    figure.update_xaxes(title="role (index 0 least significant)")
    figure.update_yaxes(title=rows_are, col=1)
    figure.update_layout(plot_bgcolor=PALE)


def _caption(
    result: ProbeSweep, panels: Sequence[pd.DataFrame], wanted: int, site: str | None, mark: str
) -> str:
    parts = [result.caption, split_words(result.settings)]
    parts += [f"at {site}"] if site else []
    parts += [f"{mark}: represented, the interval above 0 and q ≤ 0.05"]
    if min(panel["gain"].min() for panel in panels) < _scale(panels)["zmin"]:
        parts.append("gains below the scale have its last colour")
    if (result.cells["visible"] != "").any():
        parts.append("*: the token there shows it")
    if result.cells["role"].str.startswith("predicts(").any():
        parts.append("→c: where c is about to be written")
    parts.append("grey: not probed, or not known there yet")
    if wanted > _MAX_PANELS:
        parts.append(f"the first {_MAX_PANELS} of {wanted} targets")
    return " · ".join(parts)

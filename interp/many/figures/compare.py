"""Figure of a comparison: two heat maps side by side, and their difference below."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap, most_first, signed_text
from interp.figures.registry import renders
from interp.figures.theme import MAGNITUDE, SIGNED, frame
from interp.many.results.compare import Comparison
from interp.results.grid import Grid

_DIGIT = re.compile(r"[a-z]\d+|sign")
_ROW, _LEAST, _MOST = 22, 150, 700  # pixels
_FEW = 4  # columns whose numbers fit in half of a narrow window


@renders(Comparison)
def comparison(result: Comparison) -> go.Figure:
    """Both Grids on one scale, and second − first on a red–blue scale centred at zero. Cells whose
    interval leaves out zero have a bold number."""
    tables = [_table(grid) for grid in (result.first, result.second, result.difference)]
    size = max(_LEAST, min(_MOST, _ROW * max(len(table[0]) for table in tables) + 20))
    figure = make_subplots(
        rows=2,
        cols=2,
        specs=[[{}, {}], [{"colspan": 2}, None]],
        vertical_spacing=110 / (2 * size + 110),
        horizontal_spacing=0.16,
        subplot_titles=[*result.names, f"difference: {result.names[1]} − {result.names[0]}"],
    )
    scale = _scale(np.concatenate([table[2].ravel() for table in tables[:2]]))
    share = size / (2 * size + 110)
    for i, (rows, columns, values) in enumerate(tables):
        own = {**scale, "showscale": i > 0} if i < 2 else _signed(values)
        text = signed_text(values) if i == 2 or values.shape[1] <= _FEW else None
        if i == 2 and text is not None and result.apart is not None:
            apart = result.apart.reshape(values.shape)[_order(result.difference)]
            text = np.where(apart, "<b>" + text + "</b>", text)
        bar = {"y": 1 - share / 2 if i < 2 else share / 2, "len": share, "x": 1.01}
        figure.add_trace(
            heatmap(values, columns, rows, scale=own, bar=bar, text=text),
            row=1 + i // 2,
            col=1 + i % 2,
        )
    axes = [axis.name.replace("_", " ") for axis in result.first.axes]
    figure.update_xaxes(type="category", title=axes[-1])
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_yaxes(title=" · ".join(axes[:-1]), col=1)
    figure.update_annotations(font={"size": 13})
    bold = " · bold: the interval leaves out zero" if result.apart is not None else ""
    return frame(
        figure,
        title=f"What differs between these two? ({result.grid.replace('_', ' ')})",
        caption=f"{result.caption}{bold}",
        notes=result.notes,
        verdict=result.verdict,
        height=2 * size + 110,
    )


def _labels(labels: tuple[str, ...]) -> list[str]:
    """Digits most significant first, other labels in their order."""
    return most_first(list(labels)) if all(map(_DIGIT.fullmatch, labels)) else list(labels)


def _order(grid: Grid) -> tuple[np.ndarray, ...]:
    """Index that puts the table of `_table` in the order in which it is drawn."""
    *outer, last = grid.axes
    places = [[axis.labels.index(x) for x in _labels(axis.labels)] for axis in (*outer, last)]
    shape = [len(axis.labels) for axis in outer]
    rows = [int(np.ravel_multi_index(at, shape)) for at in product(*places[:-1])] if outer else [0]
    return np.ix_(rows, places[-1])


def _table(grid: Grid) -> tuple[list[str], list[str], np.ndarray]:
    """Rows, columns and values; axes before the last are joined into the rows."""
    *outer, last = grid.axes
    rows = [" · ".join(x) for x in product(*(_labels(axis.labels) for axis in outer))] or [""]
    values = grid.values.reshape(-1, len(last.labels))[_order(grid)]
    return rows, _labels(last.labels), values


def _scale(values: np.ndarray) -> dict[str, object]:
    """One scale for both: cividis for magnitudes, red–blue for signed values."""
    known = values[np.isfinite(values)]
    if known.size and known.min() < 0:
        return _signed(known)
    return {"colorscale": MAGNITUDE, "zmin": 0.0, "zmax": float(known.max()) if known.size else 1.0}


def _signed(values: np.ndarray) -> dict[str, object]:
    known = np.abs(values[np.isfinite(values)])
    largest = float(known.max()) if known.size and known.max() > 0 else 1.0
    return {"colorscale": SIGNED, "zmin": -largest, "zmax": largest}

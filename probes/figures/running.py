"""The running-sum figure: true against predicted ĉ_k of each model, and errors beside those of a
constant, of the digits alone and of the publication (Fig. 3 of arXiv 2510.00184)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.errors import InputError
from interp.figures.registry import renders, shows
from interp.figures.theme import CATEGORIES, GREY, INK, SYMBOLS, error_bars, frame
from interp.results.display import number
from probes.figures.cell import scatter_with_diagonal
from probes.results.baseline import RunningSums
from probes.results.sweep import split_words

_WHEN = {
    "after": "read at the token c_k, which shows ĉ_k mod 10",
    "before": "read where c_k is about to be written",
}
_ROW, _GAP = 190, 76  # pixels of a row of panels, and between two
_TITLES = 6  # panels beside each other whose titles fit on one line
_NARROW = 0.74  # width of the lowest panel, which has the legend beside it
_BESIDE = {  # columns of `cells` that are the same for every model, with colour and symbol
    "constant_mae": ("constant", GREY, "line-ew-open"),
    "one_hot_mae": ("one-hot operand digits", INK, "x-thin-open"),
    "shown_mae": ("and the printed answer", INK, "cross-thin-open"),
}


@renders(RunningSums)
def running_sums_after(result: RunningSums) -> go.Figure:
    """The published figure: sums read at the token c_k."""
    known = list(dict.fromkeys(result.cells["when"]))
    return running_sums(result, "after" if "after" in known else known[0])


@shows(RunningSums)
def closer(result: RunningSums) -> Mapping[str, go.Figure]:
    """The figure before the digit is written, when its value is not part of the input."""
    known = set(result.cells["when"])
    return {"before": running_sums(result, "before")} if known == set(_WHEN) else {}


def running_sums(result: RunningSums, when: str = "after") -> go.Figure:
    """Plot true against predicted sums, one row per model and one column per digit, y = x dashed;
    below them the mean absolute errors by digit.

    Raises:
        InputError: if no sums were read at that moment.
    """
    cells = result.cells[result.cells["when"] == when]
    if cells.empty:
        known = ", ".join(dict.fromkeys(result.cells["when"]))
        raise InputError(f"nothing was read {when!r} the digit: choose {known}")
    models, digits = (list(dict.fromkeys(cells[name])) for name in ("model", "digit"))
    rows = len(models) + 1
    height = int(_ROW * (rows + 0.5)) + _GAP * (rows - 1)
    stacked = len(digits) > _TITLES
    below: list[dict[str, int] | None] = [{"colspan": len(digits)}]
    figure = make_subplots(
        rows=rows,
        cols=len(digits),
        specs=[[{} for _ in digits] for _ in models] + [below + [None] * (len(digits) - 1)],
        row_heights=[_ROW] * len(models) + [1.5 * _ROW],
        subplot_titles=[
            _title(cells, model, digit, stacked) for model in models for digit in digits
        ]
        + ["Mean absolute error by digit"],
        horizontal_spacing=0.045,
        vertical_spacing=_GAP / height,
    )
    for i, model in enumerate(models):
        for j, digit in enumerate(digits):
            points = result.scatter(model, int(digit), when)
            scatter_with_diagonal(figure, points, row=i + 1, col=j + 1, colour=CATEGORIES[i])
        figure.update_yaxes(title=f"{model}: predicted", row=i + 1, col=1)
    figure.update_xaxes(title="true", row=len(models))
    for trace in _errors(cells, models):
        figure.add_trace(trace, row=rows, col=1)
    figure.update_xaxes(tickfont={"size": 11}, nticks=4, tickangle=0)
    figure.update_yaxes(tickfont={"size": 11})
    figure.update_xaxes(
        type="category",
        nticks=0,
        title="k of ĉ_k (index 0 least significant)",
        domain=[0, _NARROW],
        row=rows,
        col=1,
    )
    figure.update_yaxes(rangemode="tozero", title="MAE", row=rows, col=1)
    figure.update_annotations(font={"size": 12})
    figure = frame(
        figure,
        title=f"Running sums ĉ_k, {_WHEN[when]}",
        caption=_caption(result, cells),
        notes=result.notes,
        verdict=result.verdict,
        height=height,
    )
    figure.update_layout(legend=_legend(rows), scattermode="group", scattergap=0.4)
    if stacked:  # the upper line of the panels' titles would touch the figure's
        figure.update_layout(margin_t=figure.layout.margin.t + 18, height=figure.layout.height + 18)
    return figure


def _legend(rows: int) -> dict[str, Any]:
    """Layout of the legend, beside the lowest panel."""
    top = 1.5 / (rows + 0.5) - 0.04
    return {
        "x": _NARROW + 0.02,
        "xanchor": "left",
        "y": top,
        "yanchor": "top",
        "font": {"size": 11},
    }


def _title(cells: pd.DataFrame, model: str, digit: int, stacked: bool) -> str:
    row = cells[(cells["model"] == model) & (cells["digit"] == digit)].iloc[0]
    r2, mae = (number(round(row[name], places)) for name, places in (("r2", 3), ("mae", 2)))
    return f"ĉ<sub>{digit}</sub>  R² {r2},{'<br>' if stacked else ' '}MAE {mae}"


def _errors(cells: pd.DataFrame, models: list[str]) -> list[go.Scatter]:
    """Error traces: each model with its interval, its published error, and the references."""
    traces = []
    for number_of, model in enumerate(models):
        mine = cells[cells["model"] == model]
        colour, symbol = CATEGORIES[number_of], SYMBOLS[number_of]
        traces.append(
            _points(mine, "mae", model, colour, symbol).update(
                error_y=error_bars(mine["mae"], mine["mae_low"], mine["mae_high"], colour),
                offsetgroup=model,
            )
        )
        if mine["published_mae"].notna().any():
            traces.append(
                _points(
                    mine, "published_mae", f"{model}, published", colour, f"{symbol}-open"
                ).update(offsetgroup=f"{model}, published")
            )
    first = cells[cells["model"] == models[0]]
    for column, (name, colour, symbol) in _BESIDE.items():
        traces.append(_points(first, column, name, colour, symbol).update(offsetgroup="beside"))
    return traces


def _points(part: pd.DataFrame, column: str, name: str, colour: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[f"{digit}" for digit in part["digit"]],
        y=part[column],
        mode="markers",
        name=name,
        customdata=part[["r2"]],
        hovertemplate="ĉ_%{x}: %{y:.4g}<extra>" + name + "</extra>",
        marker={
            "size": 10,
            "symbol": symbol,
            "color": colour,
            "line": {"color": colour, "width": 2},
        },
    )


def _caption(result: RunningSums, cells: pd.DataFrame) -> str:
    parts = [
        result.caption,
        split_words(result.settings),
        f"{cells['n_test'].iloc[0]:,} held-out problems",
        "dashed: y = x",
    ]
    asked = [str(name) for name in dict.fromkeys(cells[cells["trained_in"]]["model"])]
    parts += [f"trained to hold ĉ: {', '.join(asked)}"] if asked else []
    return " · ".join(parts)

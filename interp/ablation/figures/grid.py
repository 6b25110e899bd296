"""Figures of the wait × transfer grid, for whole answers and for each answer token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.figures.rows import basis, percent
from interp.ablation.results.evaluate import about_replacement
from interp.ablation.results.grid import AblationGrid
from interp.figures.matrix import count_axis, heatmap, signed_text
from interp.figures.registry import renders, shows
from interp.figures.theme import INK, frame, magnitude_range, signed_range
from interp.results.grid import Grid

Floats = npt.NDArray[np.float64]

_MAX_NUMBERS = 100  # cells of a panel; with more, their numbers are illegible
_NEAR = 0.07  # share of the colour bar: ticks nearer to the constant's are dropped
_COLUMNS = 3  # panels of answer tokens side by side
_TICKS = 8  # ticks of each panel
_PANEL, _GAP = 190, 66  # pixels


@renders(AblationGrid)
def ablation_grid(result: AblationGrid) -> go.Figure:
    """Faithfulness by layers that wait (x) and layers that transfer (y), and the normalised logit
    difference. A cross marks cells whose interval reaches down to the best constant answer."""
    panels = [
        ("faithfulness", result.faithfulness, magnitude_range(np.ones(1), 1.0)),
        ("logit difference (1: full model)", result.logit_difference, None),
    ]
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        subplot_titles=[name for name, _, _ in panels],
        horizontal_spacing=0.19,
    )
    labelled = result.faithfulness.values.size <= _MAX_NUMBERS
    hover = _cells(result)
    for col, (_, grid, scale) in enumerate(panels, 1):
        waits, widths = (grid.axis(name).labels for name in ("wait", "width"))
        values = grid.values.T  # [width, wait]
        trace = heatmap(
            values,
            waits,
            widths,
            scale=scale or signed_range(values),
            bar=_bar(result.constant) if col == 1 else {"x": 1.01},
            text=_numbers(result, values, crossed=col == 1) if labelled else None,
            hover=hover,
        )
        figure.add_trace(trace, row=1, col=col)
        figure.update_xaxes(**count_axis(waits), row=1, col=col)
        figure.update_yaxes(**count_axis(widths), row=1, col=col)
    if not labelled:
        figure.add_trace(_crosses(result), row=1, col=1)
    figure.update_xaxes(title="layers that wait (count)")
    figure.update_yaxes(title="layers that transfer, behind them (count)", col=1)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="Until which layer may tokens wait, and in how many must information move?",
        caption=f"{result.caption} · {basis(result)} · best constant answer "
        f"{percent(result.constant)} (×: a cell not surely above it) · "
        f"{about_replacement(result.settings)}, mask: {result.settings['transfer_mask']}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(280, min(460, 22 * len(result.faithfulness.axis("width").labels) + 40)),
    )


def _bar(constant: float) -> dict[str, Any]:
    """A colour bar with an extra tick at the constant answer's faithfulness."""
    if np.isnan(constant):  # no prompt is answered correctly
        return {"x": 0.415, "tickformat": ".0%"}
    regular = [x for x in (0, 0.25, 0.5, 0.75, 1) if abs(x - constant) > _NEAR]
    ticks = sorted([*regular, constant])
    text = [f"{x:.0%}" if x in regular else f"<b>{x:.0%}</b> const." for x in ticks]
    return {"x": 0.415, "tickvals": ticks, "ticktext": text}


def _numbers(result: AblationGrid, values: Floats, *, crossed: bool) -> npt.NDArray[np.object_]:
    text = signed_text(values)
    return np.where(result.not_above_constant.T, text + " ×", text) if crossed else text


def _crosses(result: AblationGrid) -> go.Scatter:
    waits, widths = (result.faithfulness.axis(name).labels for name in ("wait", "width"))
    at = np.argwhere(result.not_above_constant.T)
    bright = [result.faithfulness.values[i, j] > 0.5 for j, i in at]
    return go.Scatter(
        x=[waits[i] for _, i in at],
        y=[widths[j] for j, _ in at],
        mode="markers",
        marker={"symbol": "x-thin", "size": 6, "line": {"width": 1}},
        marker_line_color=[INK if light else "white" for light in bright],
        hoverinfo="skip",
        showlegend=False,
    )


def _cells(result: AblationGrid) -> npt.NDArray[np.object_]:
    """Hover text of each cell; '' where wait and width exceed the layers."""
    waits, widths = (result.faithfulness.axis(name).labels for name in ("wait", "width"))
    text = np.full((len(widths), len(waits)), "", dtype=object)
    for row in result.frame.itertuples():
        kl = "" if result.kl is None else f"<br>KL {row.kl:.3g} nats"
        text[widths.index(str(row.width)), waits.index(str(row.wait))] = (
            f"<b>wait {row.wait}, transfer {row.width}</b><br>"
            f"faithfulness {percent(row.faithfulness)} [{percent(row.faithfulness_low)}, "
            f"{percent(row.faithfulness_high)}]<br>best constant answer "
            f"{percent(result.constant)}<br>"
            f"logit difference {row.logit_difference:.3f} [{row.logit_difference_low:.3f}, "
            f"{row.logit_difference_high:.3f}]{kl}"
        )
    return text


@shows(AblationGrid)
def by_role(result: AblationGrid) -> Mapping[str, go.Figure]:
    """One panel for each answer token, in order of print, on one scale; no figure for a single
    token, since the main figure shows its grid."""
    grids = result.by_role
    if grids is None or len(grids.axis("role").labels) < 2:
        return {}
    roles = grids.axis("role").labels
    rows = -(-len(roles) // _COLUMNS)
    total = rows * _PANEL + (rows - 1) * _GAP
    figure = make_subplots(
        rows=rows,
        cols=_COLUMNS,
        shared_yaxes=True,
        subplot_titles=[_title(result, role) for role in roles],
        horizontal_spacing=0.05,
        vertical_spacing=_GAP / total if rows > 1 else 0,
    )
    for number, role in enumerate(roles):
        row, col = number // _COLUMNS + 1, number % _COLUMNS + 1
        grid = grids.at(role=role)
        assert isinstance(grid, Grid)
        waits, widths = (grid.axis(name).labels for name in ("wait", "width"))
        trace = heatmap(
            grid.values.T,
            waits,
            widths,
            scale=magnitude_range(grid.values, 1.0),
            bar={"x": 1.01, "tickformat": ".0%"},
        )
        if grid.low is not None and grid.high is not None:
            trace.customdata = np.stack([grid.low.T, grid.high.T], axis=-1)
        trace.hovertemplate = (
            f"{role}: wait %{{x}}, transfer %{{y}}: %{{z:.1%}} "
            "[%{customdata[0]:.1%}, %{customdata[1]:.1%}]<extra></extra>"
        )
        trace.showscale = number == 0
        figure.add_trace(trace, row=row, col=col)
        figure.update_xaxes(**count_axis(waits, _TICKS), title="layers that wait", row=row, col=col)
        figure.update_yaxes(**count_axis(widths, _TICKS), row=row, col=col)
    figure.update_yaxes(title="layers that transfer", col=1)
    figure.update_annotations(font={"size": 13})
    return {
        "by-role": frame(
            figure,
            title="Which answer digits can wait?",
            caption=f"{result.caption} · faithfulness of each answer token where the full model "
            "has that token right · guessed: without the operands, from the true answer before it",
            notes=result.notes,
            height=total,
        )
    }


def _title(result: AblationGrid, role: str) -> str:
    if result.guessed is None:
        return role
    return f"{role} (guessed: {percent(float(result.guessed.at(role=role)))})"  # type: ignore[arg-type]

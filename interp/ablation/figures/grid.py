"""The wait × transfer grid, and what a token's own identity says of its state at each depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.figures.rows import percent
from interp.ablation.results.cama import CamaTable
from interp.ablation.results.evaluate import about_replacement
from interp.ablation.results.grid import AblationGrid
from interp.figures.matrix import heatmap, signed_text
from interp.figures.registry import renders
from interp.figures.theme import INK, frame, magnitude_range, signed_range

Floats = npt.NDArray[np.float64]

_MAX_TICKS = 16
_MAX_NUMBERS = 100  # cells of a panel; beyond that their numbers would not be legible
_NEAR = 0.07  # of the colour bar: ticks nearer to the constant's make room for it


@renders(AblationGrid)
def ablation_grid(result: AblationGrid) -> go.Figure:
    """Faithfulness by layers that wait (across) and layers that transfer (up), and the normalised
    logit difference. A cross lies on cells that are not surely above the best constant answer."""
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


@renders(CamaTable)
def cama_table(result: CamaTable) -> go.Figure:
    """How much of each role's state its own key explains, depth by depth, and the means' error."""
    panels = [("own share of variance", result.own_share, magnitude_range(np.ones(1), 1.0))]
    if not result.exact:
        scale = magnitude_range(result.error.values)
        panels.append(("standard error / spread of means", result.error, scale))
    figure = make_subplots(
        cols=len(panels),
        shared_yaxes=True,
        horizontal_spacing=0.14,
        subplot_titles=[name for name, _, _ in panels],
    )
    for col, (_, grid, scale) in enumerate(panels, 1):
        roles, depths = (grid.axis(name).labels for name in ("role", "depth"))
        trace = heatmap(
            grid.values,
            depths,
            roles,
            scale=scale,
            bar={"x": 1.01 if col == len(panels) else 0.435},
            text=signed_text(grid.values) if grid.values.size <= _MAX_NUMBERS else None,
        )
        figure.add_trace(trace, row=1, col=col)
        figure.update_xaxes(**count_axis(depths), row=1, col=col)
    figure.update_xaxes(title="layers passed (count)")
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_yaxes(title="role, in order of the prompt", col=1)
    figure.update_annotations(font={"size": 13})
    told = "exact, over all problems of the task" if result.exact else _sampled(result)
    return frame(
        figure,
        title=f"How much of a state does its own {result.given} explain?",
        caption=f"{result.caption} · given its {result.given} · {told} · 1: it knows nothing else",
        notes=result.notes,
        verdict=result.verdict,
        height=max(200, 24 * len(result.own_share.axis("role").labels) + 40),
    )


def basis(result: Any) -> str:
    """What faithfulness is a share of: base accuracy and the prompts answered rightly."""
    right = f"{result.n_right:,} right ({result.n_right_distinct:,} distinct)"
    return f"base accuracy {result.base_accuracy:.1%}, {right}"


def _bar(constant: float) -> dict[str, Any]:
    """A colour bar on which the constant answer's faithfulness is a tick of its own."""
    if np.isnan(constant):  # no prompt is answered rightly
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
    """What is told of a cell; '' where wait and width are more than there are layers."""
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


def _sampled(result: CamaTable) -> str:
    fewest = int(result.values["fewest"].min())
    return f"{fewest:,} prompts or more behind each mean"


def count_axis(labels: Sequence[str], most: int = _MAX_TICKS) -> dict[str, Any]:
    """An axis of categories, no more of them named than `most`."""
    return {
        "type": "category",
        "range": [-0.5, len(labels) - 0.5],
        "tickvals": list(labels[:: -(-len(labels) // most)]),
        "tickangle": 0,
    }

"""Figure of the variance that a token's key explains, by role and depth."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.results.cama import CamaTable
from interp.figures.matrix import count_axis, heatmap, signed_text
from interp.figures.registry import renders
from interp.figures.theme import frame, magnitude_range

_MAX_NUMBERS = 100  # cells of a panel; with more, their numbers are illegible


@renders(CamaTable)
def cama_table(result: CamaTable) -> go.Figure:
    """The share of each role's variance that its key explains, by depth, and the means' error."""
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
    basis = "exact, over all problems of the task" if result.exact else _sampled(result)
    return frame(
        figure,
        title=f"How much of a state does its own {result.given} explain?",
        caption=f"{result.caption} · given its {result.given} · {basis} · 1: it knows nothing else",
        notes=result.notes,
        verdict=result.verdict,
        height=max(200, 24 * len(result.own_share.axis("role").labels) + 40),
    )


def _sampled(result: CamaTable) -> str:
    fewest = int(result.values["fewest"].min())
    return f"{fewest:,} prompts or more behind each mean"

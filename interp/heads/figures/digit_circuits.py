"""Figure of a head's QK and OV circuit by digit pair."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap
from interp.figures.registry import renders
from interp.figures.theme import frame, signed_range
from interp.heads.results.digit_circuits import DigitCircuits


@renders(DigitCircuits)
def digit_circuits(result: DigitCircuits) -> go.Figure:
    """Log-odds of the attention by digit pair, beside the direct effect on each digit's logit."""
    figure = make_subplots(
        cols=2,
        horizontal_spacing=0.2,
        subplot_titles=(
            "QK: log-odds of the attention, minus their mean",
            "OV: direct effect on each digit's logit",
        ),
    )
    centred = result.qk.values - np.nanmean(result.qk.values)
    panels = ((centred, result.qk, 0.4, "log-odds"), (result.ov.values, result.ov, 1.0, "logits"))
    for col, (values, grid, x, unit) in enumerate(panels, 1):
        first, second = grid.axes
        figure.add_trace(
            heatmap(
                values,
                second.labels,
                first.labels,
                scale=signed_range(values),
                bar={"x": x, "title": {"text": unit, "side": "top"}},
            ),
            row=1,
            col=col,
        )
        name = "logit of digit" if second.name == "answer" else f"digit at {second.name}"
        figure.update_xaxes(title=name, type="category", col=col)
        figure.update_yaxes(title=f"digit at {first.name}", type="category", col=col)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title=f"Why does head {result.head} of layer {result.layer} look from {result.query} at "
        f"{result.key}?",
        caption=result.caption,
        notes=result.notes,
        verdict=result.verdict,
        height=380,
    )

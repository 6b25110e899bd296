"""Figure of the self-check: the effect of an edit at each site."""

from __future__ import annotations

import plotly.graph_objects as go

from interp.engine.results.selfcheck import SelfCheck
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, PALE, frame


@renders(SelfCheck)
def selfcheck(result: SelfCheck) -> go.Figure:
    """Plot the logit change of an edit at each site; sites without effect are crossed out."""
    sites = result.sites
    usable = sites["usable"].astype(bool)
    labels = [s if ok else f"<s>{s}</s> ✗" for s, ok in zip(sites["site"], usable, strict=True)]
    figure = go.Figure(
        go.Bar(
            x=sites["change"],
            y=labels,
            orientation="h",
            marker={"color": [ACCENT if ok else PALE for ok in usable]},
            customdata=sites["reason"],
            hovertemplate="%{y}: %{x:.3g} %{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(title="largest |Δlogit| of an edit, over the largest |logit|")
    figure.update_yaxes(autorange="reversed", type="category")
    equal = "equals" if result.equal else "DIFFERS FROM"
    return frame(
        figure,
        title="Does an edit take effect, and does the engine compute what the model does?",
        caption=f"{result.caption} · the engine {equal} the plain module: largest difference "
        f"{result.difference:.1e} of the largest |logit| (tolerance {result.tolerance:.0e})",
        notes=result.notes,
        height=max(220, 26 * len(sites) + 50),
    )

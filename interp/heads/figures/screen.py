"""Figure of a screen: do the estimates agree with exact patching?"""

from __future__ import annotations

import plotly.graph_objects as go

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, frame
from interp.heads.results.screen import Screen


@renders(Screen)
def screen(result: Screen) -> go.Figure:
    """Exact effect of each checked node against its estimate; the diagonal is agreement."""
    table = result.checked
    both = table[["estimate", "exact"]].to_numpy().ravel()
    ends = [float(both.min()), float(both.max())]
    figure = go.Figure()
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dot"}, hoverinfo="skip"
    )
    largest = table["exact"].abs().sort_values(ascending=False).index[:8]
    figure.add_scatter(
        x=table["estimate"], y=table["exact"], mode="markers+text", marker={"color": ACCENT},
        text=[node if i in largest else "" for i, node in table["node"].items()],
        textposition="top center", customdata=table["node"],
        hovertemplate="%{customdata}: estimate %{x:.3g}, exact %{y:.3g}<extra></extra>",
    )  # fmt: skip
    figure.update_traces(showlegend=False)
    figure.update_xaxes(title="estimate (logits)")
    figure.update_yaxes(title="exact effect (logits)")
    a, s = result.metrics, result.settings
    points = "one gradient" if s["steps"] == 1 else f"{s['steps']} gradients along the inputs"
    return frame(
        figure,
        title="Do gradients find what patching finds?",
        caption=f"{result.caption} · {s['kind']}, {s['direction']}, {points}, checked on "
        f"{a['checked_prompts']:.0f} prompts",
        notes=result.notes,
        verdict=result.verdict,
    )

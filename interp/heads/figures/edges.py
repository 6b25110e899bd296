"""Figure of edge scores: which edges carry the answer, and does path patching agree?"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, error_bars, frame
from interp.heads.results.edges import EdgeScores

_SHOWN = 20


@renders(EdgeScores)
def edges(result: EdgeScores) -> go.Figure:
    """Left: the first edges of the ranking with intervals; right: exact effects against scores."""
    figure = make_subplots(
        cols=2, column_widths=[0.5, 0.5], horizontal_spacing=0.12,
        subplot_titles=("chosen on other prompts", "beside path patching"),
    )  # fmt: skip
    table = result.scores
    first = table[table["chosen"]].head(_SHOWN).iloc[::-1]  # the first at the top
    figure.add_scatter(
        x=first["score"], y=first["edge"], mode="markers", marker={"color": ACCENT, "size": 7},
        error_x=error_bars(first["score"], first["score_low"], first["score_high"], ACCENT),
        showlegend=False, row=1, col=1,
    )  # fmt: skip
    checked = table[table["exact"].notna()]
    both = checked[["score", "exact"]].to_numpy().ravel()
    if both.size:
        ends = [float(both.min()), float(both.max())]
        figure.add_scatter(
            x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dot"}, hoverinfo="skip",
            showlegend=False, row=1, col=2,
        )  # fmt: skip
    for chosen, label, colour in ((False, "random edges (control)", GREY),
                                  (True, "largest scores", ACCENT)):  # fmt: skip
        some = checked[checked["chosen"] == chosen]
        figure.add_scatter(
            x=some["score"], y=some["exact"], mode="markers", name=label,
            marker={"color": colour, "size": 7}, customdata=some["edge"],
            hovertemplate="%{customdata}: score %{x:.3g}, exact %{y:.3g}<extra></extra>",
            row=1, col=2,
        )  # fmt: skip
    figure.update_yaxes(type="category", col=1)
    figure.update_xaxes(title="score (logits)")
    figure.update_yaxes(title="exact effect (logits)", col=2)
    figure.update_annotations(font={"size": 13})
    s = result.settings
    points = "one gradient" if s["steps"] == 1 else f"{s['steps']} gradients along the inputs"
    return frame(
        figure,
        title="Which edges carry the answer?",
        caption=f"{result.caption} · {s['direction']}, operand changed: {s['swap']}, {points}, "
        f"ranked on {s['chosen_on']} other prompts",
        notes=result.notes,
        verdict=result.verdict,
        legend=True,
        height=max(360, 18 * len(first) + 60),
    )

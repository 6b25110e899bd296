"""Figure of an interchange: where does a swapped intermediate give the predicted answer?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, error_bars, frame
from interp.heads.results.interchange import ARMS, Interchange

_SHOWN = 40  # places
_LABELS = {
    "predicted": "predicted answer",
    "own": "own answer in spite of it",
    "no_swap": "predicted, no swap",
    "wrong_source": "predicted, source of another value",
    "same_value": "own answer, source of the same value",
    "random_direction": "predicted, random direction",
}


@renders(Interchange)
def interchange(result: Interchange) -> go.Figure:
    """Left: share of predicted answers by place; right: the chosen place and its controls."""
    figure = make_subplots(
        cols=2, column_widths=[0.45, 0.55], horizontal_spacing=0.34,
        subplot_titles=("every place", f"at {result.chosen}"),
    )  # fmt: skip
    cells = result.cells
    if len(cells) > _SHOWN:  # those with the largest shares, in the model's order
        keep = cells["chosen_on"].sort_values(ascending=False, kind="stable").index[:_SHOWN]
        cells = cells.loc[sorted(keep)]
    cells = cells.iloc[::-1]  # the lowest layer at the top
    colours = [ACCENT if name == result.chosen else GREY for name in cells["cell"]]
    figure.add_scatter(
        x=cells["share"], y=cells["cell"], mode="markers", marker={"color": colours, "size": 7},
        error_x=error_bars(cells["share"], cells["share_low"], cells["share_high"], GREY),
        showlegend=False, row=1, col=1,
    )  # fmt: skip
    arms = result.controls.set_index("arm")
    names = [name for name, arm in ARMS.items() if arm in arms.index][::-1]
    table = arms.loc[[ARMS[name] for name in names]]
    labels = [_LABELS[name] for name in names]
    colours = [ACCENT if name == "predicted" else GREY for name in names]
    if result.learned is not None:
        own = result.learned.iloc[::-1]
        table = pd.concat([own.set_index("arm"), table])
        labels = [f"digit: {arm}" for arm in own["arm"]] + labels
        colours = [ACCENT if arm == "learned subspace" else GREY for arm in own["arm"]] + colours
    bars = error_bars(table["share"], table["share_low"], table["share_high"], GREY)
    figure.add_scatter(
        x=table["share"], y=labels, mode="markers", error_x=bars,
        marker={"color": colours, "size": 8}, showlegend=False, row=1, col=2,
    )  # fmt: skip
    figure.update_yaxes(type="category")
    figure.update_xaxes(title="share of problems", range=[-0.04, 1.04])
    figure.update_annotations(font={"size": 13})
    s = result.settings
    part = "" if not s["along"] else f", along {s['along'][1]} direction(s)"
    return frame(
        figure,
        title=f"Does another {s['variable']} give the predicted answer?",
        caption=f"{result.caption} · {s['kind']}{part}, place chosen on {s['chosen_on']} other "
        f"problems · {s['with_source']} of {s['n_asked']} problems have a source",
        notes=result.notes,
        verdict=result.verdict,
        height=max(300, 15 * len(cells) + 60, 24 * len(labels) + 60),
    )

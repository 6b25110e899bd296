"""Figure of direct logit attribution: who writes towards the right token?"""

from __future__ import annotations

import plotly.graph_objects as go

from interp.attribution.results.direct import DirectAttribution
from interp.figures.matrix import heatmap, most_first, signed_text
from interp.figures.registry import renders
from interp.figures.theme import frame, signed_range

_MOST = 40  # components shown


@renders(DirectAttribution)
def direct(result: DirectAttribution) -> go.Figure:
    """Effect beyond the control by component and answer digit, in order of the layers; of a large
    model the components with the largest effects."""
    digits = list(result.effect.axis("answer_digit").labels)
    shown = most_first(digits)
    size = abs(result.beyond).max(axis=1)
    rows = sorted(size.argsort()[::-1][:_MOST])
    names = [result.effect.axes[0].labels[i] for i in rows]
    values = result.beyond[rows][:, [digits.index(d) for d in shown]]
    figure = go.Figure(
        heatmap(
            values, shown, names, scale=signed_range(values),
            bar={"title": {"text": "logits", "side": "right"}}, text=signed_text(values),
        )
    )  # fmt: skip
    figure.update_xaxes(type="category", title="answer digit (index 0 least significant)")
    figure.update_yaxes(type="category", title="component", autorange="reversed")
    left = len(size) - len(rows)
    return frame(
        figure,
        title="Which components write towards the right token?",
        caption=f"{result.caption} · direct effect on the right token's logit minus that on "
        "another prompt's (control)" + (f" · {left} smaller components not shown" if left else ""),
        notes=result.notes[:1],
        verdict=result.verdict,
        height=max(260, 18 * len(names) + 60),
    )

"""Figure of direct logit attribution: who writes towards the right token?"""

from __future__ import annotations

import plotly.graph_objects as go

from interp.attribution.results.direct import DirectAttribution
from interp.figures.matrix import by_digit, heatmap, layer_panels, most_first, signed_text
from interp.figures.registry import renders, shows
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
        caption=_said(result) + (f" · {left} smaller components not shown" if left else ""),
        notes=result.notes,
        verdict=result.verdict,
        height=max(260, 18 * len(names) + 60),
    )


@shows(DirectAttribution)
def further(result: DirectAttribution) -> dict[str, go.Figure]:
    """Effect beyond the control of heads and MLPs by layer, a panel for each answer digit."""
    components, digits = (axis.labels for axis in result.effect.axes)
    figure, height = layer_panels(components, digits, result.beyond, unit="logits")
    return {
        "heads": frame(
            figure,
            title="Which heads write towards the right token?",
            caption=f"{_said(result)} · embeddings and biases not shown",
            notes=result.notes,
            verdict=result.verdict,
            height=height,
        )
    }


def component_effects(result: DirectAttribution, component: str) -> go.Figure:
    """Direct effect of one component by answer digit, beside its control."""
    row = result.effect.axis("component").index(component)
    shown = {}
    for name, grid in (
        ("right token", result.effect), ("another prompt's (control)", result.shuffled),
    ):  # fmt: skip
        assert grid.low is not None and grid.high is not None
        shown[name] = (grid.values[row], grid.low[row], grid.high[row])
    figure = by_digit(
        result.effect.axis("answer_digit").labels, shown, title="direct effect (logits)"
    )
    return frame(
        figure, title=f"Which right tokens does {component} write towards?",
        caption=result.caption, notes=result.notes, height=260, legend=True,
    )  # fmt: skip


def _said(result: DirectAttribution) -> str:
    return (
        f"{result.caption} · direct effect on the right token's logit minus that on another "
        "prompt's (control)"
    )

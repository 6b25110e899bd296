"""Figure of one schedule: its faithfulness and its attention masks."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.figures.masks import add_masks, add_strip, masks, n_layers
from interp.ablation.figures.rows import FAITHFULNESS, dots, marks, percent
from interp.ablation.results.evaluate import AblationScore, about_replacement
from interp.figures.registry import renders
from interp.figures.theme import frame

ALL = "all"
GUESSED = "guessed without the operands"
_ROW, _STRIP, _MASKS, _GAP = 24, 56, 225, 104  # pixels: a role, the strip, the masks, in between


@renders(AblationScore)
def ablation_score(result: AblationScore) -> go.Figure:
    """Faithfulness of the whole answer and each of its tokens; below, the schedule by layer, and
    the masks of each kind of layer."""
    table = result.by_role.set_index("role", drop=False)
    roles = [ALL, *(role for role in table.index if role != ALL)]
    heights = [_ROW * max(3, len(roles)), _STRIP, _MASKS]
    total = sum(heights) + 2 * _GAP
    cols = max(3, len(masks(result.picture)))
    wide = [{"colspan": cols}, *[None] * (cols - 1)]
    figure = make_subplots(
        rows=3,
        cols=cols,
        specs=[wide, wide, [{}] * cols],
        row_heights=heights,
        vertical_spacing=_GAP / total,
        horizontal_spacing=0.27 / cols,
    )
    table = table.loc[roles]
    for trace in (
        marks(table["base_accuracy"], roles, "base accuracy", "diamond-open"),
        marks(table["guessed"], roles, GUESSED, "line-ns"),
        dots(table, roles),
    ):
        figure.add_trace(trace, row=1, col=1)
    figure.update_xaxes(title=FAITHFULNESS, range=[-0.03, 1.03], tickformat=".0%", row=1, col=1)
    figure.update_yaxes(type="category", autorange="reversed", row=1, col=1)
    add_strip(figure, result.settings["schedule"], n_layers(result.picture), row=2, col=1)
    add_masks(figure, result.picture, row=3)
    m = result.metrics
    return frame(
        figure,
        title="What is left of the answers under this schedule?",
        caption=f"{result.caption} · base accuracy {m['base_accuracy']:.1%}, {m['n_right']:,.0f} "
        f"right ({result.n_right_distinct:,} distinct) · best constant answer "
        f"{percent(result.constant)} · {about_replacement(result.settings)} · “all”: "
        "every answer token right; guessed is its best constant, a token's also from the true "
        "answer before it · masks: blue sees, grey is cut",
        notes=result.notes,
        verdict=result.verdict,
        height=total,
        legend=True,
    )

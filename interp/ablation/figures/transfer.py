"""Figure of a transfer: one row for each set of prompts."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from interp.ablation.figures.rows import (
    CONSTANT,
    ROW,
    dots,
    error_of_row,
    label_rows,
    marks,
    percent,
    texts_beside,
    worst_error,
)
from interp.ablation.results.transfer import AblationTransfer
from interp.figures.registry import renders
from interp.figures.theme import frame


@renders(AblationTransfer)
def ablation_transfer(result: AblationTransfer) -> go.Figure:
    """Faithfulness of one schedule on each set of prompts, its constant and base accuracy."""
    table = result.table
    labels = list(table["name"])
    figure = go.Figure()
    figure.add_trace(marks(table["base_accuracy"], labels, "base accuracy", "diamond-open"))
    figure.add_trace(marks(table["constant"], labels, CONSTANT, "line-ns"))
    figure.add_trace(dots(table, labels, hover=[_prompts(row) for row in table.itertuples()]))
    texts = [
        row.reason or f"{row.n_right_distinct:,.0f} distinct right prompts"
        for row in table.itertuples()
    ]
    texts_beside(figure, labels, texts, [not row.reason for row in table.itertuples()])
    figure.update_xaxes(
        title="share of prompts (base accuracy) and of right answers kept (the others)",
        range=[-0.03, 1.03],
        tickformat=".0%",
    )
    label_rows(figure, labels)
    figure = frame(
        figure,
        title="Does a schedule that was found on some prompts hold on others?",
        caption=f"{result.caption} · right: prompts that the full model gets right"
        f"{worst_error(table)}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(180, ROW * len(labels) + 40),
        legend=True,
    )
    return figure.update_layout(margin={"r": 250})


def _prompts(row: Any) -> str:
    bounds = f"[{percent(row.low)}, {percent(row.high)}]"
    kept = f"faithfulness {percent(row.faithfulness)} {bounds}"
    return (
        f"<b>{row.name}</b><br>{row.model} · {row.task} · {row.format}<br>{kept}<br>"
        f"best constant answer {percent(row.constant)}<br>base accuracy "
        f"{percent(row.base_accuracy)} of {row.n:,} prompts ({row.n_distinct:,} distinct)<br>"
        f"logit difference {row.logit_difference:.3f}, KL {row.kl:.3g} nats{error_of_row(row)}"
    )

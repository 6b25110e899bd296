"""Figure of a comparison: one row for each replacement and mask."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.figures.rows import (
    FAITHFULNESS,
    ROW,
    basis,
    dots,
    error_of_row,
    label_rows,
    percent,
    texts_beside,
    worst_error,
)
from interp.ablation.results.compare import AblationComparison
from interp.figures.registry import renders
from interp.figures.theme import GREY, INK, error_bars, frame

KNOWN = ("found", "scored")  # status of alternatives that have a schedule


@renders(AblationComparison)
def ablation_comparison(result: AblationComparison) -> go.Figure:
    """Faithfulness and logit difference under each replacement and mask, and the layers found."""
    table = result.table
    labels = [f"{row.replacement} · {row.mask}" for row in table.itertuples()]
    figure = make_subplots(
        cols=2, shared_yaxes=True, column_widths=[0.6, 0.4], horizontal_spacing=0.06
    )
    figure.add_trace(dots(table, labels, hover=[_story(row) for row in table.itertuples()]))
    if not pd.isna(result.constant):  # NaN: no prompt is answered rightly
        line = {"color": GREY, "width": 1.5, "dash": "dash"}
        figure.add_vline(x=result.constant, line=line, col=1)
    figure.add_trace(_difference(table, labels), row=1, col=2)
    texts = [_found(row) for row in table.itertuples()]
    texts_beside(figure, labels, texts, [row.status in KNOWN for row in table.itertuples()])
    figure.update_xaxes(title=FAITHFULNESS, range=[-0.03, 1.03], tickformat=".0%", row=1, col=1)
    known = table["logit_difference"].dropna()
    reach = [min(-0.1, known.min() - 0.1), max(1.1, known.max() + 0.1)] if len(known) else [0, 1]
    figure.update_xaxes(title="logit difference (full model: 1)", range=reach, row=1, col=2)
    label_rows(figure, labels)
    dashed = f"dashed: the best constant answer, {percent(result.constant)}"
    figure = frame(
        figure,
        title="How much does the replacement, and the mask, decide?",
        caption=f"{result.caption} · {basis(result)} · {dashed} · right: the layers that wait and "
        f"that transfer, by index{worst_error(table)}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(200, ROW * len(labels) + 40),
    )
    return figure.update_layout(margin={"r": 250}, showlegend=False)


def _difference(table: pd.DataFrame, labels: Sequence[str]) -> go.Scatter:
    value, low, high = (table[f"logit_difference{end}"] for end in ("", "_low", "_high"))
    return go.Scatter(
        x=value,
        y=list(labels),
        mode="markers",
        cliponaxis=False,
        error_x=error_bars(value, low, high, INK),
        marker={"symbol": "diamond", "size": 8, "color": INK},
        customdata=table["kl"],
        hovertemplate="%{y}<br>logit difference %{x:.3f}<br>KL %{customdata:.3g} nats"
        "<extra></extra>",
    )


def _found(row: Any) -> str:
    """The layers of the schedule found or scored, or the reason that there is none."""
    if row.status not in KNOWN:
        reasons = {"none": "no such subgraph", "refused": f"refused: {row.reason}"}
        return reasons.get(row.status, str(row.status))
    waits = "nothing waits" if row.wait < 1 else f"wait 0 to {int(row.wait) - 1}"
    first, last, count = map(int, (row.first_transfer, row.last_transfer, row.transfer_layers))
    if count == 0:
        return f"{waits} · nothing moves"
    span = f"{first}" if first == last else f"{first} to {last}"
    skipped = f" ({count} of them)" if count < last - first + 1 else ""
    return f"{waits} · transfer {span}{skipped}"


def _story(row: Any) -> str:
    shown = f"<b>{row.replacement} · {row.mask}</b><br>"
    if pd.isna(row.faithfulness):
        return f"{shown}{_found(row)}<br>{'<br>'.join(textwrap.wrap(row.reason, 60))}"
    return (
        f"{shown}faithfulness {row.faithfulness:.1%} [{row.low:.1%}, {row.high:.1%}]<br>"
        f"{_found(row)}{error_of_row(row)}"
    )

"""Faithfulness in rows: replacements and masks beside each other, and prompts beside each other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.ablation.results.compare import AblationComparison
from interp.ablation.results.evaluate import about_error
from interp.ablation.results.transfer import AblationTransfer
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, error_bars, frame

CONSTANT = "best constant answer"
FAITHFULNESS = "faithfulness (share of right answers kept)"
KNOWN = ("found", "scored")  # status of alternatives that have a schedule
_ROW = 26  # pixels
_LONGEST = 34  # characters of a label
_WRAP = 46  # characters of a line beside a row


@renders(AblationComparison)
def ablation_comparison(result: AblationComparison) -> go.Figure:
    """Faithfulness and logit difference under each replacement and mask, and the layers found."""
    table = result.table
    labels = [f"{row.replacement} · {row.mask}" for row in table.itertuples()]
    figure = make_subplots(
        cols=2, shared_yaxes=True, column_widths=[0.6, 0.4], horizontal_spacing=0.06
    )
    figure.add_trace(dots(table, labels, hover=[_story(row) for row in table.itertuples()]))
    figure.add_vline(x=result.constant, line={"color": GREY, "width": 1.5, "dash": "dash"}, col=1)
    figure.add_trace(_difference(table, labels), row=1, col=2)
    told = [_found(row) for row in table.itertuples()]
    _beside(figure, labels, told, [row.status in KNOWN for row in table.itertuples()])
    figure.update_xaxes(title=FAITHFULNESS, range=[-0.03, 1.03], tickformat=".0%", row=1, col=1)
    known = table["logit_difference"].dropna()
    reach = [min(-0.1, known.min() - 0.1), max(1.1, known.max() + 0.1)] if len(known) else [0, 1]
    figure.update_xaxes(title="logit difference (full model: 1)", range=reach, row=1, col=2)
    _label_rows(figure, labels)
    dashed = f"dashed: the best constant answer, {result.constant:.1%}"
    figure = frame(
        figure,
        title="How much does the replacement, and the mask, decide?",
        caption=f"{result.caption} · {_basis(result)} · {dashed} · right: the layers that wait and "
        f"that transfer, by index{_errors(table)}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(200, _ROW * len(labels) + 40),
    )
    return figure.update_layout(margin={"r": 250}, showlegend=False)


@renders(AblationTransfer)
def ablation_transfer(result: AblationTransfer) -> go.Figure:
    """Faithfulness of one schedule on each set of prompts, its constant and base accuracy."""
    table = result.table
    labels = list(table["name"])
    figure = go.Figure()
    figure.add_trace(marks(table["base_accuracy"], labels, "base accuracy", "diamond-open"))
    figure.add_trace(marks(table["constant"], labels, CONSTANT, "line-ns"))
    figure.add_trace(dots(table, labels, hover=[_prompts(row) for row in table.itertuples()]))
    told = [
        row.reason or f"{row.n_right_distinct:,.0f} distinct right prompts"
        for row in table.itertuples()
    ]
    _beside(figure, labels, told, [not row.reason for row in table.itertuples()])
    figure.update_xaxes(
        title="share of prompts (base accuracy) and of right answers kept (the others)",
        range=[-0.03, 1.03],
        tickformat=".0%",
    )
    _label_rows(figure, labels)
    figure = frame(
        figure,
        title="Does a schedule that was found on some prompts hold on others?",
        caption=f"{result.caption} · right: prompts that the full model gets right{_errors(table)}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(180, _ROW * len(labels) + 40),
        legend=True,
    )
    return figure.update_layout(margin={"r": 250})


def percent(share: float) -> str:
    """A share as text, a dash where it is not defined."""
    return "–" if pd.isna(share) else f"{share:.1%}"


def dots(
    table: pd.DataFrame,
    labels: Sequence[str],
    *,
    hover: Sequence[str] | None = None,
    name: str = "faithfulness",
) -> go.Scatter:
    """`faithfulness` with `low` and `high`, one label a row."""
    value = table["faithfulness"]
    return go.Scatter(
        x=value,
        y=list(labels),
        mode="markers",
        cliponaxis=False,
        name=name,
        error_x=error_bars(value, table["low"], table["high"], ACCENT),
        marker={"symbol": "square", "size": 8, "color": ACCENT},
        text=list(hover) if hover is not None else list(labels),
        hovertemplate="%{text}<extra></extra>",
    )


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


def marks(values: pd.Series[float], labels: Sequence[str], name: str, symbol: str) -> go.Scatter:
    """One value a row, in grey: what faithfulness stands beside."""
    return go.Scatter(
        x=values,
        y=list(labels),
        mode="markers",
        cliponaxis=False,
        name=name,
        marker={"symbol": symbol, "size": 10, "color": GREY, "line": {"color": GREY, "width": 2}},
        hovertemplate=f"%{{y}}: {name} %{{x:.1%}}<extra></extra>",
    )


def _beside(
    figure: go.Figure, labels: Sequence[str], texts: Sequence[str], strong: Sequence[bool]
) -> None:
    """A line of text to the right of each row."""
    for label, text, ink in zip(labels, texts, strong, strict=True):
        figure.add_annotation(
            text="<br>".join(textwrap.wrap(text, _WRAP, max_lines=2, placeholder=" …")),
            align="left",
            x=1.02,
            xref="paper",
            y=label,
            xanchor="left",
            showarrow=False,
            font={"size": 11, "color": INK if ink else GREY},
        )


def _label_rows(figure: go.Figure, labels: Sequence[str]) -> None:
    short = [_cut(label) for label in labels]
    figure.update_yaxes(
        type="category",
        autorange="reversed",
        categoryorder="array",
        categoryarray=list(labels),
        tickvals=list(labels),
        ticktext=short,
    )


def _basis(result: AblationComparison) -> str:
    share = f"base accuracy {result.base_accuracy:.1%}"
    return f"{share}, {result.n_right:,} right ({result.n_right_distinct:,} distinct)"


def _found(row: Any) -> str:
    """The layers of a schedule that was found or scored, or why there is none."""
    if row.status not in KNOWN:
        told = {"none": "no such subgraph", "refused": f"refused: {row.reason}"}
        return told.get(row.status, str(row.status))
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
        f"{_found(row)}{_error(row)}"
    )


def _prompts(row: Any) -> str:
    bounds = f"[{percent(row.low)}, {percent(row.high)}]"
    kept = f"faithfulness {percent(row.faithfulness)} {bounds}"
    return (
        f"<b>{row.name}</b><br>{row.model} · {row.task} · {row.format}<br>{kept}<br>"
        f"best constant answer {percent(row.constant)}<br>base accuracy "
        f"{percent(row.base_accuracy)} of {row.n:,} prompts ({row.n_distinct:,} distinct)<br>"
        f"logit difference {row.logit_difference:.3f}, KL {row.kl:.3g} nats{_error(row)}"
    )


def _error(row: Any) -> str:
    """How well this row's means are known, nothing where it has none or the error is unknown."""
    return "" if pd.isna(row.table_error) else f"<br>{about_error(row.table_error)}"


def _errors(table: pd.DataFrame) -> str:
    """The same of the worst row, for the caption."""
    known = table["table_error"].dropna()
    return f" · {about_error(known.max())}" if len(known) else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

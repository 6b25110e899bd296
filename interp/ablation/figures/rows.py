"""Faithfulness as a dot plot, one row for each alternative: intervals, marks and row texts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interp.ablation.results.evaluate import about_error
from interp.figures.theme import ACCENT, GREY, INK, error_bars

CONSTANT = "best constant answer"
FAITHFULNESS = "faithfulness (share of right answers kept)"
ROW = 26  # pixels
_LONGEST = 34  # characters of a label
_WRAP = 46  # characters of a line beside a row


def basis(result: Any) -> str:
    """The denominator of faithfulness as text: base accuracy and the prompts answered correctly."""
    right = f"{result.n_right:,} right ({result.n_right_distinct:,} distinct)"
    return f"base accuracy {result.base_accuracy:.1%}, {right}"


def percent(share: float) -> str:
    """A share as text, a dash for NaN."""
    return "–" if pd.isna(share) else f"{share:.1%}"


def dots(
    table: pd.DataFrame,
    labels: Sequence[str],
    *,
    hover: Sequence[str] | None = None,
    name: str = "faithfulness",
) -> go.Scatter:
    """Trace of `faithfulness` with `low` and `high`, one row for each label."""
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


def marks(values: pd.Series[float], labels: Sequence[str], name: str, symbol: str) -> go.Scatter:
    """Trace of one reference value per row, in grey."""
    return go.Scatter(
        x=values,
        y=list(labels),
        mode="markers",
        cliponaxis=False,
        name=name,
        marker={"symbol": symbol, "size": 10, "color": GREY, "line": {"color": GREY, "width": 2}},
        hovertemplate=f"%{{y}}: {name} %{{x:.1%}}<extra></extra>",
    )


def texts_beside(
    figure: go.Figure, labels: Sequence[str], texts: Sequence[str], strong: Sequence[bool]
) -> None:
    """Add a line of text to the right of each row."""
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


def label_rows(figure: go.Figure, labels: Sequence[str]) -> None:
    """Label the rows from top to bottom; long labels are truncated."""
    short = [_cut(label) for label in labels]
    figure.update_yaxes(
        type="category",
        autorange="reversed",
        categoryorder="array",
        categoryarray=list(labels),
        tickvals=list(labels),
        ticktext=short,
    )


def error_of_row(row: Any) -> str:
    """The error of this row's means as text; "" without means or if the error is unknown."""
    return "" if pd.isna(row.table_error) else f"<br>{about_error(row.table_error)}"


def worst_error(table: pd.DataFrame) -> str:
    """The `error_of_row` of the worst row, for the caption."""
    known = table["table_error"].dropna()
    return f" · {about_error(known.max())}" if len(known) else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

"""Figure of a diagnosis: each prompt format with its accuracy and an example answer."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from interp.behaviour.results.doctor import Diagnosis
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, error_bars, frame

_MOST = 24
_LONGEST = 26  # characters of prompt and answer beside a row


@renders(Diagnosis)
def doctor(result: Diagnosis) -> go.Figure:
    """Accuracy of each trial, the best on top, with one prompt and the model's answer."""
    table = result.trials.assign(
        label=[_label(row, number == 0) for number, row in enumerate(result.trials.itertuples())],
        best=[number == result.best for number in range(len(result.trials))],
    )
    asked = table[table["refusal"] == ""]
    asked = asked.sort_values(["best", "accuracy"], kind="stable").tail(_MOST)
    figure = go.Figure()
    figure.add_trace(_shuffled(asked))
    figure.add_trace(_accuracy(asked))
    for row in asked.itertuples():
        figure.add_annotation(
            text=f"{_shown(row.prompt)} → <b>{_shown(row.emitted)}</b>",
            x=1.02,
            xref="paper",
            y=row.label,
            xanchor="left",
            showarrow=False,
            font={"size": 11, "color": INK if row.best else GREY, "family": "monospace"},
        )
    figure.update_xaxes(title="exact answers", range=[-0.01, 1.01], tickformat=".0%")
    figure.update_yaxes(type="category", tickfont={"color": INK})
    refused = len(table) - len(table[table["refusal"] == ""])
    figure = frame(
        figure,
        title="How does it want to be asked?",
        caption=f"{result.caption} · n reported: {result.n_reported} · {refused} ways could not be "
        "asked · right: one prompt and what the model writes",
        notes=result.notes,
        verdict=result.verdict.replace("<", "&lt;") if result.verdict else None,
        height=max(220, 26 * len(asked) + 60),
        legend=True,
    )
    return figure.update_layout(margin={"r": 360})


def _label(row: Any, own: bool) -> str:
    start = f" · begun with {row.start!r}" if row.start else ""
    return f"{row.format}{start}{' (default)' if own else ''}"


def _accuracy(asked: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=asked["accuracy"],
        y=asked["label"],
        mode="markers",
        cliponaxis=False,
        name="half that nothing was chosen on",
        error_x=error_bars(asked["accuracy"], asked["low"], asked["high"], ACCENT),
        marker={
            "size": 9,
            "color": [ACCENT if best else "white" for best in asked["best"]],
            "line": {"color": ACCENT, "width": 1.5},
        },
        customdata=asked[["anywhere", "readable"]],
        hovertemplate="%{y}: %{x:.3f}<br>a number anywhere: %{customdata[0]:.3f}<br>"
        "readable: %{customdata[1]:.3f}<extra></extra>",
    )


def _shuffled(asked: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=asked["shuffled"],
        y=asked["label"],
        mode="markers",
        cliponaxis=False,
        name="answers shuffled among problems",
        marker={"symbol": "line-ns", "size": 9, "line": {"color": GREY, "width": 1.5}},
        hovertemplate="%{y}, shuffled: %{x:.3f}<extra></extra>",
    )


def _shown(text: str) -> str:
    line = text.replace("\n", "⏎")
    cut = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    return cut.replace("<", "&lt;")

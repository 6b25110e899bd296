"""Figure of a diagnosis: each prompt format with its accuracy and an example answer."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from interp.behaviour.results.doctor import Diagnosis
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, error_bars, escape_math, frame

_MOST = 24
_LONGEST = 26  # characters of prompt and answer beside a row
_NAME = 36  # characters of a format's name before its row


@renders(Diagnosis)
def doctor(result: Diagnosis) -> go.Figure:
    """Digits right in each trial beside chance, the best on top, with one prompt and the model's
    answer."""
    table = result.trials.assign(
        label=_labels(result.trials),
        whole=[escape_math(_line(one)) for one in result.trials["format"]],
        best=[number == result.best for number in range(len(result.trials))],
    )
    measured = _measured(result)
    asked = table[(table["refusal"] == "") & table[measured.value].notna()]
    asked = asked.sort_values(["best", measured.value], kind="stable")
    asked = asked.tail(_MOST)
    left_out = len(result.asked) - len(asked)
    figure = go.Figure()
    figure.add_trace(_chance(asked, measured))
    figure.add_trace(_right(asked, measured))
    for row in asked.itertuples():
        figure.add_annotation(
            text=_shown(row.prompt) + (f" → <b>{_shown(row.emitted)}</b>" if row.emitted else ""),
            x=1.02,
            xref="paper",
            y=row.label,
            xanchor="left",
            showarrow=False,
            font={"size": 11, "color": INK if row.best else GREY, "family": "monospace"},
        )
    figure.update_xaxes(title=measured.title, range=[-0.01, 1.01], tickformat=".0%")
    figure.update_yaxes(type="category", tickfont={"color": INK})
    refused = len(table) - len(table[table["refusal"] == ""])
    figure = frame(
        figure,
        title="How does it want to be asked?",
        caption=f"{result.caption} · n reported: {result.n_reported} · {refused} ways could not be "
        f"asked, {left_out} worse ones are left out · right: a prompt and, where it was asked to "
        "write, the model's answer",
        notes=result.notes,
        verdict=result.verdict.replace("<", "&lt;") if result.verdict else None,
        height=max(220, 26 * len(asked) + 60),
        legend=True,
    )
    return figure.update_layout(margin={"r": 360})


class _Measured(NamedTuple):
    """The columns that are drawn: by digit, or exact answers in a Result of an earlier version."""

    value: str
    low: str
    high: str
    chance: str
    title: str


def _measured(result: Diagnosis) -> _Measured:
    if result.by_digit:
        title = "answer digits right, given the right ones before"
        return _Measured("digits", "digits_low", "digits_high", "digits_of_others", title)
    return _Measured("accuracy", "low", "high", "shuffled", "exact answers")


def _labels(trials: pd.DataFrame) -> list[str]:
    """The formats' names, long ones without their middle, each another category."""
    labels: list[str] = []
    for number, row in enumerate(trials.itertuples()):
        start = f" · begun with {row.start!r}" if row.start else ""
        name = _line(str(row.format))
        if len(name) > _NAME:
            name = f"{name[: _NAME // 2]}…{name[1 - _NAME // 2 :]}"
        label = f"{escape_math(name)}{start}{' (default)' if number == 0 else ''}"
        while label in labels:
            label += " "
        labels.append(label)
    return labels


def _line(text: str) -> str:
    return text.replace("\n", "\\n")


def _right(asked: pd.DataFrame, measured: _Measured) -> go.Scatter:
    value = asked[measured.value]
    return go.Scatter(
        x=value,
        y=asked["label"],
        mode="markers",
        cliponaxis=False,
        name="half that nothing was chosen on",
        error_x=error_bars(value, asked[measured.low], asked[measured.high], ACCENT),
        marker={
            "size": 9,
            "color": [ACCENT if best else "white" for best in asked["best"]],
            "line": {"color": ACCENT, "width": 1.5},
        },
        customdata=asked[["accuracy", "readable", "whole"]],
        hovertemplate="%{customdata[2]}: %{x:.3f}<br>exact when generated: %{customdata[0]:.3f}<br>"
        "readable: %{customdata[1]:.3f}<extra></extra>",
    )


def _chance(asked: pd.DataFrame, measured: _Measured) -> go.Scatter:
    return go.Scatter(
        x=asked[measured.chance],
        y=asked["label"],
        mode="markers",
        cliponaxis=False,
        name="against other problems' answers of the same length",
        marker={"symbol": "line-ns", "size": 9, "line": {"color": GREY, "width": 1.5}},
        hovertemplate="%{y}, against others: %{x:.3f}<extra></extra>",
    )


def _shown(text: str) -> str:
    line = text.replace("\n", "⏎")
    cut = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    return escape_math(cut.replace("<", "&lt;"))

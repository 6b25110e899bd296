"""Figures of accuracy and of the prompt search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.arithmetic.subtasks import CLASS_MEANINGS, CLASSES
from interp.behaviour.results.accuracy import Behaviour, PromptSearch
from interp.figures.matrix import heatmap, most_first, under
from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, INK, error_bars, frame, magnitude_range

_MAX_POINTS, _MAX_GROUPS = 8, 24
_MAX_CANDIDATES = 40


@renders(Behaviour)
def behaviour(result: Behaviour) -> go.Figure:
    """Accuracy by answer digit and carry class; by carries or cascade; by operand size."""
    classes = result.breakdown("carry class")
    sides = [name for name in ("cascade", "operand size") if len(result.breakdown(name)) > 1]
    figure = make_subplots(
        rows=max(1, len(sides)),
        cols=2 if sides else 1,
        specs=_layout(len(sides)),
        column_widths=[0.6, 0.4] if sides else None,
        horizontal_spacing=0.14,
        vertical_spacing=0.28,
        subplot_titles=("Accuracy by answer digit and carry class", *map(_titled, sides)),
    )
    digits = most_first(list(dict.fromkeys(classes["answer_digit"])))
    groups = _in_order(classes["group"])
    share, text, hover = _by_class(classes, digits, groups)
    figure.add_trace(
        heatmap(
            share,
            digits,
            groups,
            scale=magnitude_range(share, 1.0),
            bar={"x": 0.52 if sides else 1.01, "title": {"text": "exact", "side": "top"}},
            text=text,
            hover=hover,
        ),
        row=1,
        col=1,
    )
    figure.update_xaxes(title="answer digit (index 0 least significant)", type="category", col=1)
    figure.update_yaxes(title="carry class of the column", type="category", row=1, col=1)
    for row, name in enumerate(sides, 1):
        part = result.breakdown(name)
        if len(part) > _MAX_POINTS and part["group"].str.match(r"\d+ and \d+$").all():
            _pairs(figure, part, row)
        else:
            _points(figure, part.head(_MAX_GROUPS), row)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="What does it get right?",
        caption=result.caption,
        notes=result.notes,
        verdict=result.verdict,
        height=max(380, 40 * len(groups) + 60),
    )


def _in_order(groups: pd.Series) -> list[str]:
    """Carry classes in the literature's order, the easiest first; others in order of appearance."""
    present = list(dict.fromkeys(groups.astype(str)))
    return [c for c in CLASSES if c in present] + [g for g in present if g not in CLASSES]


def _titled(name: str) -> str:
    return {
        "cascade": "Exact, by longest carry cascade",
        "operand size": "Exact, by digits of the operands",
    }[name]


Specs = list[list[dict[str, int] | None]]


def _layout(sides: int) -> Specs:
    """Subplots: the heat map on the left over the whole height, the others on the right."""
    if sides == 0:
        return [[{}]]
    below: Specs = [[None, {}]] * (sides - 1)
    return [[{"rowspan": sides}, {}], *below]


def _by_class(
    classes: pd.DataFrame, digits: Sequence[str], groups: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    share = np.full((len(groups), len(digits)), np.nan)
    text, hover = (np.full(share.shape, "", dtype=object) for _ in range(2))
    for cell in classes.itertuples():
        at = groups.index(str(cell.group)), digits.index(str(cell.answer_digit))
        share[at] = cell.accuracy
        text[at] = f"{_percent(float(cell.accuracy))}{under(f'n {cell.n:,}')}"
        what = CLASS_MEANINGS.get(str(cell.group), "")
        head = f"<b>{cell.answer_digit}, {cell.group}</b><br>" + (f"{what}<br>" if what else "")
        hover[at] = head + _counts(cell)
    return share, text, hover


def _percent(share: float) -> str:
    """The share as a percentage; only exact values print as 0 or 100."""
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}%"


def _pairs(figure: go.Figure, part: pd.DataFrame, row: int) -> None:
    """Heat map of accuracy by the lengths of two operands."""
    lengths = part["group"].str.split(" and ", expand=True).astype(int)
    first, second = (sorted(set(lengths[i])) for i in (0, 1))
    share = np.full((len(second), len(first)), np.nan)
    text, hover = (np.full(share.shape, "", dtype=object) for _ in range(2))
    for (a, b), cell in zip(lengths.to_numpy(), part.itertuples(), strict=True):
        at = second.index(b), first.index(a)
        share[at], text[at] = cell.accuracy, _percent(cell.accuracy)
        hover[at] = f"<b>{a} and {b} digits</b><br>{_counts(cell)}"
    columns, rows = (list(map(str, sizes)) for sizes in (first, second))
    scale = magnitude_range(share, 1.0) | {"showscale": False}
    trace = heatmap(share, columns, rows, scale=scale, bar={}, text=text, hover=hover)
    figure.add_trace(trace, row=row, col=2)
    figure.update_xaxes(type="category", title="digits of a", row=row, col=2)
    figure.update_yaxes(type="category", title="digits of b", row=row, col=2)


def _counts(cell: Any) -> str:
    return (
        f"{cell.correct:,} of {cell.n:,} right<br>{cell.accuracy:.4f} "
        f"[{cell.accuracy_low:.4f}, {cell.accuracy_high:.4f}]"
    )


def _points(figure: go.Figure, part: pd.DataFrame, row: int) -> None:
    error = error_bars(part["accuracy"], part["accuracy_low"], part["accuracy_high"], ACCENT)
    figure.add_trace(
        go.Scatter(
            x=part["group"],
            y=part["accuracy"],
            error_y=error,
            mode="markers",
            marker={"color": ACCENT, "size": 7},
            customdata=part["n"],
            hovertemplate="%{x}: %{y:.4f}, n = %{customdata:,}<extra></extra>",
            showlegend=False,
        ),
        row=row,
        col=2,
    )
    figure.update_xaxes(type="category", tickangle=0, row=row, col=2)
    low = float(part["accuracy_low"].min())
    span = max(1 - low, 0.02)
    figure.update_yaxes(range=[low - 0.08 * span, 1 + 0.08 * span], row=row, col=2)


@renders(PromptSearch)
def prompt_search(result: PromptSearch) -> go.Figure:
    """Accuracy of every candidate on the selection half, of best and baseline on the other."""
    table = result.candidates.sort_values("accuracy_chosen_on").tail(_MAX_CANDIDATES)
    figure = go.Figure()
    for half, name, colour in (
        ("chosen_on", "half it was chosen on", GREY),
        ("reported", "other half", ACCENT),
    ):
        value = table[f"accuracy_{half}"]
        figure.add_trace(
            go.Scatter(
                x=value,
                y=table["format"],
                mode="markers",
                name=name,
                error_x=error_bars(
                    value, table[f"accuracy_{half}_low"], table[f"accuracy_{half}_high"], colour
                ),
                marker={
                    "size": 9,
                    "color": "white" if half == "chosen_on" else colour,
                    "line": {"color": colour, "width": 1.5},
                },
                line={"color": colour},
                hovertemplate="%{y}: %{x:.3f}<extra>" + name + "</extra>",
            )
        )
    figure.update_xaxes(title="exact answers", range=[-0.01, 1.01], tickformat=".0%")
    figure.update_yaxes(type="category", tickfont={"color": INK})
    return frame(
        figure,
        title="Which prompt does it answer best?",
        caption=f"{result.caption} · n on each half: "
        f"{result.candidates['n_chosen_on'].iloc[0]:.0f} and {result.metrics['n_reported']:.0f}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(240, 24 * len(table) + 60),
        legend=True,
    )

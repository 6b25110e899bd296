"""The two figures of `bench.proofs.who_multiplies`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap, under
from interp.figures.theme import ACCENT, GREY, error_bars, frame, magnitude_range
from interp.training import design
from interp.training.products import FOUR_DIGITS

if TYPE_CHECKING:
    from bench.proofs.who_multiplies import Measured

Share = Mapping[str, float]
INTERVAL = ("share", "low", "high")


def three_digits(cells: Mapping[design.Signs, Sequence[Share]], found: Measured) -> go.Figure:
    """Left, exact accuracy of every run, a row a cell; right, the effects on its log-odds."""
    drawn = make_subplots(
        1, 2, column_widths=[0.56, 0.44], horizontal_spacing=0.24,
        subplot_titles=("the eight cells and their seeds", "effect on log-odds of exact"),
    )  # fmt: skip
    for signs, parts in sorted(cells.items()):
        label = _words(signs)
        share, low, high = 100 * np.array([[p[key] for p in parts] for key in INTERVAL])
        drawn.add_scatter(
            x=share, y=[label] * len(parts), mode="markers", showlegend=False,
            marker={"color": ACCENT, "size": 8, "opacity": 0.7},
            error_x=error_bars(share, low, high, ACCENT), row=1, col=1,
        )  # fmt: skip
    value, low, high = (
        np.array([getattr(one, key) for one in found.odds]) for key in ("effect", "low", "high")
    )
    names = [one.name.replace(" or ", "<br>or ") for one in found.odds]
    drawn.add_scatter(
        x=value, y=names, mode="markers", showlegend=False, marker={"color": ACCENT, "size": 8},
        error_x=error_bars(value, low, high, ACCENT), row=1, col=2,
    )  # fmt: skip
    drawn.add_vline(x=0, line={"color": GREY, "width": 1}, row=1, col=2)
    drawn.update_xaxes(title="held-out products exact, %", range=[-3, 103], row=1, col=1)
    drawn.update_xaxes(title="mean at + less mean at –", row=1, col=2)
    drawn.update_yaxes(autorange="reversed", row=1, col=2)
    drawn.update_annotations(font_size=13)
    return frame(
        drawn,
        title="Which training choices let a model learn 3×3 multiplication?",
        caption=f"mul:3x3, 2 layers of width 128, 8,000 steps, half fraction I = +ABCD, seeds "
        f"{', '.join(map(str, found.seeds))}; 10,000 held-out products a run (Wilson 95 %); "
        "effects with Student's 95 % over seeds within cells, interactions in aliased pairs.",
        notes=("what longer training would reach", "effects near the ceiling of 100 %"),
        height=380,
    )


class Row(NamedTuple):
    """A run: shares right by digit and of whole answers, and the first step of each digit below
    1 nat, in words."""

    by_digit: Mapping[str, Share]
    exact: Share
    steps: Sequence[str]


def four_digits(runs: Mapping[str, Row]) -> go.Figure:
    """A row a run: share right by digit and of whole answers, and when each digit is learnt."""
    values, text = [], []
    for row in runs.values():
        shares = [part["share"] for part in row.by_digit.values()]
        values.append([100 * share for share in (*shares, row.exact["share"])])
        cells = [
            f"{100 * share:.0f}" + under(step)
            for share, step in zip(shares, row.steps, strict=True)
        ]
        text.append([*cells, f"{100 * row.exact['share']:.2f}"])
    digits = list(row.by_digit)
    table = np.array(values)
    bar = {"title": {"text": "right, %"}}
    trace = heatmap(
        table, [*digits, "exact"], list(runs), scale=magnitude_range(table, 100.0), bar=bar,
        text=np.array(text, dtype=object),
    )  # fmt: skip
    drawn = go.Figure(trace)
    drawn.update_yaxes(autorange="reversed", ticks="")
    drawn.update_xaxes(title="answer digit, from the lowest", ticks="")
    drawn.add_vline(x=len(digits) - 0.5, line={"color": GREY, "width": 1})
    recipe = FOUR_DIGITS[0]
    return frame(
        drawn,
        title="Which training choices let a model learn 4×4 multiplication?",
        caption=f"mul:4x4, 2 layers of width {recipe.d_model}, one seed, at most "
        f"{recipe.steps:,} steps a row (P goes on twice, from its weights). Accuracy on about "
        "10,000 held-out products, of P's rows without leading zeros, as they are trained; below "
        "it the first logged step at which the digit's loss is under 1 nat (– never, = in an "
        "earlier leg): on validation problems, for P and its variants with uniform operands on "
        "training batches, which are fresh.",
        notes=("what longer training would reach", "the spread between seeds"),
        height=44 * len(runs),
    )


def _words(signs: design.Signs) -> str:
    muon, lengths, simple, sums = (sign > 0 for sign in signs)
    mixes = [name for name, on in (("lengths", lengths), ("simple", simple)) if on]
    mix = " + ".join(mixes) or "uniform"
    return f"{'Muon' if muon else 'AdamW'}, {mix}, {'sums' if sums else 'answer'}"

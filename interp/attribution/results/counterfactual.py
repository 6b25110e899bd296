"""Results of counterfactual attribution: the operand digits that each answer digit depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import number
from interp.results.grid import Grid
from interp.results.intervals import ratio_interval
from interp.results.result import Result

CHANGES = 0.1
"""Oracle probability from which on an answer digit counts as depending on the operand digit."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CounterfactualAttribution(Result):
    """Δlogit of each answer digit's token when one operand digit is replaced, and the oracle.

        D[t, k] = mean over prompts of  logit_{c_k}(ORIG) − logit_{c_k}(COUNTER_t)

    (arXiv 2510.00184, Fig. 2.) Every Grid has the axes `operand_digit` (t) and `answer_digit` (k),
    index 0 the least significant. A cell leaves out prompts without the digit or without a defined
    target.

    Args:
        effect: D, in logits, with its interval.
        magnitude: mean |Δlogit|, with its interval.
        oracle: exact probability that the answer digit changes, over every other value of the
            operand digit, for the prompts of the cell.
        used: number of prompts in the cell; the rest of the n lack one of the digits.
        noise: largest |Δlogit| at that answer digit without a replacement, the same for all t.
        by_prompt: float32 [n, t, k], mean |Δlogit| over the replacements of each prompt; NaN where
            left out.
        changed, stayed: as `by_prompt`, over the replacements that change the right answer digit,
            and over those that leave it.
        group: int [n, kinds], the groups that the intervals resample (`resampling`).
        resampled: the name of these groups, "operand values" or "distinct problems".
        correct: bool [n], True where every answer token of the prompt is the model's first choice.
        pairs: number of prompt pairs compared.
    """

    analysis: ClassVar[str] = "counterfactual_attribution"
    notes: ClassVar[tuple[str, ...]] = (
        "where in the model the dependence arises",
        "that the model answers rightly: a large Δlogit may be for a wrong digit",
        "what the prefix tells: under 'keep' the answer's earlier digits stay the original's",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "mean_abs_where_changes": "mean |Δlogit| of cells where the oracle is at least 0.1, in "
        "logits",
        "mean_abs_where_zero": "mean |Δlogit| of cells where the oracle is 0, in logits",
        "ratio_oracle": "the first over the second, or over the noise floor where that is larger",
        "ratio_oracle_low": "lower end of its 95 % interval",
        "ratio_oracle_high": "upper end of its 95 % interval",
        "mean_abs_where_changes_correct": "mean |Δlogit| of cells where the oracle is at least "
        "0.1, on rightly answered prompts, in logits",
        "mean_abs_where_zero_correct": "mean |Δlogit| of cells where the oracle is 0, on rightly "
        "answered prompts, in logits",
        "ratio_oracle_correct": "the first over the second, or over the noise floor where that is "
        "larger",
        "ratio_oracle_correct_low": "lower end of its 95 % interval",
        "ratio_oracle_correct_high": "upper end of its 95 % interval",
        "mean_abs_digit_changed": "mean |Δlogit| of replacements that change the right answer "
        "digit, within the same cells, in logits",
        "mean_abs_digit_stayed": "mean |Δlogit| of replacements that leave it, within the same "
        "cells, in logits",
        "ratio_pairs": "the first over the second, or over the noise floor where that is larger",
        "ratio_pairs_low": "lower end of its 95 % interval",
        "ratio_pairs_high": "upper end of its 95 % interval",
        "noise_floor": "largest |Δlogit| where nothing is replaced, in logits",
        "share_correct": "share of prompts that the model answers rightly, 0 to 1",
        "excluded_share": "share of prompts × cells that lack one of the digits, 0 to 1",
        "pairs": "prompt pairs compared, a count",
    }

    effect: Grid
    magnitude: Grid
    oracle: Grid
    used: Grid
    noise: Grid
    by_prompt: npt.NDArray[np.float32]
    changed: npt.NDArray[np.float32]
    stayed: npt.NDArray[np.float32]
    group: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    pairs: int
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each cell: `operand_digit`, `answer_digit`, `effect` and `magnitude` with
        their bounds, `oracle`, `used`, `noise`; and `magnitude` separately for replacements that
        change the right answer digit and those that leave it."""
        frame = self.effect.frame("effect")
        for name in ("magnitude", "oracle", "used", "noise"):
            columns = getattr(self, name).frame(name)
            frame = frame.join(columns.drop(columns=["operand_digit", "answer_digit"]))
        for name in ("changed", "stayed"):
            values = getattr(self, name)
            frame[f"magnitude_{name}"] = _column_means(values.reshape(len(values), -1))
        return frame

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Summary metrics.

        mean_abs_where_changes, mean_abs_where_zero: |Δlogit|, averaged over a prompt's cells where
        the oracle is at least 0.1, or exactly 0, then over prompts. ratio_oracle: the first over
        the second (over the noise floor if that is larger), with its interval. `…_correct`: the
        same over the prompts that the model gets right; share_correct: their share.
        mean_abs_digit_changed, mean_abs_digit_stayed, ratio_pairs: the same contrast between
        replacements that change the right digit and those that leave it, within the same cells;
        defined also where no cell's oracle is 0, as with one-digit sums. noise_floor: the largest
        `noise`. excluded_share: share of prompts × cells left out. pairs: prompt pairs compared.
        """
        right = self.correct
        where = self.by_prompt[:, self.oracle.values >= CHANGES]
        zero = self.by_prompt[:, self.oracle.values == 0]
        # Cells where some replacements change the digit and others leave it.
        mixed = (self.oracle.values > 0) & (self.oracle.values < 1)
        names = ("mean_abs_where_changes", "mean_abs_where_zero", "ratio_oracle")
        pairs = ("mean_abs_digit_changed", "mean_abs_digit_stayed", "ratio_pairs")
        return {
            **self._contrast(where, zero, names, np.ones_like(right)),
            **self._contrast(where, zero, tuple(f"{name}_correct" for name in names), right),
            **self._contrast(
                self.changed[:, mixed], self.stayed[:, mixed], pairs, np.ones_like(right)
            ),
            "noise_floor": float(np.nanmax(self.noise.values)),
            "share_correct": float(right.mean()),
            "excluded_share": float(np.isnan(self.by_prompt).mean()),
            "pairs": float(self.pairs),
        }

    def _contrast(
        self,
        above: npt.NDArray[np.float32],
        below: npt.NDArray[np.float32],
        names: tuple[str, ...],
        rows: npt.NDArray[np.bool_],
    ) -> dict[str, float]:
        """Both means over prompts, and their ratio with its interval, under `names`."""
        upper, lower = _row_means(above[rows]), _row_means(below[rows])
        high, low = _known_mean(upper), _known_mean(lower)
        # The noise floor bounds the ratio from above where the logit does not move.
        floor = max(float(np.nanmax(self.noise.values)), float(np.finfo(np.float32).tiny))
        seed, group = self.seed or 0, self.group[rows]
        bounds = ratio_interval(upper, lower, group, floor=floor, seed=seed)
        ratio = high / floor if low < floor else high / low
        named = dict(zip(names, (high, low, ratio), strict=True))
        return named | {
            f"{names[-1]}_low": float(bounds.low),
            f"{names[-1]}_high": float(bounds.high),
        }

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        names = ("prefix", "target", "draws", "operand_digits")
        options = {name: self.settings.get(name) for name in names}
        function = "interp.attribution.counterfactual"
        form = self.settings.get("format")
        return asked_code(
            self.model, self.settings, function, **options, format=form, seed=self.seed
        )

    def conclusion(self) -> str | None:
        metrics = self.metrics
        ratio, low = metrics["ratio_oracle"], metrics["ratio_oracle_low"]
        if not np.isfinite(low):
            return self._conclusion_from_pairs()
        told = (
            f"where arithmetic lets the digit change, replacing it moves the logit {number(ratio)} "
            f"times as much as where it cannot (at least {number(low)} times)"
        )
        if low >= 10:
            return f"The answer follows the operand digits it must: {told}."
        if low > 1:
            return f"The answer leans on the operand digits it must, and on others: {told}."
        return f"The answer does not single out the operand digits it must follow: {told}."

    def _conclusion_from_pairs(self) -> str | None:
        ratio, low = self.metrics["ratio_pairs"], self.metrics["ratio_pairs_low"]
        if not np.isfinite(low):
            return None
        told = f"{number(ratio)} times as much (at least {number(low)} times)"
        if low > 1:
            return f"The logit moves {told} when the right digit changes as when it stays."
        return f"The logit does not tell a right digit that changes from one that stays: {told}."


def _column_means(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return _row_means(values.T)


def _known_mean(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _row_means(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean over the cells of each row, NaN for a row without cells."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1, dtype=float)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SwapExample(Result):
    """Logits of the likeliest tokens of one prompt before and after one operand digit is replaced.

    Args:
        before, after: the two texts.
        operand_digit: the replaced role, "a2".
        logits: columns `answer_digit`, `token` (text), `logit_before`, `logit_after`,
            `probability_before`, `probability_after`, `true_before`, `true_after` (True for the
            right token of the original and of the changed problem).
    """

    analysis: ClassVar[str] = "swap_example"
    meanings: ClassVar[Mapping[str, str]] = {
        "largest_change": "largest |Δlogit| of a shown token, in logits",
    }
    notes: ClassVar[tuple[str, ...]] = ("anything about other prompts: one is an illustration",)

    before: str
    after: str
    operand_digit: str
    logits: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        return self.logits

    @property
    def metrics(self) -> dict[str, float]:
        change = (self.logits["logit_before"] - self.logits["logit_after"]).abs()
        return {"largest_change": float(change.max())}

    @property
    def code(self) -> str:
        function = "interp.attribution.swap_example"
        options = {name: self.settings.get(name) for name in ("digit", "prefix", "top")}
        return asked_code(
            self.model, self.settings, function, repr(self.operand_digit), **options,
            format=self.settings.get("format"),
        )  # fmt: skip

"""What results on clean and corrupted prompts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.results.calls import asked_code
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OfPairs(Result):
    """Result of runs on pairs of a clean and a corrupted prompt.

    Args:
        resampled: what the intervals resample.
    """

    resampled: str

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    def pair_code(self, function: str, **options: Any) -> str:
        """The call of `function` with these options and those of the pairs."""
        s = self.settings
        given = s["swap"] == "given"
        pairs = {
            "swap": None if given else s["swap"],
            "answers": s["answers"],
            "prefix": None if s["prefix"] == "keep" else s["prefix"],
        }
        return asked_code(
            self.model, s, function, *(["corrupted=corrupted"] if given else []),
            format=s["format"], **options, **pairs, seed=self.seed,
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PairEffects(OfPairs):
    """Effect of each cell on each answer digit, by metric; the first metric leads.

    Args:
        effect: mean effect with interval, first axis `metric`, last `answer_digit`.
        q: false-discovery rate of the leading metric's effect (Benjamini-Hochberg over all cells).
        total: what changing the whole prompt does, by metric and answer digit.
        small_logits: share of |x[r]| below 1, where `relative_logit` says little.
        chosen: nodes chosen on one half of the prompts, scored on the other, beside random ones.
        by_prompt: the leading metric's effect, [n, …cells], float32.
    """

    effect: Grid
    q: Grid
    total: Grid
    small_logits: float
    chosen: pd.DataFrame
    by_prompt: npt.NDArray[np.float32]

    @property
    def lead(self) -> str:
        """The leading metric."""
        return self.effect.axes[0].labels[0]

    @property
    def main(self) -> Grid:
        """Effect in the leading metric."""
        return of_metric(self.effect, self.lead)

    def cells(self) -> pd.DataFrame:
        """One row a cell: effect and bounds by metric."""
        table = self.main.frame(self.lead)
        for name in self.effect.axes[0].labels[1:]:
            other = of_metric(self.effect, name).frame(name)
            table = table.join(other[[c for c in other if c.startswith(name)]])
        return table

    def chosen_scores(self) -> Mapping[str, float]:
        """The first node chosen on one half, scored on the other, and a random choice there."""
        first = self.chosen.iloc[0] if len(self.chosen) else {}
        return {
            "chosen_scored": float(first.get("scored", np.nan)),
            "random_scored": float(first.get("random", np.nan)),
        }


def of_metric(grid: Grid, metric: str) -> Grid:
    """The cells of one metric."""
    found = grid.at(metric=metric)
    assert isinstance(found, Grid)
    return found

"""Result of a screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from interp.heads.results.pairs import OfPairs
from interp.results.display import number, percent
from interp.results.grid import Grid


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Screen(OfPairs):
    """Estimated effect of every node on the logit difference, beside exact effects of some.

    Args:
        effect: mean estimate with interval, in logits; axes `layer`, `head` or `group`, and
            `answer_digit`. Positive where the node carries the answer.
        q: false-discovery rate of each estimate.
        checked: nodes patched exactly: `estimate` and `exact`, means over the same prompts.
        agreement: Pearson's r and overlap of the top tenths with intervals, the overlap of a random
            choice, and the numbers of nodes and prompts.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "screen"
    notes: ClassVar[tuple[str, ...]] = ("effects where the model saturates: a gradient is 0 there",)
    meanings: ClassVar[Mapping[str, str]] = {
        "pearson": "Pearson's r of estimated and exact mean effects over the checked nodes",
        "pearson_low": "its lower bound over prompts",
        "pearson_high": "its upper bound over prompts",
        "overlap": "overlap of the top tenths by estimated and by exact effect, 0 to 1",
        "overlap_low": "its lower bound over prompts",
        "overlap_high": "its upper bound over prompts",
        "overlap_random": "the overlap of a random choice",
        "checked_nodes": "nodes patched exactly, a count",
        "checked_prompts": "prompts that they were patched on, a count",
    }

    effect: Grid
    q: Grid
    checked: pd.DataFrame
    agreement: Mapping[str, Any]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a node and answer digit: estimate with bounds, and q."""
        return self.effect.frame("estimate").assign(q=self.q.values.ravel())

    @property
    def metrics(self) -> dict[str, float]:
        return {k: float("nan") if v is None else float(v) for k, v in self.agreement.items()}

    @property
    def code(self) -> str:
        s = self.settings
        return self.pair_code(
            "interp.heads.screen",
            kind=s["kind"],
            steps=s["steps"],
            direction=None if s["direction"] == "noise" else s["direction"],
            check=s["check"],
        )

    def conclusion(self) -> str:
        a, table = self.metrics, self.checked
        top = table.iloc[int(np.nanargmax(np.abs(table["estimate"])))]
        return (
            f"Estimated and exact effects correlate by {number(a['pearson'])} "
            f"({number(a['pearson_low'])} to {number(a['pearson_high'])}); their top tenths "
            f"overlap by {percent(a['overlap'])} %, a random choice by "
            f"{percent(a['overlap_random'])} %. {top['node']} has the largest estimate, "
            f"{number(top['estimate'])} logits, and an exact effect of {number(top['exact'])}."
        )

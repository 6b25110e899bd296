"""Result of knock-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class KnockOut(Result):
    """Accuracy as heads are removed, and what each head alone is needed for.

    Heads are ranked on one half of the prompts; everything here is measured on the other half,
    teacher-forced. Figures: "figure", the curve; "digits" and "subtasks", the loss by head and
    answer digit or subtask class; "heads", by layer and head.

    Args:
        ranking: heads in the order of removal, with the loss of the right tokens' log-probability
            (nats) without each alone, on the half it was ranked on.
        curve: exact accuracy by number of removed heads, with interval; mean and 95 % range over
            random orders.
        by_digit: accuracy in effect order; axes `removed`, `answer_digit`.
        digits: loss of accuracy without one head; axes `head` (of a given order those in it),
            `answer_digit`.
        subtasks: the same by subtask class (`interp.arithmetic.subtasks`); None for tasks without.
        subtask_counts: columns of each class among the prompts.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "knock_out"
    notes: ClassVar[tuple[str, ...]] = (
        "what a removed head computed",
        "whether the answer is lost for want of it or because its replacement disturbs",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "accuracy": "exact accuracy with all heads, 0 to 1",
        "accuracy_one_removed": "without the first head of the order",
        "random_one_removed": "without one random head, mean over orders",
        "removed_for_half": "heads of the order without which accuracy is at most half, a count",
        "removed_for_half_random": "the same for the mean over random orders",
    }

    ranking: pd.DataFrame
    curve: pd.DataFrame
    by_digit: Grid
    digits: Grid
    subtasks: Grid | None
    subtask_counts: pd.DataFrame | None
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        """The curve."""
        return self.curve

    @property
    def metrics(self) -> dict[str, float]:
        curve = self.curve
        full = float(curve["accuracy"].iloc[0])

        def half(column: str) -> float:
            below = curve.loc[curve[column] <= full / 2, "removed"]
            return float(below.iloc[0]) if len(below) and full else float("nan")

        return {
            "accuracy": full,
            "accuracy_one_removed": float(curve["accuracy"].iloc[1]),
            "random_one_removed": float(curve["random"].iloc[1]),
            "removed_for_half": half("accuracy"),
            "removed_for_half_random": half("random"),
        }

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        s = self.settings
        options = {
            "by": s["by"],
            "order": None if s["order"] is None else list(s["order"]),
            "random_orders": s["random_orders"],
            "only_right": None if s["only_right"] else False,
        }
        return asked_code(
            self.model, s, "interp.heads.knockout", format=s["format"], **options, seed=self.seed
        )

    def conclusion(self) -> str:
        m = self.metrics
        half, chance = m["removed_for_half"], m["removed_for_half_random"]
        first = str(self.ranking["head"].iloc[0])
        text = (
            f"Without {first} alone, {percent(m['accuracy_one_removed'])} % of the "
            f"{percent(m['accuracy'])} % are still right; without a random head "
            f"{percent(m['random_one_removed'])} %. "
        )
        if half == half:
            other = "never" if chance != chance else f"after {int(chance)}"
            text += f"Half is lost after {int(half)} heads, in random order {other}."
        else:
            text += "Accuracy never falls to half."
        return f"{text} Removed heads are replaced by: {self.settings['by']}."

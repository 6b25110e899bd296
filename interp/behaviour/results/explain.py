"""Result of the comparison of wrong answers with fault simulators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from interp.behaviour.results.errors import OfWrongAnswers
from interp.results.display import number, percent, unread_formats


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ErrorExplanation(OfWrongAnswers):
    """The share of wrong answers that each simulator predicts exactly, against chance.

    Args:
        source: the format asked in, or the published file's name.
        simulators: columns `simulator`, `does`, `n`, `n_distinct`, `errs`, `hits`, `alone`,
            `share`, `low`, `high`, `chance`, `chance_high`, `excess`, `p`, `p_best`,
            `false_alarms` (`explain_errors.explain_errors`), the most above chance first.
        wrong: one row a wrong answer: `problem`, `answer` (the right one), `given`, `simulators`
            (comma-separated names of those that predict it; '' for none).
        read: number of answers with a readable number; None in results of older versions.
        never_read: formats of a published file without any readable answer.
    """

    analysis: ClassVar[str] = "error_explanation"
    of_model: ClassVar[str] = "interp.behaviour.explain_errors"
    of_published: ClassVar[str] = "interp.behaviour.explain_published"
    shuffled: ClassVar[str] = "wrong answers"
    notes: ClassVar[tuple[str, ...]] = (
        "that the model computes this way: two rules can give the same wrong answer",
        "what it does on problems it was not asked",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "share": "share of wrong answers that the best simulator predicts digit for digit, 0 to 1",
        "low": "lower end of its 95 % interval",
        "high": "upper end of its 95 % interval",
        "chance": "the same with shuffled problems, the control",
        "p_best": "p-value of the best simulator, corrected for the number of simulators",
        "false_alarms": "share of rightly answered problems for which it predicts an error, 0 to 1",
        "explained": "share of wrong answers that some simulator predicts, 0 to 1",
        "wrong": "wrong answers that could be read, a count",
        "wrong_distinct": "distinct problems among them, a count",
        "unreadable": "share of answers without a number, 0 to 1",
        "never_read": "formats without a readable answer, a count",
    }

    source: str
    simulators: pd.DataFrame
    wrong: pd.DataFrame
    read: int | None = None
    never_read: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        return self.simulators

    @property
    def best(self) -> str:
        """The simulator furthest above chance."""
        return str(self.simulators["simulator"].iloc[0])

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Of the best simulator: `share` of the wrong answers with its bounds, `chance`,
        `p_best` (corrected for multiple comparisons), `false_alarms`; and `explained`, the share
        that some simulator predicts, `wrong`, `wrong_distinct`; `unreadable`: share of answers
        without a number; `never_read`: formats without any."""
        best = self.simulators.iloc[0]
        names = ("share", "low", "high", "chance", "p_best", "false_alarms")
        return {
            **{name: float(best[name]) for name in names},
            "explained": float((self.wrong["simulators"] != "").mean()),
            "wrong": float(best["n"]),
            "wrong_distinct": float(best["n_distinct"]),
            "unreadable": float("nan") if self.read is None else 1 - self.read / self.n,
            "never_read": float(len(self.never_read)),
        }

    def conclusion(self) -> str | None:
        found = self.metrics
        does = str(self.simulators["does"].iloc[0])
        told = (
            f"{percent(found['share'])} % of the wrong answers "
            f"({percent(found['low'])} to {percent(found['high'])} %), by chance "
            f"{percent(found['chance'])} %, p = {number(found['p_best'])} among all tried"
        )
        if found["p_best"] > 0.05 or found["share"] <= found["chance"]:
            return (
                f"No simulator predicts the wrong answers better than chance; the best is "
                f"{self.best}: {told}.{unread_formats(self.never_read)}"
            )
        return (
            f"{self.best} ({does}) predicts the wrong answers best: {told}. All simulators "
            f"together predict {percent(found['explained'])} %."
            f"{unread_formats(self.never_read)}"
        )

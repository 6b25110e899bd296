"""Result of the Number Cookbook: scores by digit length, and learned lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from interp.errors import InputError
from interp.results.calls import call, model_code
from interp.results.display import percent, unread_formats
from interp.results.result import MIN_DISTINCT, Result
from interp.suites.number_cookbook.scores import SURE_FROM, naive_share

SCORES = ("exact_match", "digit_match", "length_difference")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CookbookScores(Result):
    """Scores of a language model on tasks of the Number Cookbook (arXiv 2411.03766), by length.

    Args:
        lengths: one row a task and length: `task`, `length`, `n`, `n_distinct`, `exhausted` (no
            more different problems exist), `parsed`, then `exact_match`, `digit_match`
            and `length_difference`, each with `_low` and `_high` (Wilson for both matches, the
            bootstrap widened by Wilson for the length difference).
        learned: one row a task and score: `task`, `score`, `well_learned` and
            `performance_preserving` (the greatest length asked that passes the benchmark's
            threshold, 0 for none), `well_learned_sure` and `performance_preserving_sure` (the
            same for lengths whose whole interval passes, uncorrected for the number of lengths;
            well learned needs 35 problems for it), and the score over the benchmark's ranges `S`,
            `M`, `L`, `XL`.
        answers: one row a problem: `task`, `length`, `question`, `answer`, `given`, `read`,
            `exact_match`, `digit_match`, `length_difference`.
        shots: solved examples before each question, of the same task and length.
        cells: number of requested tasks × lengths; `lengths` has fewer after a time limit.
    """

    analysis: ClassVar[str] = "cookbook"
    notes: ClassVar[tuple[str, ...]] = (
        "what the model would answer to other words, or after fine-tuning as in the benchmark",
        "that shorter lengths pass: as in the benchmark the greatest that does counts",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "exact_match": "share of answers that are right, mean over cells, 0 to 1",
        "naive_match": "share of right answers of the best rule without arithmetic, cell by cell: "
        "always the same answer, or one of the question's numbers by its place, 0 to 1",
        "digit_match": "share of digits that are right, mean over cells, 0 to 1",
        "length_difference": "difference of the answers' lengths from the right ones, mean over "
        "cells, in digits",
        "parsed": "share of answers that can be read, mean over cells, 0 to 1",
        "unreadable": "share of answers that cannot, 0 to 1",
        "never_read": "tasks without a readable answer, a count",
        "tasks_learned": "tasks with a well-learned length, a count",
        "tasks_sure": "tasks with a length whose whole interval is well learned, a count",
        "tasks_preserved": "tasks with a performance-preserving length, a count",
        "cells": "tasks × lengths that were measured, a count",
        "cells_left": "tasks × lengths left out for want of time, a count",
    }

    lengths: pd.DataFrame
    learned: pd.DataFrame
    answers: pd.DataFrame
    shots: int
    cells: int

    @property
    def frame(self) -> pd.DataFrame:
        return self.lengths

    def of(self, task: str) -> pd.DataFrame:
        """The rows of one task by length. Raises InputError for another, with the valid names."""
        rows = self.lengths[self.lengths["task"] == task].reset_index(drop=True)
        if not len(rows):
            raise InputError(f"{task!r} was not asked; {', '.join(self.tasks)} were")
        return rows

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.lengths["task"].unique())

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Means over the cells of the three scores, `parsed` and `naive_match` (of `naive`),
        `unreadable` (1 - `parsed`), and how many tasks were `never_read`; `tasks_learned`,
        `tasks_sure` and `tasks_preserved`: tasks with a well-learned, a surely well-learned and a
        performance-preserving length by exact match; `cells` requested, and `cells_left` over by
        the time limit."""
        exact = self.learned[self.learned["score"] == "exact_match"]
        return {
            **{name: float(self.lengths[name].mean()) for name in (*SCORES, "parsed")},
            "naive_match": float(self.naive.mean()),
            "unreadable": float(1 - self.lengths["parsed"].mean()),
            "never_read": float(len(self._never_read)),
            "tasks_learned": float((exact["well_learned"] > 0).sum()),
            "tasks_sure": float((exact["well_learned_sure"] > 0).sum()),
            "tasks_preserved": float((exact["performance_preserving"] > 0).sum()),
            "cells": float(len(self.lengths)),
            "cells_left": float(self.cells - len(self.lengths)),
        }

    @cached_property
    def naive(self) -> pd.Series[float]:
        """By task and length the share of right answers of the best rule without arithmetic: always
        the same answer, or always the question's first number, or its second, and so on."""
        found = {
            cell: naive_share(rows)
            for cell, rows in self.answers.groupby(["task", "length"], sort=False)
        }
        return pd.Series(found).rename_axis(["task", "length"])

    @property
    def _never_read(self) -> list[str]:
        parsed = self.lengths.groupby("task", sort=False)["parsed"].max()
        return list(parsed.index[parsed == 0])

    @property
    def enough(self) -> bool:
        """True if every cell has enough distinct problems for a verdict, or all that exist."""
        return bool(
            ((self.lengths["n_distinct"] >= MIN_DISTINCT) | self.lengths["exhausted"]).all()
        )

    @property
    def interval(self) -> str:
        left = self.cells - len(self.lengths)
        n = self.lengths["n"]
        each = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
        told = f"{each} problems a cell · {self.shots} shots · 95 % intervals"
        if n.min() < SURE_FROM:
            told += f" · below {SURE_FROM} problems no length is surely well learned"
        return told + (f" · time was up before {left} of {self.cells} cells" if left else "")

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("tasks", "lengths", "n", "shots")}
        last = call("interp.suites.cookbook", "model", **options, seed=self.seed)
        return model_code(self.model, {}, last)

    def conclusion(self) -> str | None:
        found = self.metrics
        return (
            f"Of {len(self.tasks)} tasks, {found['tasks_learned']:.0f} are well learned at some "
            f"length asked ({found['tasks_sure']:.0f} with the whole interval) and "
            f"{found['tasks_preserved']:.0f} preserve performance; "
            f"{percent(found['exact_match'])} % of the answers match exactly "
            f"({percent(found['naive_match'])} % by the best rule without arithmetic), "
            f"{percent(found['digit_match'])} % of the digits."
            f"{unread_formats(self._never_read)}"
        )

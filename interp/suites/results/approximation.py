"""Result of the approximation test: grades of rough, hinted and exact answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from interp.results.calls import call, model_code
from interp.results.display import percent
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Approximation(Result):
    """StreetMath's grades (arXiv 2510.25776) of answers to everyday questions.

    Each question has three wordings: for a rough answer, for a rough one with the hint to round the
    numbers first, and for an exact one. An answer is exact within
    10⁻⁶, good within 20 %, mildly off within 60 %, else way off, unreadable ones included.

    Args:
        grades: columns `wording` ("roughly", "hinted", "exactly"), `topic` ('' for all), `grade`,
            `hits`, `n`, `share`, `low`, `high`, and `chance`, the mean share with the answers of a
            wording shuffled among questions of the same topic (NaN by topic).
        answers: one row an answer: `wording`, `topic`, `question`, `exact`, `given` (the text),
            `answer` (the number, NaN for none), `relative_error`, `grade`.
        difference: share of exact or good answers in the rough wording minus the exact one, over
            the same questions, with `difference_low` and `difference_high` (Newcombe's,
            of pairs).
        hint: the same for the hinted wording minus the rough one, with `hint_low`, `hint_high`; NaN
            in a result that was saved before there was this wording.
        echo: share of exact or good answers of a baseline that repeats the question's first number.
    """

    analysis: ClassVar[str] = "approximation"
    notes: ClassVar[tuple[str, ...]] = (
        "the published benchmark's score: eight templates stand for its free-form questions",
        "whether a good answer was rounded on purpose or computed and missed",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "{wording}_chance": "share of exact or good answers to “{wording}” after shuffling, the "
        "control",
        "{wording}_exact": "share of exact answers to “{wording}”, 0 to 1",
        "{wording}_unread": "share of answers to “{wording}” without a number, 0 to 1",
        "roughly": "share of exact or good answers to “roughly”, 0 to 1",
        "exactly": "share of exact or good answers to “exactly”, 0 to 1",
        "hinted": "share of exact or good answers to “hinted”, 0 to 1",
        "hint": "share of exact or good answers to “hinted” minus that to “roughly”",
        "hint_low": "lower end of its 95 % interval",
        "hint_high": "upper end of its 95 % interval",
        "difference": "share of exact or good answers to “roughly” minus that to “exactly”",
        "difference_low": "lower end of its 95 % interval",
        "difference_high": "upper end of its 95 % interval",
        "echo": "share of exact or good answers when the question's first number is repeated, the "
        "control",
    }

    grades: pd.DataFrame
    answers: pd.DataFrame
    difference: float
    difference_low: float
    difference_high: float
    echo: float
    hint: float = math.nan
    hint_low: float = math.nan
    hint_high: float = math.nan

    @property
    def frame(self) -> pd.DataFrame:
        return self.grades

    def shares(self, wording: str, topic: str = "") -> pd.DataFrame:
        """The four grades of one wording, over all topics or one."""
        rows = self.grades
        chosen = (rows["wording"] == wording) & (rows["topic"] == topic)
        return rows[chosen].reset_index(drop=True)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`roughly`, `hinted` and `exactly`: share of exact or good answers; `…_exact`: of exact
        ones; `…_chance`: of exact or good ones after shuffling; `…_unread`; the `difference`; the
        `hint`; and `echo`."""
        found = {}
        for wording in dict.fromkeys(self.grades["wording"]):
            table = self.shares(wording).set_index("grade")
            mine = self.answers[self.answers["wording"] == wording]
            for suffix, column in (("", "share"), ("_chance", "chance")):
                found[wording + suffix] = float(table.loc[["exact", "good"], column].sum())
            found[f"{wording}_exact"] = float(table.loc["exact", "share"])
            found[f"{wording}_unread"] = float(mine["answer"].isna().mean())
        return {
            **found,
            "difference": self.difference,
            "difference_low": self.difference_low,
            "difference_high": self.difference_high,
            **self._hint(),
            "echo": self.echo,
        }

    def _hint(self) -> dict[str, float]:
        if math.isnan(self.hint):
            return {}
        return {"hint": self.hint, "hint_low": self.hint_low, "hint_high": self.hint_high}

    @property
    def interval(self) -> str:
        return "95 % Wilson intervals · chance: answers shuffled among questions of a topic"

    @property
    def code(self) -> str:
        last = call("interp.suites.approximation", "model", n=self.n_distinct, seed=self.seed)
        return model_code(self.model, {}, last)

    def conclusion(self) -> str | None:
        found = self.metrics
        low, high = (percent(end) for end in (self.difference_low, self.difference_high))
        return (
            f"Asked for a rough answer, {percent(found['roughly'])} % are exact or within "
            f"20 % (by chance {percent(found['roughly_chance'])} %, by repeating the "
            f"question's first number {percent(self.echo)} %); asked for the exact one "
            f"{percent(found['exactly'])} %. The difference is "
            f"{percent(self.difference)} points ({low} to {high}){self._gain()}."
        )

    def _gain(self) -> str:
        if math.isnan(self.hint):
            return ""
        low, high = (percent(end) for end in (self.hint_low, self.hint_high))
        return f"; the hint to round first gives {percent(self.hint)} ({low} to {high})"

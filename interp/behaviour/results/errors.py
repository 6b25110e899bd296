"""Result of the error taxonomy: kinds, digits, positions within tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from interp.errors import InputError
from interp.results.calls import asked_code, call, model_code
from interp.results.display import percent, unread_formats
from interp.results.result import MIN_DISTINCT, Result

_TOLD = 3  # kinds in the verdict
GROUPS = ("all", "longer answer", "as long as an operand")


class OfWrongAnswers(Result):
    """Base of Results about wrong answers, of a model or of a published file."""

    of_model: ClassVar[str]
    of_published: ClassVar[str]
    """The functions that return it."""
    shuffled: ClassVar[str]
    """What the control shuffles among problems."""

    source: str

    @property
    def enough(self) -> bool:
        """True if there are wrong answers to enough problems for a verdict."""
        return self.metrics["wrong_distinct"] >= MIN_DISTINCT

    @property
    def interval(self) -> str:
        found = self.metrics
        return (
            f"{self.source} · {found['wrong']:.0f} wrong answers to "
            f"{found['wrong_distinct']:.0f} problems · 95 % Wilson intervals · "
            f"chance: {self.shuffled} shuffled among problems"
        )

    @property
    def code(self) -> str:
        shuffles = self.settings.get("shuffles")
        if self.model is None:
            options = {"path": self.settings.get("path"), "where": self.settings.get("where")}
            last = call(self.of_published, **options, seed=self.seed,
                        shuffles=shuffles)  # fmt: skip
            return model_code(None, {}, last)
        strict = False if self.settings.get("strict") is False else None
        return asked_code(
            self.model, self.settings, self.of_model, format=self.source,
            seed=self.seed, strict=strict, shuffles=shuffles,
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ErrorTaxonomy(OfWrongAnswers):
    """The share of wrong answers of each kind of error, compared with shuffled answers.

    Of a model's answers, or of a published result file ("Tokenization counts", arXiv 2402.14903).
    Each wrong answer to each problem counts once; the control gives the same wrong answers to other
    problems whose right answers are equally long.

    Args:
        source: the format asked in, or the file's name.
        tokens: "left" or "right", the end from which digits are grouped into tokens of three;
            "mixed" if the file has both; "none" for other tokens, with empty `places`.
        kinds: columns `problems` (one of GROUPS), `kind`, `means`, `n`, `n_distinct`, `hits`,
            `share`, `low`, `high`, `first`, `chance`, `chance_high`, `p`
            (`error_taxonomy.share_of_kinds`).
        digits: columns `problems`, `digit`, `n`, `n_distinct`, `hits`, `share`, `low`, `high`,
            `chance`, `chance_low`, `chance_high` (`error_positions.share_of_digits`).
        places: the same with `token` and `place` for `digit` (`share_of_places`).
        wrong: one row a wrong answer, each once: `problem`, `answer` (the right one), `given`,
            `kind`, and a column for every kind.
        read: number of answers with a readable number.
        never_read: formats of a published file without any readable answer.
    """

    analysis: ClassVar[str] = "error_taxonomy"
    of_model: ClassVar[str] = "interp.behaviour.error_taxonomy"
    of_published: ClassVar[str] = "interp.behaviour.published_errors"
    shuffled: ClassVar[str] = "answers"
    notes: ClassVar[tuple[str, ...]] = (
        "why a model errs: a kind far above chance says what its errors look like",
        "independent answers, where one problem was asked in several ways: its intervals are then "
        "too narrow",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "wrong": "wrong answers that could be read, a count",
        "wrong_distinct": "distinct problems among them, a count",
        "unreadable": "share of answers without a number, 0 to 1",
        "never_read": "formats without a readable answer, a count",
        "other": "share of wrong answers that no kind explains, 0 to 1",
        "top_share": "share of wrong answers of the kind furthest above its chance, 0 to 1",
        "top_share_low": "lower end of its 95 % interval",
        "top_share_high": "upper end of its 95 % interval",
        "top_chance": "share of that kind among shuffled answers, the control",
    }

    source: str
    tokens: str
    kinds: pd.DataFrame
    digits: pd.DataFrame
    places: pd.DataFrame
    wrong: pd.DataFrame
    read: int
    never_read: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """`kinds`: one row for each kind in each group of problems."""
        return self.kinds

    def group(self, name: str, table: str = "kinds") -> pd.DataFrame:
        """The rows of one group of `kinds`, `digits` or `places`.

        Raises InputError for an unknown table, and for a group in which no answer is wrong.
        """
        if table not in ("kinds", "digits", "places"):
            raise InputError(f"no table {table!r}; there are kinds, digits and places")
        rows = getattr(self, table)
        found = rows[rows["problems"] == name].reset_index(drop=True)
        if not len(found):
            there = ", ".join(rows["problems"].unique()) or "none"
            raise InputError(f"no errors in {name!r} of {table}; there are {there}")
        return found

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`wrong` and `wrong_distinct`: wrong answers counted once, and their problems;
        `unreadable`: share of answers without a number; `never_read`: formats without any;
        `other`: share that no kind explains; `top_share` with its bounds and `top_chance`: the
        kind furthest above its chance."""
        kinds, top = self.group("all"), self._top
        other = kinds[kinds["kind"] == "other"].iloc[0]
        return {
            "wrong": float(kinds["n"].iloc[0]),
            "wrong_distinct": float(kinds["n_distinct"].iloc[0]),
            "unreadable": 1 - self.read / self.n,
            "never_read": float(len(self.never_read)),
            "other": float(other["share"]),
            "top_share": float(top["share"]),
            "top_share_low": float(top["low"]),
            "top_share_high": float(top["high"]),
            "top_chance": float(top["chance"]),
        }

    @property
    def _top(self) -> pd.Series:
        kinds = self.group("all")
        named = kinds[kinds["kind"] != "other"]
        return named.loc[(named["share"] - named["chance"]).idxmax()]

    def conclusion(self) -> str | None:
        kinds = self.group("all")
        found = kinds[(kinds["kind"] != "other") & (kinds["p"] <= 0.05)]
        found = found.assign(excess=found["share"] - found["chance"])
        found = found.sort_values("excess", ascending=False, kind="stable").head(_TOLD)
        if not len(found):
            return f"No kind of error is more frequent than among shuffled answers.{self._unread}"
        told = [
            f"{row.means} {percent(row.share)} % ({percent(row.low)} to "
            f"{percent(row.high)} %; by chance {percent(row.chance)} %)"
            for row in found.itertuples()
        ]
        return f"Of the wrong answers, most above chance: {'; '.join(told)}.{self._unread}"

    @property
    def _unread(self) -> str:
        return unread_formats(self.never_read)

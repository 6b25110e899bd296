"""Results of accuracy and prompt search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from interp.errors import InputError
from interp.results.calls import asked_code
from interp.results.display import percent, unread_formats
from interp.results.result import MIN_DISTINCT, Result

BREAKDOWNS = ("all", "digit", "carry class", "carries", "cascade", "operand size")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Behaviour(Result):
    """Accuracy by answer digit, carry class, number of carries and operand size, and the answers.

    Every distinct problem is asked once. Intervals are Wilson's.

    Args:
        format: the prompt format.
        mode: "greedy", the model's own answer read from the text it generates; or "forced", each
            answer token predicted after the right ones (an upper bound that no user ever sees).
        cells: columns `breakdown` (one of BREAKDOWNS), `answer_digit` ('' for the whole answer),
            `group` (the carry class, the number of carries, the longest cascade, "3 and 5" for
            operands of 3 and 5 digits; '' for all),
            `n`, `correct`, `accuracy`, `accuracy_low`, `accuracy_high`.
        answers: one row a problem: `problem`, `answer` (the right one), `given` (the model's text,
            in forced mode its digits), `exact`, `readable`.
        drawn: problems drawn, repeats included.
    """

    analysis: ClassVar[str] = "behaviour"
    notes: ClassVar[tuple[str, ...]] = (
        "how the model works: a right answer may come from a wrong method",
        "accuracy in another format, or on operands that the sample does not hold",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "exact_accuracy": "share of whole answers that are right, 0 to 1",
        "exact_accuracy_low": "lower end of its 95 % interval",
        "exact_accuracy_high": "upper end of its 95 % interval",
        "digit_accuracy": "share of right digits, mean over answer digits, 0 to 1",
        "readable": "share of answers that can be read in the format, 0 to 1",
        "unreadable": "share of answers that cannot; they count as wrong",
        "worst_class": "lowest digit accuracy of a carry class with 30 problems or more, 0 to 1",
    }

    format: str
    mode: str
    cells: pd.DataFrame
    answers: pd.DataFrame
    drawn: int

    @property
    def frame(self) -> pd.DataFrame:
        """`cells`: one row for each accuracy."""
        return self.cells

    @property
    def wrong(self) -> pd.DataFrame:
        """The rows of `answers` that are not exact."""
        return self.answers[~self.answers["exact"]].reset_index(drop=True)

    def breakdown(self, name: str) -> pd.DataFrame:
        """The rows of one breakdown. Raises InputError for an unknown one, with the valid names."""
        if name not in BREAKDOWNS:
            raise InputError(f"no breakdown {name!r}; there are {', '.join(BREAKDOWNS)}")
        return self.cells[self.cells["breakdown"] == name].reset_index(drop=True)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`exact_accuracy` with its bounds, `digit_accuracy` (mean over answer digits),
        `readable` (share of answers in the requested format), `unreadable` (the others: counted
        as wrong in every accuracy, though their content is unknown), `worst_class` (lowest
        accuracy of a carry class on a digit, among those with at least 30 problems)."""
        whole = self.breakdown("all").iloc[0]
        classes = self.breakdown("carry class")
        classes = classes[classes["n"] >= 30]["accuracy"]
        return {
            "exact_accuracy": float(whole["accuracy"]),
            "exact_accuracy_low": float(whole["accuracy_low"]),
            "exact_accuracy_high": float(whole["accuracy_high"]),
            "digit_accuracy": float(self.breakdown("digit")["accuracy"].mean()),
            "readable": float(self.answers["readable"].mean()),
            "unreadable": float(1 - self.answers["readable"].mean()),
            "worst_class": float(classes.min()) if len(classes) else float("nan"),
        }

    @property
    def interval(self) -> str:
        return f"{self.mode} · format {self.format} · 95 % Wilson intervals"

    @property
    def code(self) -> str:
        strict = False if self.settings.get("strict") is False else None
        return asked_code(
            self.model, self.settings, "interp.behaviour.accuracy", seed=self.seed,
            format=self.format, mode=self.mode, strict=strict,
        )  # fmt: skip

    def conclusion(self) -> str | None:
        metrics = self.metrics
        if metrics["readable"] < 0.5:
            share = percent(1 - metrics["readable"])
            example = self.answers.loc[~self.answers["readable"], "given"].iloc[0]
            return (
                f"The model answers in another format: {share} % of its answers are unreadable, "
                f"such as {example!r}. Search for a prompt with interp.behaviour.search_prompts."
            )
        low, high = metrics["exact_accuracy_low"], metrics["exact_accuracy_high"]
        unreadable = int((~self.answers["readable"]).sum())
        also = f" {unreadable} cannot be read, and count as not exact." if unreadable else ""
        return (
            f"{percent(metrics['exact_accuracy'])} % of the answers are exact "
            f"({percent(low)} to {percent(high)} %).{also}"
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PromptSearch(Result):
    """Accuracy of candidate prompts: chosen on one half of the problems, reported on the other.

    Args:
        candidates: one row a prompt: `format`, `style`, `shots`; on the selection half
            `n_chosen_on`, `accuracy_chosen_on` with bounds, `readable_chosen_on`; on the other
            half `n_reported`, `accuracy_reported` with bounds, NaN except for the best prompt and
            the baseline; `best`, `baseline`; `also`, comma-separated formats with identical text
            for these problems, which were not asked again.
        best: name of the chosen format.
        baseline: name of the format to compare with.
    """

    analysis: ClassVar[str] = "prompt_search"
    notes: ClassVar[tuple[str, ...]] = (
        "accuracy by the half it was chosen on: the choice itself makes that too high",
        "that no other prompt is better",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "exact_accuracy": "share of right answers to the best prompt, on the half that did not "
        "choose it, 0 to 1",
        "exact_accuracy_low": "lower end of its 95 % interval",
        "exact_accuracy_high": "upper end of its 95 % interval",
        "chosen_on_accuracy": "the same on the half that chose it",
        "baseline_accuracy": "share of right answers to the prompt that the best is compared "
        "with, 0 to 1",
        "candidates": "prompts tried, a count",
        "never_read": "prompts to which no answer could be read, a count",
        "n_reported": "problems of the half that did not choose, a count",
    }

    candidates: pd.DataFrame
    best: str
    baseline: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.candidates

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`exact_accuracy` with its bounds: the best prompt on the reported half;
        `chosen_on_accuracy`: the same on the selection half; `baseline_accuracy`; `never_read`:
        number of candidates without a readable answer."""
        best = self.candidates[self.candidates["best"]].iloc[0]
        baseline = self.candidates[self.candidates["baseline"]].iloc[0]
        return {
            "exact_accuracy": float(best["accuracy_reported"]),
            "exact_accuracy_low": float(best["accuracy_reported_low"]),
            "exact_accuracy_high": float(best["accuracy_reported_high"]),
            "chosen_on_accuracy": float(best["accuracy_chosen_on"]),
            "baseline_accuracy": float(baseline["accuracy_reported"]),
            "candidates": float(len(self.candidates)),
            "never_read": float(len(self._never_read)),
            "n_reported": float(best["n_reported"]),
        }

    @property
    def _never_read(self) -> list[str]:
        return list(self.candidates.loc[self.candidates["readable_chosen_on"] == 0, "format"])

    @property
    def enough(self) -> bool:
        """True if the reported half has enough problems for a verdict."""
        return self.metrics["n_reported"] >= MIN_DISTINCT

    @property
    def interval(self) -> str:
        told = "chosen on one half, reported on the other · 95 % Wilson intervals"
        merged = (self.candidates["also"] != "").any()
        return told + " · formats that write these problems alike count once" * bool(merged)

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("styles", "shots", "baseline")}
        function = "interp.behaviour.search_prompts"
        return asked_code(self.model, self.settings, function, **options, seed=self.seed)

    def conclusion(self) -> str | None:
        metrics = self.metrics
        return (
            f"{self.best!r} is answered best: {percent(metrics['exact_accuracy'])} % exact on "
            f"the half it was not chosen on ({percent(metrics['exact_accuracy_low'])} to "
            f"{percent(metrics['exact_accuracy_high'])} %), against "
            f"{percent(metrics['baseline_accuracy'])} % for {self.baseline!r}."
            f"{unread_formats(self._never_read)}"
        )

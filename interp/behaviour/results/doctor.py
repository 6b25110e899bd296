"""Result of a diagnosis: accuracy in every format, the fault in the prompt, and its remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from interp.behaviour.ways import Way, described
from interp.errors import InputError
from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.result import MIN_DISTINCT, Result

SURE = 0.05  # the largest p-value, corrected for the number of trials, of a prompt that fits
_READS = {  # description of a format that is no template, by its name
    "modular": "reads one token a number",
    "qa-short": "wants to be asked in words",
    "calculate": "wants to be asked in words",
    "icot": "reads digits apart, least significant first, and writes partial products",
    "icot-no-cot": "reads digits apart, least significant first",
    "scratchpad": "writes its steps before the answer",
    "scratchpad-detailed": "writes its steps before the answer",
}
_NO_EXAMPLES = ("format", "start", "prompt", "expected", "emitted")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Diagnosis(Result):
    """Digits that a model gets right in each prompt tried, beside chance.

    The best trial is chosen on one half of the problems; everything else is measured on the other
    half, with Wilson's intervals whose trials are the problems.

    Args:
        trials: one row for each format and text in front, the model's own first: `format`, `also`
            (formats with identical text for these problems), `start` (tokens in front of every
            prompt), `refusal` (why it could not be asked, else ''), `set_aside` (True if its first
            problems showed that it does not fit: the two columns of the first half are of those,
            the others' NaN); the fields of its template
            (`signs` … `end`, '' of a format that is none); `gain_chosen_on` and
            `log_probability_chosen_on` (of the right answer) on the first half; on the other half
            `digits` (forced accuracy per digit) with its bounds, `digits_of_others` (the same
            choices against other problems' answers of the same length), `gain` ((digits −
            digits_of_others) / (1 − digits_of_others)) and `p` (that digits are no better, times
            the number of trials). `prompt`, `expected` and, where answers were generated, `emitted`
            for one problem, `accuracy` (exact) with `low` and `high`, `readable` (share of answers
            with a number at the format's position), `anywhere` (accuracy of the first number at
            any position) with `anywhere_low`, and `shuffled` (the same answers against other
            problems); else NaN.
        best: the row with the best result on the first half.
        digits_per_token: the maximum number of digits in one token; 0 if no trial could be written.
        n_reported: problems in the other half.
        examples: two problems in the best and in the model's own prompt, with its answers.
        end_share: share of right answers after which the model writes the end of the best
            template; NaN if that could not be seen.
    """

    analysis: ClassVar[str] = "doctor"
    notes: ClassVar[tuple[str, ...]] = (
        "that no other format is read better: only those in the table were tried",
        "what a model can do at its best prompt: that is the prompt search's question",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "digit_accuracy": "share of the answer's digits that are the first choice after the right "
        "ones, best prompt, on the half that did not choose it, 0 to 1",
        "digit_accuracy_of_others": "the same against other problems' answers of the same length, "
        "the control",
        "gain": "digit accuracy above that control, of what is possible; 1 is all right, 0 chance",
        "p": "p-value that the best prompt's digits are at chance, times the number of trials",
        "default_digit_accuracy": "digit accuracy of the model's default prompt, 0 to 1",
        "exact_accuracy": "share of right generated answers to the best prompt, on the half that "
        "did not choose it, 0 to 1",
        "exact_accuracy_low": "lower end of its 95 % interval",
        "exact_accuracy_high": "upper end of its 95 % interval",
        "default_accuracy": "share of right answers to the model's default prompt, 0 to 1",
        "shuffled_accuracy": "accuracy of the best prompt's answers against other problems, the "
        "control",
        "readable": "share of answers to the best prompt that can be read, 0 to 1",
        "unreadable": "share that cannot; they count as wrong",
        "digits_per_token": "most digits of a number in one token, a count",
        "tried": "prompts tried, a count",
        "refused": "prompts that this model or task cannot be given, a count",
        "n_reported": "problems of the half that did not choose, a count",
    }

    trials: pd.DataFrame
    best: int
    digits_per_token: int
    n_reported: int
    examples: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_NO_EXAMPLES))
    end_share: float = math.nan

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.best < len(self.trials):
            raise InputError(f"best={self.best} is none of the {len(self.trials)} trials.")

    @property
    def frame(self) -> pd.DataFrame:
        return self.trials

    @property
    def asked(self) -> pd.DataFrame:
        """The trials that could be asked."""
        return self.trials[self.trials["refusal"] == ""]

    @property
    def by_digit(self) -> bool:
        """True if digits were scored; an earlier version scored exact answers alone."""
        return "digits" in self.trials

    @property
    def format(self) -> str:
        """The format of the best trial, which `format=` takes."""
        return str(self.trials["format"].iloc[self.best])

    @property
    def start(self) -> str:
        """The tokens in front of the best trial's prompts, which `model.starting_with` takes."""
        return str(self.trials["start"].iloc[self.best])

    @property
    def fits(self) -> bool:
        """True if the best trial is better than chance on the reported half, corrected for the
        number of trials."""
        best = self.trials.iloc[self.best]
        if not self.by_digit:
            return bool(best["low"] > best["shuffled"])
        return bool(best["p"] <= SURE)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The numbers of the best trial and of the model's own on the reported half; the numbers
        of trials `tried` and `refused`."""
        best, default = self.trials.iloc[self.best], self.trials.iloc[0]
        digits = {}
        if self.by_digit:
            digits = {
                "digit_accuracy": float(best["digits"]),
                "digit_accuracy_of_others": float(best["digits_of_others"]),
                "gain": float(best["gain"]),
                "p": float(best["p"]),
                "default_digit_accuracy": float(default["digits"]),
            }
        return digits | {
            "exact_accuracy": float(best["accuracy"]),
            "exact_accuracy_low": float(best["low"]),
            "exact_accuracy_high": float(best["high"]),
            "default_accuracy": float(default["accuracy"]),
            "shuffled_accuracy": float(best["shuffled"]),
            "readable": float(best["readable"]),
            "unreadable": float(1 - best["readable"]),
            "digits_per_token": float(self.digits_per_token),
            "tried": float(len(self.asked)),
            "refused": float(len(self.trials) - len(self.asked)),
            "n_reported": float(self.n_reported),
        }

    @property
    def enough(self) -> bool:
        """True if the reported half has enough problems for a verdict."""
        return self.n_reported >= MIN_DISTINCT

    @property
    def interval(self) -> str:
        return "chosen on one half, reported on the other · 95 % Wilson intervals"

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("formats", "shots", "longest")}
        settings = dict(self.settings)
        if not settings.get("problems") and "draws_from" not in settings:  # of an earlier version
            settings["problems"] = f"interp.task({self.task!r})"
            options["n"] = settings["n"]
        return asked_code(
            self.model, settings, "interp.behaviour.doctor", **options, seed=self.seed
        )

    def conclusion(self) -> str | None:
        """The best prompt of those tried, what is special about it, and two answers to it."""
        if self.asked.empty:
            return f"No format can be written for this model: {self.trials['refusal'].iloc[0]}"
        if not self.fits:
            return self._nothing_fits() + self._packed()
        best, default = self.trials.iloc[self.best], self.trials.iloc[0]
        among = f"the best of {len(self.asked)} prompts tried"
        if self.best == 0:
            said = f"It is asked rightly, as far as was tried: {among} is its own, {_way(best)}"
        elif default["refusal"]:
            said = f"{_remedy(best, default, among)}. As it is asked by default it cannot be: "
            said += str(default["refusal"]).rstrip(".")
        elif self.by_digit and not self._better(best, default):
            said = (
                f"It can be asked as it is ({_way(default)}): {self._answered(default)}. The best "
                f"of {len(self.asked)} prompts tried, {_way(best)}, is not clearly better"
            )
        else:
            said = f"{_remedy(best, default, among)}, against {self._short(default)} as it is asked"
            said += " by default"
        return f"{said}. {self._answered(best)}. {self._said()}{self._packed()}".strip()

    def _better(self, best: Any, default: Any) -> bool:
        """True if the intervals of the digits do not overlap."""
        return not best["digits_low"] <= default["digits_high"]

    def _short(self, trial: Any) -> str:
        if self.by_digit:
            return f"{percent(trial['digits'])} % of digits"
        return f"{percent(trial['accuracy'])} %"

    def _answered(self, trial: Any) -> str:
        """The digits beside chance, and the exact answers where they were generated."""
        exact = ""
        if not np.isnan(trial["accuracy"]):
            low, high = (percent(trial[end]) for end in ("low", "high"))
            exact = f"{percent(trial['accuracy'])} % of generated answers are exact "
            exact += f"({low} to {high} %)"
        if not self.by_digit:
            return exact
        low, high = (percent(trial[f"digits_{end}"]) for end in ("low", "high"))
        return (
            f"{percent(trial['digits'])} % of forced answer digits are right "
            f"({low} to {high} %), of other problems' {percent(trial['digits_of_others'])} %"
        ) + (f"; {exact}" if exact else "")

    def _said(self) -> str:
        """Two prompts of the best trial with the model's answers."""
        best = self.trials.iloc[self.best]
        mine = self.examples[
            (self.examples["format"] == best["format"]) & (self.examples["start"] == best["start"])
        ]
        pairs = [f"to {row.prompt!r} {row.emitted!r}" for row in mine.itertuples()]
        return f"It writes {' and '.join(pairs)}." if pairs else ""

    def _nothing_fits(self) -> str:
        asked = self.asked
        wordy = asked.loc[asked["anywhere"].fillna(-1).idxmax()]
        said = f"To {wordy['prompt']!r} it writes {wordy['emitted']!r}."
        if wordy["anywhere_low"] > max(wordy["shuffled"], wordy["high"]):
            return (
                f"It answers in other words first: the first number anywhere in its answer is "
                f"right in {percent(wordy['anywhere'])} % of them, one where the format puts "
                f"it in {percent(wordy['accuracy'])} %. {said} Show it the form with solved "
                f"examples, format={_shown(wordy)!r}, or look for a prompt: "
                f"interp.behaviour.search_prompts."
            )
        best = self.trials.iloc[self.best]
        return (
            f"None of the {len(asked)} prompts tried fits: in the best of them, {_way(best)}, "
            f"{self._answered(best)}, which is no better than chance. To {best['prompt']!r} it "
            f"writes {best['emitted']!r}, where {best['expected']!r} is right. Compare that prompt "
            f"with a line that it was trained on, write it as a template, such as "
            f"format='${{a}}+{{b}}={{c:reversed}}$', and its task with {self.task}."
        )

    def _packed(self) -> str:
        if self.digits_per_token < 2:
            return ""
        return (
            f" Its tokenizer puts up to {self.digits_per_token} digits into a token, so roles are "
            f"spans such as a[0:{self.digits_per_token}]."
        )


def _remedy(best: Any, default: Any, among: str) -> str:
    """The best prompt, and how it differs from the default one."""
    asks, differs = [], []
    if best["format"] != default["format"]:
        same = f" ({best['also']} writes these problems alike)" if best["also"] else ""
        asks.append(f"format={best['format']!r}{same}")
        differs += _differences(best, default)
    if best["start"] != default["start"]:
        differs.append(
            f"prompts begin with {best['start']!r} (start)"
            if best["start"]
            else "no BOS token (start)"
        )
        asks.append(f"model.starting_with({best['start']!r})")
    return f"{among[:1].upper()}{among[1:]} is {' and '.join(asks)}: {'; '.join(differs)}"


def _differences(best: Any, default: Any) -> list[str]:
    """What the best template does otherwise than the default one."""
    mine, its = Way.of_row(best), Way.of_row(default)
    style, _, examples = str(best["format"]).partition("@")
    if mine is not None:
        return described(mine, its) or ["written as people write it"]
    if examples:
        return ["it needs solved examples"]
    return [f"it {_READS.get(style, f'reads {style}')}"]


def _way(trial: Any) -> str:
    start = f", begun with {trial['start']!r}" if trial["start"] else ""
    return f"format {trial['format']!r}{start}"


def _shown(trial: Any) -> str:
    return str(trial["format"]) if "@" in trial["format"] else f"{trial['format']}@2:0"

"""Result of a diagnosis: accuracy in every format, the fault in the prompt, and its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd

from interp.errors import InputError
from interp.results.calls import asked_code
from interp.results.display import number
from interp.results.result import MIN_DISTINCT, Result

_READS = {  # description of a format, by its name
    "plain": "reads numbers as long as they are, most significant digit first",
    "padded": "reads numbers padded with zeros, most significant digit first",
    "reversed": "reads and writes the least significant digit first, padded with zeros",
    "reversed-answer": "writes its answer least significant digit first, padded with zeros",
    "modular": "reads one token a number",
    "qa-short": "wants to be asked in words",
    "calculate": "wants to be asked in words",
    "icot": "reads digits apart, least significant first, and writes partial products",
    "icot-no-cot": "reads digits apart, least significant first",
    "scratchpad": "writes its steps before the answer",
    "scratchpad-detailed": "writes its steps before the answer",
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Diagnosis(Result):
    """Accuracy on a small sample of problems in every format and with every prompt prefix.

    The best trial is chosen on one half of the problems; everything else is measured on the other
    half. Intervals are Wilson's.

    Args:
        trials: one row for each format and prefix, the model's own first: `format`, `also` (formats
            with identical text for these problems), `start` (prefix of every prompt, '' for none),
            `refusal` (why it could not be asked, else ''); `prompt`, `expected` and `emitted` for
            one problem; `accuracy_chosen_on` on the first half with its bound `low_chosen_on`; on
            the other half `accuracy` with `low` and `high`, `readable` (share of answers with a
            number at the format's position) and `anywhere` (accuracy of the first number at any
            position) with `anywhere_low`; `shuffled` (accuracy of the same answers against other
            problems). NaN if it was not asked.
        best: the row with the best result on the first half.
        digits_per_token: the maximum number of digits in one token; 0 if no trial could be written.
        n_reported: problems in the other half.
    """

    analysis: ClassVar[str] = "doctor"
    notes: ClassVar[tuple[str, ...]] = (
        "that no other format is read better: only those in the table were tried",
        "what a model can do at its best prompt: that is the prompt search's question",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "exact_accuracy": "share of right answers to the best prompt, on the half that did not "
        "choose it, 0 to 1",
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

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`exact_accuracy` of the best trial with its bounds, `default_accuracy` of the model's
        own, `shuffled_accuracy`, `readable` and `unreadable` (the rest) of the best, all on the
        reported half; the numbers of trials `tried` and `refused`."""
        best, default = self.trials.iloc[self.best], self.trials.iloc[0]
        return {
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
        """The fault in the model's prompt, if any, and the remedy."""
        if self.asked.empty:
            return f"No format can be written for this model: {self.trials['refusal'].iloc[0]}"
        best, default = self.trials.iloc[self.best], self.trials.iloc[0]
        if not best["low"] > best["shuffled"]:
            return self._nothing_works() + self._packed()
        if self.best == 0:
            return f"It is asked rightly: {_answered(best)} ({_way(best)}).{self._packed()}"
        if default["refusal"]:
            before = f"As it is asked by default it cannot be: {default['refusal']}"
            return f"{_remedy(best, default)} {before}{self._packed()}"
        if not best["low"] > default["accuracy"]:
            return (
                f"It can be asked as it is ({_way(default)}): {_answered(default)}, and no other "
                f"way is clearly better.{self._packed()}"
            )
        was = f"{number(100 * default['accuracy'])} % as it is asked by default"
        return f"{_remedy(best, default)} {_answered(best)}, against {was}.{self._packed()}"

    def _nothing_works(self) -> str:
        asked = self.asked
        wordy = asked.loc[asked["anywhere"].idxmax()]
        said = f"To {wordy['prompt']!r} it writes {wordy['emitted']!r}."
        if wordy["anywhere_low"] > max(wordy["shuffled"], wordy["high"]):
            return (
                f"It answers in other words first: the first number anywhere in its answer is "
                f"right in {number(100 * wordy['anywhere'])} % of them, one where the format puts "
                f"it in {number(100 * wordy['accuracy'])} %. {said} Show it the form with solved "
                f"examples, format={_shown(wordy)!r}, or look for a prompt: "
                f"interp.behaviour.search_prompts."
            )
        best = self.trials.iloc[self.best]
        if not asked[["readable", "anywhere"]].to_numpy(float).any():
            return (
                f"No answer can be read in any of {len(asked)} ways to ask, so how many are right "
                f"is not known. {said} Compare that prompt with a line that it was trained on."
            )
        return (
            f"It answers no better than chance in any of {len(asked)} ways to ask, "
            f"{_answered(best)} at best ({_way(best)}). To {best['prompt']!r} it writes "
            f"{best['emitted']!r}, where {best['expected']!r} is right. Compare that prompt with a "
            f"line that it was trained on, and its task with {self.task}."
        )

    def _packed(self) -> str:
        if self.digits_per_token < 2:
            return ""
        return (
            f" Its tokenizer puts up to {self.digits_per_token} digits into a token, so roles are "
            f"spans such as a[0:{self.digits_per_token}]."
        )


def _remedy(best: Any, default: Any) -> str:
    """The model's behaviour, and the prompt that suits it."""
    style, _, examples = best["format"].partition("@")
    does, asks = [], []
    if best["format"] != default["format"]:
        does.append("needs solved examples" if examples else _READS.get(style, f"reads {style}"))
        same = f" ({best['also']} writes these problems alike)" if best["also"] else ""
        asks.append(f"pass format={best['format']!r}{same}")
    if best["start"] != default["start"]:
        what = f"a prompt that begins with {best['start']!r}" if best["start"] else "no BOS token"
        does.append(f"wants {what}")
        asks.append(f"use model.starting_with({best['start']!r})")
    return f"This model {' and '.join(does)}: {' and '.join(asks)}."


def _answered(trial: Any) -> str:
    low, high = (number(100 * trial[end]) for end in ("low", "high"))
    return f"{number(100 * trial['accuracy'])} % exact ({low} to {high} %)"


def _way(trial: Any) -> str:
    start = f", begun with {trial['start']!r}" if trial["start"] else ""
    return f"format {trial['format']!r}{start}"


def _shown(trial: Any) -> str:
    return str(trial["format"]) if "@" in trial["format"] else f"{trial['format']}@2:0"

"""Result of a causal test: whether the answer uses what a probe reads.

The answer uses the reading if the edit gives the predicted digit more often than (1) the digits
predicted for other prompts, so that the answer follows the step and is not only disturbed, and
than (2) random edits of equal length do; both by intervals above 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from interp.errors import InputError
from interp.results.calls import ASKED, asked_of, call
from interp.results.display import percent
from interp.results.result import Result
from probes.results.sweep import probe_code, split_option


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ProbeUse(Result):
    """The answer after an edit along a probe's direction, beside an equally long random edit.

    The edit x ← x + δ is computed before the run, and so is the counterfactual answer: arithmetic
    with the target's new value and everything above it recomputed. `mode` "move" gives
    the probe's reading the new value, by the step that the data take with the reading (`along`
    "pattern") or by the shortest one ("probe"); "remove" takes the reading to its mean, where no
    answer is predicted and `predicted` is NaN. The random edits have the norm of δ in each row and
    directions drawn anew, along the pattern with the covariance of the activations.

    `mismatched` is the share that becomes what was predicted for another prompt: its expectation
    over all other counted prompts whose prediction is not this prompt's own digit. An answer that
    does not move adds nothing to it, one that moves anywhere about as much as to `predicted`.

    Args:
        target, site, layer, head, role, format: what the probe is bound to; head is -1 where there
            is none.
        named: the answer digit that the target names first; empty where none lies at or after the
            role.
        outcomes: one row for each `arm` ("clean", "probe", "random") and `answer_digit`: `n`, the
            rows counted (under "move" those whose predicted digit differs from the model's own);
            shares of rows whose first choice after the edit is the `predicted` digit, one predicted
            for another row (`mismatched`), the model's `original` one, the `right` one, each with
            `_low` and `_high`; and `logit`, the mean of logit(predicted) − logit(original),
            likewise.
        difference: one row an `answer_digit`: probe minus random, paired by row, for `predicted`,
            `original`, `right`, `other` and `logit`, and `followed`, predicted minus mismatched of
            the probe's edit, each with bounds; `p`, one-sided, of predicted − random and followed
            both being above 0 (the larger of the two); and `compared`, the rows that some other
            row's prediction tells apart, without which `followed` says nothing.
        norm: mean ‖δ‖, and `stream`, the mean norm of what it is added to.
    """

    analysis: ClassVar[str] = "probe_use"
    notes: ClassVar[tuple[str, ...]] = (
        "which of the things that go together in the data the model used: a step moves them all",
        "that the model has no second copy of the target elsewhere, which an edit here leaves",
        "that the edited activation is one the model ever produces",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "norm": "mean norm of the edit",
        "stream": "mean norm of the activations that it is added to",
        "{arm}_predicted": "share of rows whose digit becomes the predicted one after the {arm} "
        "edit, 0 to 1",
        "{arm}_mismatched": "share whose digit becomes one predicted for another row after the "
        "{arm} edit, 0 to 1",
        "{arm}_original": "share that keeps the model's own digit after the {arm} edit, 0 to 1",
        "{arm}_right": "share with the right digit after the {arm} edit, 0 to 1",
        "{arm}_logit": "mean logit of the predicted digit minus the original one's after the {arm} "
        "edit, in logits",
        "difference_{share}_low": "lower end of the 95 % interval of difference_{share}",
        "difference_{share}_high": "upper end of the 95 % interval of difference_{share}",
        "difference_predicted": "predicted share of the probe edit minus that of the random edit",
        "difference_followed": "predicted minus mismatched share of the probe edit",
        "difference_original": "original share of the probe edit minus that of the random edit",
        "p": "one-sided p-value of difference_predicted and difference_followed both above 0",
    }

    target: str
    site: str
    layer: int
    head: int
    role: str
    format: str
    mode: str
    named: str
    outcomes: pd.DataFrame
    difference: pd.DataFrame
    norm: float
    stream: float
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.outcomes.copy()

    def outcome(self, arm: str, answer_digit: str | None = None) -> pd.Series:
        """The row of `outcomes` for an arm, at the named answer digit unless another is given."""
        digit = self.named if answer_digit is None else answer_digit
        table = self.outcomes
        rows = table[(table["arm"] == arm) & (table["answer_digit"] == digit)]
        if rows.empty:
            raise InputError(f"nothing was measured for {arm!r} at answer digit {digit!r}")
        return rows.iloc[0]

    @property
    def metrics(self) -> dict[str, float]:
        """At the named answer digit, for "probe" and "random": the shares that come to the
        predicted digit, to one predicted for another prompt, and stay at the original; the
        differences with their bounds, and `p`."""
        found: dict[str, float] = {"norm": self.norm, "stream": self.stream}
        if not self.named:
            return found
        for arm in ("probe", "random"):
            row = self.outcome(arm)
            for name in ("predicted", "mismatched", "original", "right", "logit"):
                found[f"{arm}_{name}"] = float(row[name])
        row = self._named_difference()
        for name in ("predicted", "followed", "original"):
            for end in ("", "_low", "_high"):
                found[f"difference_{name}{end}"] = float(row[f"{name}{end}"])
        return found | {"p": float(row["p"])}

    @property
    def followed(self) -> bool:
        """Whether the named answer digit comes to the predicted one more often, by intervals above
        0, than to those predicted for other prompts and than after random edits. False of
        "remove", and where every prediction is the same digit but one's own."""
        if not self.named or self.mode != "move":
            return False
        row = self._named_difference()
        return bool(row["predicted_low"] > 0 and row["followed_low"] > 0 and row["compared"])

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        fitted: dict[str, Any] = dict(self.settings["fitted"])
        fitted["split"], _ = split_option(fitted), fitted.pop("split_rows", None)
        start = fitted.pop("starting_with", None)
        asked, sample = asked_of(fitted)
        fitted = {name: value for name, value in fitted.items() if name not in ASKED}
        first = call("probes.fit", "model", asked, repr(self.target), **sample, **fitted)
        names = ("mode", "to", "along", "randoms", "n")
        options = {name: self.settings.get(name) for name in names}
        problems = self.settings.get("problems")
        last = call(
            "probes.intervene", "model", first, *([problems] if problems else []), **options,
            seed=self.seed,
        )  # fmt: skip
        return probe_code(self.model, last, start)

    def conclusion(self) -> str | None:
        if not self.named:
            return f"No answer digit that {self.target} names is written after {self.role}."
        reads = (
            f"what a probe of {self.target} reads from {self.site} of layer {self.layer} at "
            f"{self.role}"
        )
        if self.followed:
            return f"The answer uses {reads}: {self._came()}."
        left = f"{self.named} stays what it was in {self._shares('original')}"
        told = f"{left}; {self._came()}" if self.mode == "move" else left
        if not float(self._named_difference()["original_high"]) < 0:
            return f"The answer is not seen to use {reads}: {told}."
        if self.mode != "move":
            return f"The answer depends on {reads}: {told}."
        if not self._named_difference()["compared"]:
            return (
                f"The answer depends on {reads}: {left}. Whether it follows cannot be told, since "
                "no prompt has another digit predicted than the one that the others have."
            )
        return f"The answer changes with {reads}, but not as predicted: {told}."

    def _shares(self, name: str) -> str:
        probe, random = self.outcome("probe"), self.outcome("random")
        return (
            f"{percent(probe[name])} % of prompts, and in {percent(random[name])} % "
            "after random edits as long"
        )

    def _came(self) -> str:
        """Sentence on the share of the predicted digit, beside chance."""
        probe = self.outcome("probe")
        return (
            f"{self.named} becomes the predicted digit in {self._shares('predicted')}, and a digit "
            f"predicted for another prompt in {percent(probe['mismatched'])} %"
        )

    def _named_difference(self) -> pd.Series:
        return self.difference[self.difference["answer_digit"] == self.named].iloc[0]

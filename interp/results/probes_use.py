"""What the answer does when what a probe reads is changed: use, not only presence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from interp.errors import InputError
from interp.results.calls import call
from interp.results.display import number
from interp.results.probes import probe_code, split_option
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ProbeUse(Result):
    """The answer after an edit along a probe's direction, beside an equally long random edit.

    The edit x ← x + δ is computed before the run, and so is the answer that arithmetic gives when
    the target has its new value and everything above it is worked out again. `mode` "move" gives
    the probe's reading the new value, by the step that the data take with the reading (`along`
    "pattern") or by the shortest one ("probe"); "remove" takes the reading to its mean, where no
    answer is predicted and `predicted` is NaN. The random edits have the norm of δ in each row and
    directions drawn anew.

    Args:
        target, site, layer, head (-1: none), role, format: what the probe is bound to.
        named: the answer digit that the target names first; empty where none lies at or after the
            role.
        outcomes: one row for each `arm` ("clean", "probe", "random") and `answer_digit`: `n`, the
            rows counted (under "move" those whose predicted digit differs from the model's own);
            shares of rows whose first choice is then the `predicted` digit, the model's `original`
            one, the `right` one, each with `_low` and `_high`; and `logit`, the mean of
            logit(predicted) − logit(original), likewise.
        difference: one row an `answer_digit`: probe minus random, paired by row, for `predicted`
            and `original` (and `right`), with bounds.
        norm: mean ‖δ‖, and `stream`, the mean norm of what it is added to.
    """

    analysis: ClassVar[str] = "probe_use"
    notes: ClassVar[tuple[str, ...]] = (
        "which of the things that go together in the data the model used: a step moves them all",
        "that the model has no second copy of the target elsewhere, which an edit here leaves",
        "that the edited activation is one the model ever produces",
    )

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
        predicted digit and stay at the original, and the difference with its bounds."""
        found: dict[str, float] = {"norm": self.norm, "stream": self.stream}
        if not self.named:
            return found
        for arm in ("probe", "random"):
            row = self.outcome(arm)
            for name in ("predicted", "original", "right", "logit"):
                found[f"{arm}_{name}"] = float(row[name])
        row = self._named_difference()
        for name in ("predicted", "original"):
            for end in ("", "_low", "_high"):
                found[f"difference_{name}{end}"] = float(row[f"{name}{end}"])
        return found

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        fitted: dict[str, Any] = dict(self.settings["fitted"])
        fitted["split"], _ = split_option(fitted), fitted.pop("split_rows", None)
        start = fitted.pop("starting_with", None)
        first = call("probes.fit", "model", fitted.pop("problems"), repr(self.target), **fitted)
        names = ("mode", "to", "along", "randoms", "n")
        options = {name: self.settings.get(name) for name in names}
        problems = self.settings.get("problems")
        last = call(
            "probes.use", "model", first, *([problems] if problems else []), **options,
            seed=self.seed,
        )  # fmt: skip
        return probe_code(self.model, last, start)

    def conclusion(self) -> str | None:
        where = f"{self.site} of layer {self.layer} at {self.role}"
        if not self.named:
            return f"No answer digit that {self.target} names is written after {self.role}."
        row, probe, random = self._named_difference(), self.outcome("probe"), self.outcome("random")
        left = (
            f"{self.named} stays what it was in {number(100 * probe['original'])} % of prompts, "
            f"and in {number(100 * random['original'])} % after random edits as long"
        )
        reads = f"what a probe of {self.target} reads from {where}"
        if self.mode == "move" and float(row["predicted_low"]) > 0:
            return (
                f"The answer uses {reads}: {self.named} becomes the predicted digit in "
                f"{number(100 * probe['predicted'])} % of prompts, and in "
                f"{number(100 * random['predicted'])} % after random edits as long."
            )
        if float(row["original_high"]) < 0:
            but = ", but does not follow it to the predicted digit" if self.mode == "move" else ""
            return f"The answer depends on {reads}{but}: {left}."
        return f"The answer is not seen to use {reads}: {left}."

    def _named_difference(self) -> pd.Series:
        return self.difference[self.difference["answer_digit"] == self.named].iloc[0]

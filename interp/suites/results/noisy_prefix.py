"""Result of the noisy-prefix test: effect of a wrong digit on later ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.result import Result

NOISES = ("none", "random", "precise")
ALL = "all before"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NoisyPrefix(Result):
    """Accuracy of each answer digit after wrong earlier digits.

    The noisy-prefix test of "Teaching arithmetic to small transformers" (arXiv 2307.03381), with
    each earlier digit perturbed alone and all of them together. The right digit is the one that
    the operands give.

    Args:
        format: the prompt format.
        printed: the answer digits in order of print, ("c5", "c4", …).
        table: columns `noise` ("none"; "random": any other digit; "precise": one more or less),
            `perturbed` (the digit, ALL for every digit printed before, '' for none), `digit` (the
            predicted one), `n`, `n_distinct`, `exact` with `low` and `high`, `relaxed` (at most one
            away on the circle of digits) with `relaxed_low` and `relaxed_high`, and
            `relaxed_chance`, the relaxed accuracy of a random digit.
    """

    analysis: ClassVar[str] = "noisy_prefix"
    notes: ClassVar[tuple[str, ...]] = (
        "what the model does with its own errors, which come where it is unsure",
        "where in the model the digit before is read",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "clean": "share of right digits behind the right answer digits, mean over digits, 0 to 1",
        "random": "share of right digits behind digits that are all replaced by any other, 0 to 1",
        "random_relaxed": "share at most one away from right behind the same prefix, 0 to 1",
        "precise": "share of right digits behind digits that are all one more or less, 0 to 1",
        "precise_relaxed": "share at most one away from right behind the same prefix, 0 to 1",
        "worst": "lowest share of right digits behind one wrong digit, 0 to 1",
    }

    format: str
    printed: tuple[str, ...]
    table: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        return self.table

    def rows(self, noise: str, perturbed: str) -> pd.DataFrame:
        """The rows of one noise and one perturbed digit, one for each predicted digit."""
        table = self.table
        chosen = (table["noise"] == noise) & (table["perturbed"] == perturbed)
        return table[chosen].reset_index(drop=True)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Means over all digits but the first printed: `clean` accuracy; `random`, `precise` and
        `random_relaxed`, `precise_relaxed` after an all-wrong prefix; `worst`, the lowest exact
        accuracy after one wrong digit."""
        clean = self.rows("none", "")
        clean = clean[clean["digit"] != self.printed[0]]
        found = {"clean": float(clean["exact"].mean())}
        for noise in NOISES[1:]:
            noisy = self.rows(noise, ALL)
            found[noise] = float(noisy["exact"].mean())
            found[f"{noise}_relaxed"] = float(noisy["relaxed"].mean())
        single = self.table[~self.table["perturbed"].isin(["", ALL])]
        return {**found, "worst": float(single["exact"].min())}

    @property
    def enough(self) -> bool:
        """True if every accuracy has enough distinct prompts for a verdict."""
        return super().enough and bool((self.table["n_distinct"] >= 30).all())

    @property
    def interval(self) -> str:
        return f"format {self.format} · 95 % Wilson intervals"

    @property
    def code(self) -> str:
        return asked_code(
            self.model, self.settings, "interp.suites.noisy_prefix", format=self.format,
            seed=self.seed,
        )  # fmt: skip

    def conclusion(self) -> str | None:
        found = self.metrics
        return (
            f"Behind a prefix of random wrong digits {percent(found['random'])} % of the "
            f"digits are right ({percent(found['random_relaxed'])} % within one), behind one "
            f"that is off by one {percent(found['precise'])} % "
            f"({percent(found['precise_relaxed'])} %), behind the right one "
            f"{percent(found['clean'])} %."
        )

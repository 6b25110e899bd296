"""Result of a regular figure and its causal test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import number, percent
from interp.results.result import Result

_P = 0.05
_REGULAR = 0.5  # share of the class means' variance that a named shape must have


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RegularFigure(Result):
    """Class means of one place: principal components, circles, prism, and what edits do.

    Further figures: "circles" (each wave's plane), "alignment" (components by frequency), "causal",
    "errors" (how far wrong answers are off).

    Args:
        number: the number that gives the classes, "c[2]".
        noise: share of the class means' spread that sampling explains.
        share, share_null, p: share of the class means' variance on the chosen waves together, its
            95 % quantile with permuted numbers, and the permutation p.
        points: number, pc1 …, and x{k}, y{k} in the plane of each chosen frequency.
        components: component, explained, frequency (its best), share, null, p, k1 ….
        circles: a row a frequency (`interp.geometry.regular.circle_table`).
        prism: measure, value, null, p; for ten digits.
        removal: arm, answer_digit, accuracy, low, high, n (`interp.geometry.causal`).
        errors: arm, answer_digit, offset (said − right, mod 10 for digits; −1: no number), share.
        moves: arm, step, followed, low, high, n (prompts whose answer changes).
        differences: step, difference (move − random, paired), low, high, n.
    """

    analysis: ClassVar[str] = "regular_figure"
    notes: ClassVar[tuple[str, ...]] = (
        "that the figure is how the model computes: a move that is followed shows that the place "
        "is read",
        "the same shape at another place or in another seed",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "share": "share of the class means' variance on the chosen waves together",
        "share_null": "its 95 % quantile with permuted numbers",
        "p": "permutation p of the share",
        "share[k={k}]": "share of the class means' variance on the wave of frequency {k}",
        "radius_spread[k={k}]": "spread of the radius over its mean in the plane of frequency {k}; "
        "0 on a circle",
        "prism_share": "share of the class means' variance on the frequencies 2 and 5",
        "edge_cosine": "mean cosine of the five edges v → v + 5, turned to one side; 1 in a prism",
        "pentagon_roundness": "smaller over larger axis of the pentagons' ellipse",
        "followed": "share of changed answer digits that the model says after a move",
        "followed_random": "the same after a random displacement of the same length",
        "difference": "their paired difference",
        "difference_low": "its lower bound, 95 %",
        "accuracy_clean": "share of answer digits that are right, mean over digits",
        "accuracy_removed": "the same with the waves removed",
        "accuracy_removed_random": "the same with as many random within-class directions removed",
        "noise": "share of the class means' spread that sampling explains",
    }

    number: str
    noise: float
    share: float
    share_null: float
    p: float
    points: pd.DataFrame
    components: pd.DataFrame
    circles: pd.DataFrame
    prism: pd.DataFrame
    removal: pd.DataFrame
    errors: pd.DataFrame
    moves: pd.DataFrame
    differences: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """One row a frequency."""
        return self.circles

    @property
    def metrics(self) -> dict[str, float]:
        """See `meanings`."""
        table = self.circles.set_index("frequency")
        found = {"share": self.share, "share_null": self.share_null, "p": self.p}
        found["noise"] = float(self.noise)
        for k in self.settings["frequencies"]:
            found[f"share[k={k}]"] = float(table.loc[k, "share"])
            found[f"radius_spread[k={k}]"] = float(table.loc[k, "radius_spread"])
        found |= {row.measure: float(row.value) for row in self.prism.itertuples()}
        if len(self.moves):
            arms = self.moves.groupby("arm")["followed"].mean()
            found |= {
                "followed": float(arms["move"]),
                "followed_random": float(arms["random"]),
                "difference": float(self.differences["difference"].mean()),
                "difference_low": float(self.differences["low"].min()),
            }
        if len(self.removal):
            means = self.removal.groupby("arm")["accuracy"].mean()
            found |= {
                "accuracy_clean": float(means["clean"]),
                "accuracy_removed": float(means["remove"]),
                "accuracy_removed_random": float(means["remove random"]),
            }
        return found

    @property
    def used(self) -> bool | None:
        """Whether every move is followed more than its random control; None without the test."""
        if not len(self.differences):
            return None
        return bool((self.differences["low"] > 0).all())

    @property
    def interval(self) -> str:
        drawn = self.settings["permutations"]
        return f"{drawn} permutations; 95 % bootstrap intervals of the moves"

    @property
    def code(self) -> str:
        s = self.settings
        names = ("site", "layer", "role", "permutations", "randoms")
        own = {name: s[name] for name in names}
        own["frequencies"] = list(s["frequencies"])
        own["steps"] = None if s["steps"] is None else list(s["steps"])
        own["causal"] = None if s["causal"] else False
        return asked_code(
            self.model, s, "interp.geometry.figure", **own, format=s["format"], seed=self.seed
        )

    def conclusion(self) -> str:
        s = self.settings
        total, p = self.share, self.p
        where = f"{s['site']} {s['layer']} at {s['role']}"
        named = ", ".join(f"k = {k}" for k in s["frequencies"])
        regular = total > _REGULAR and p < _P
        shape = f"The means of {self.number} in {where} have {percent(total)} % of their "
        shape += f"variance on {named} (permuted numbers: {percent(self.share_null)} %, "
        shape += f"p = {number(p)})"
        shape += "" if regular else ": no such figure beyond chance"
        if self.used is None:
            return f"{shape}. Whether it is used was not tested."
        metrics = self.metrics
        said = (
            f"{percent(metrics['followed'])} % of the changed answer digits follow a move "
            f"along it, {percent(metrics['followed_random'])} % a random displacement"
        )
        label = "no causal effect is shown at every step"
        if self.used:
            label = "it is read" if regular else "the place is read, but has no such figure"
        return f"{shape}; {said}: {label}."

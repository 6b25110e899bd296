"""Result of the probes of numbers near a multiple."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import call
from interp.results.display import percent
from interp.results.result import Result
from probes.results.sweep import probe_code

_WORDS = {"digits": "the same sentences", "paraphrased": "other sentences", "words": "words"}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NearMultiples(Result):
    """Accuracy of probes of "the number lies near a multiple of k", after StreetMath
    (arXiv 2510.25776), beside the larger class, the digits alone, and random weights.

    Args:
        scores: one row for each `k`, `layer` and `wording` ("digits", "paraphrased", "words"):
            `chosen` (the layer of the highest cross-validated accuracy, by `k`), `accuracy`, `low`,
            `high`, `n`, `majority` (of the fitted numbers' larger class), `digits_alone` (a probe
            of the one-hot decimal digits; NaN for words), `untrained` (the same probe on random
            weights), `cv`.
        states: one row a layer, `probes.state_statistics.statistics` of the fitted numbers' states.

    Further figures: "layers", accuracy by layer; "states", the statistics by layer.
    """

    analysis: ClassVar[str] = "near_multiples"
    meanings: ClassVar[Mapping[str, str]] = {
        "majority[{k}]": "accuracy of the larger class for multiples of {k}, the control",
        "digits_alone[{k}]": "accuracy of the probe of multiples of {k} on the one-hot digits "
        "without a model",
        "untrained_{wording}[{k}]": "accuracy of the probe of multiples of {k} on random weights, "
        "numbers in {wording}, at the same layer",
        "{wording}[{k}]": "accuracy of the probe of multiples of {k}, numbers in {wording}, at the "
        "layer chosen on the fitted numbers",
    }
    notes: ClassVar[tuple[str, ...]] = (
        "that the model uses what the probe reads",
        "a sense of magnitude: for k = 2, 5 and 10 the last digit decides",
    )

    scores: pd.DataFrame
    states: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        return self.scores

    @property
    def chosen(self) -> pd.DataFrame:
        """The rows of each k's chosen layer, by k."""
        rows = self.scores[self.scores["chosen"]]
        return rows.sort_values("k", kind="stable", ignore_index=True)

    @property
    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for row in self.chosen.itertuples():
            found[f"{row.wording}[{row.k}]"] = float(row.accuracy)
            found[f"majority[{row.k}]"] = float(row.majority)
            if row.wording != "words":
                found[f"digits_alone[{row.k}]"] = float(row.digits_alone)
            if row.untrained == row.untrained:
                found[f"untrained_{row.wording}[{row.k}]"] = float(row.untrained)
        return found

    @property
    def interval(self) -> str:
        return "95 % Wilson intervals over numbers"

    @property
    def code(self) -> str:
        names = ("ks", "layers", "n", "control")
        options = {name: self.settings[name] for name in names}
        return probe_code(
            self.model, call("probes.near_multiples", "model", **options, seed=self.seed)
        )

    def conclusion(self) -> str | None:
        parts = []
        for wording, told in _WORDS.items():
            rows = self.chosen[self.chosen["wording"] == wording]
            above = rows[rows["low"] > rows["majority"]]
            ks = ", ".join(str(k) for k in sorted(above["k"]))
            parts.append(f"in {told} for k = {ks}" if ks else f"in {told} for no k")
        best = self.chosen.loc[self.chosen["accuracy"].idxmax()]
        return (
            "Beyond the larger class a probe tells numbers near a multiple of k "
            f"{'; '.join(parts)}. Highest: {percent(best['accuracy'])} % for k = {best['k']} in "
            f"{_WORDS[best['wording']]} (larger class {percent(best['majority'])} %)."
        )

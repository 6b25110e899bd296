"""Result of the probes of numbers near a multiple."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from interp.results.calls import call
from interp.results.display import percent
from interp.results.result import Result
from probes.results.sweep import FALSE_DISCOVERIES, probe_code

CONTROLS = {
    "majority": "the larger class",
    "digits_alone": "the digits alone",
    "untrained": "random weights",
}
"""The controls of a probe, in words, by their name in `NearMultiples.tests`."""

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
            weights, each draw at its own chosen layer, mean over draws), `cv`. Results saved
            without `tests` have one draw there, at the row's layer.
        states: one row a layer, `probes.state_statistics.statistics` of the fitted numbers' states.
        random: one row for each `draw` of random weights, `k`, `layer` and `wording`: `chosen` (by
            the draw's own cross-validation), `accuracy`, `cv`.
        tests: one row for each `k`, `wording` and `control` (`CONTROLS`), at the chosen layers:
            `accuracy`, `control_accuracy` (of random weights the draw that is hardest to beat),
            `only_probe` and `only_control` (numbers that one of the two gets right), `p` of the
            exact paired test that the probe is better, and `q`, its false-discovery rate over all
            rows. A probe beats a control where q ≤ 0.05.

    Further figures: "layers", accuracy by layer; "states", the statistics by layer.
    """

    analysis: ClassVar[str] = "near_multiples"
    meanings: ClassVar[Mapping[str, str]] = {
        "majority[{k}]": "accuracy of the larger class for multiples of {k}, the control",
        "digits_alone[{k}]": "accuracy of the probe of multiples of {k} on the one-hot digits "
        "without a model",
        "untrained_{wording}[{k}]": "accuracy of the probe of multiples of {k} on random weights, "
        "numbers in {wording}, each draw at its own chosen layer, mean over draws",
        "probes": "probes, one for each k and wording, a count",
        "beat_majority": "probes that beat the larger class, a count",
        "beat_digits_alone": "probes that beat the digits alone, a count",
        "beat_untrained": "probes that beat every draw of random weights, a count",
        "beat_all": "probes that beat each of their controls, a count",
        "{wording}[{k}]": "accuracy of the probe of multiples of {k}, numbers in {wording}, at the "
        "layer chosen on the fitted numbers",
    }
    notes: ClassVar[tuple[str, ...]] = (
        "that the model uses what the probe reads",
        "a sense of magnitude: for k = 2, 5 and 10 the last digit decides",
    )

    scores: pd.DataFrame
    states: pd.DataFrame
    random: pd.DataFrame = field(default_factory=pd.DataFrame)
    tests: pd.DataFrame = field(default_factory=pd.DataFrame)

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
        if len(self.tests):
            found["probes"] = float(len(self.beaten))
            for control in self.beaten.columns:
                found[f"beat_{control}"] = float(self.beaten[control].fillna(False).sum())
            found["beat_all"] = float(self.beats_all.sum())
        return found

    @property
    def beaten(self) -> pd.DataFrame:
        """Whether each probe (k, wording) beats each control (columns); missing where it was not
        tested against it."""
        beaten = self.tests.assign(beaten=self.tests["q"] <= FALSE_DISCOVERIES)
        table = beaten.pivot(index=["k", "wording"], columns="control", values="beaten")
        return table[[control for control in CONTROLS if control in table]].astype("boolean")

    @property
    def beats_all(self) -> pd.Series:
        """Whether each probe (k, wording) beats every control that it was tested against."""
        return self.beaten.fillna(True).all(axis=1)

    @property
    def interval(self) -> str:
        return "95 % Wilson intervals over numbers"

    @property
    def code(self) -> str:
        names = ("ks", "layers", "n", "control", "draws")
        options = {name: self.settings[name] for name in names if name in self.settings}
        return probe_code(
            self.model, call("probes.near_multiples", "model", **options, seed=self.seed)
        )

    def conclusion(self) -> str | None:
        best = self.chosen.loc[self.chosen["accuracy"].idxmax()]
        highest = (
            f"Highest: {percent(best['accuracy'])} % for k = {best['k']} in "
            f"{_WORDS[best['wording']]} (larger class {percent(best['majority'])} %)."
        )
        if not len(self.tests):
            return f"Saved without tests against the controls. {highest}"
        beat = self.beats_all
        against = "; ".join(
            f"{CONTROLS[key]} {', '.join(_where(self.beaten[key]))}" for key in self.beaten
        )
        missing = "" if "untrained" in self.beaten else " Random weights were not measured."
        return (
            f"Of {len(beat)} probes, {beat.sum()} beat each of their controls ({len(self.tests)} "
            f"paired tests, false-discovery q ≤ {FALSE_DISCOVERIES:g}). They beat {against}."
            f"{missing} {highest}"
        )


def _where(beaten: pd.Series) -> list[str]:
    """For each wording that was tested, the k for which a control is beaten or not."""
    parts = []
    for wording, words in _WORDS.items():
        rows = beaten[beaten.index.get_level_values("wording") == wording].dropna()
        yes, no = (
            ", ".join(str(k) for k, _ in sorted(rows.index[rows == found]))
            for found in (True, False)
        )
        if yes and no:
            parts.append(f"in {words} for k = {yes} (not {no})")
        elif yes or no:
            parts.append(f"in {words} for {'every' if yes else 'no'} k")
    return parts

"""Result of an interchange with a predicted answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.result import Result

ARMS = {
    "predicted": "predicted",
    "own": "base's own answer instead",
    "no_swap": "no swap",
    "wrong_source": "source with another value than the predicted one",
    "same_value": "source with the same value: base's own answer",
    "random_direction": "random direction of equal length",
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Interchange(Result):
    """How often the answer that was predicted for a swapped intermediate comes out, in full.

    Args:
        cells: one row a place: share on the half that places are chosen on, and on the other half
            with Wilson's interval.
        chosen: the place with the largest share on the first half, the lowest layer among equals.
        controls: shares at that place on the other half, with Wilson's interval and number of
            problems: `predicted`, the base's own answer in spite of the swap, the predicted one
            without a swap, from sources whose value is not the predicted one, the base's own answer
            from sources with its own value, and in random directions of equal length.
        examples: some of the scored problems.
        learned: one row an arm of the learned subspace: rank, share of problems in which the
            predicted digit is the likeliest at the lowest answer digit that changes, with Wilson's
            interval and n; None without `learn`.
    """

    analysis: ClassVar[str] = "interchange"
    notes: ClassVar[tuple[str, ...]] = (
        "that no other place holds the variable",
        "that the model has no such variable where nothing comes out",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "predicted": "share of problems in which the whole predicted answer comes out, 0 to 1",
        "predicted_low": "its lower bound",
        "predicted_high": "its upper bound",
        "own": "share in which the base's own answer stays in spite of the swap",
        "no_swap": "share in which the predicted answer comes out without a swap",
        "wrong_source": "share in which it comes out of a source whose value is not that one",
        "same_value": "share in which the base's own answer stays under a source of equal value",
        "random_direction": "share in which it comes out of a random change of equal length",
        "median_cell": "share at the median place",
        "learned": "share in which a subspace learned on other problems gives the predicted digit",
        "learned_placebo": "share in which a random subspace does, moved as far",
        "learned_arbitrary": "share of arbitrary digits that a subspace learned for them gives",
        "learned_untrained": "share of predicted digits in a model with random weights",
    }

    cells: pd.DataFrame
    chosen: str
    controls: pd.DataFrame
    examples: pd.DataFrame
    learned: pd.DataFrame | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The places, as `cells`."""
        return self.cells

    @property
    def interval(self) -> str:
        return "95 % Wilson intervals over problems"

    @property
    def metrics(self) -> dict[str, float]:
        arms = self.controls.set_index("arm")
        out = {
            name: float(arms.loc[arm, "share"]) for name, arm in ARMS.items() if arm in arms.index
        }
        first = self.controls.iloc[0]
        out |= {
            "predicted_low": float(first["share_low"]),
            "predicted_high": float(first["share_high"]),
            "median_cell": float(self.cells["share"].median()),
        }
        if self.learned is not None:
            found = self.learned.set_index("arm")["share"]
            out |= {
                "learned": float(found["learned subspace"]),
                "learned_placebo": float(found["random subspace, equal length"]),
                "learned_arbitrary": float(found["learned for arbitrary digits"]),
                "learned_untrained": float(found["learned in a model with random weights"]),
            }
        return out

    @property
    def code(self) -> str:
        s = self.settings
        return asked_code(
            self.model, s, "interp.heads.interchange", *(["along=along"] if s["along"] else []),
            format=s["format"], variable=s["variable"], kind=s["kind"],
            layers=None if s["layers"] is None else list(s["layers"]),
            roles=None if s["roles"] is None else list(s["roles"]), learn=s.get("learn"),
            only_right=None if s["only_right"] else False, seed=self.seed,
        )  # fmt: skip

    def conclusion(self) -> str:
        m, s = self.metrics, self.settings
        return (
            f"Another {s['variable']} swapped in at {self.chosen} gives the predicted answer in "
            f"{percent(m['predicted'])} % of {self.n} problems "
            f"({percent(m['predicted_low'])} to {percent(m['predicted_high'])} %). "
            f"Sources with another value give it in {percent(m['wrong_source'])} %, and no "
            f"swap in {percent(m['no_swap'])} %; under sources with the same value "
            f"{percent(m['same_value'])} % keep their own answer.{self._learned(m)}"
        )

    def _learned(self, m: Mapping[str, float]) -> str:
        """Sentence on the learned subspace, with a leading blank; "" without one."""
        if self.learned is None:
            return ""
        return (
            f" A subspace of {self.learned['rank'].iloc[0]} dimensions learned on other problems "
            f"gives the predicted digit in {percent(m['learned'])} %; a random one moved as far in "
            f"{percent(m['learned_placebo'])} %, one learned for arbitrary digits gives those in "
            f"{percent(m['learned_arbitrary'])} %, and one learned in a model with random weights "
            f"in {percent(m['learned_untrained'])} %."
        )

"""Result of the operand grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.results.calls import Expression, asked_code
from interp.results.display import number, percent
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OperandGrids(Result):
    """Heuristics of neurons by overlap, their false positives, and the knock-out.

    Further figure: "knockout" (heuristics by family, and accuracy of each arm).

    Args:
        units: unit, heuristic ("" for none), family, overlap, chance, matched.
        false_positives: share of units that match with renamed numbers, one a draw.
        knockout: arm, accuracy, low, high, neurons, n.
        maps: mean activation [drawn units, a, b]; empty without two operands.
        drawn, a, b: the units of the maps, and the values on their axes.
        axes: what these values are, ("a", "b") or digits ("a[1]", "b[1]") of long operands.
    """

    analysis: ClassVar[str] = "operand_grids"
    notes: ClassVar[tuple[str, ...]] = (
        "that a neuron follows its heuristic beyond its strongest prompts",
        "that the model adds by these heuristics: related and unrelated knock-out must differ",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "units": "neurons, a count",
        "matched": "share of neurons that match a heuristic (overlap of at least 0.6)",
        "false_positives": "the same with renamed numbers, mean over draws",
        "accuracy_clean": "share of answer digits that are right at the judged role",
        "accuracy_related": "the same with related neurons at their mean",
        "accuracy_unrelated": "the same with as many unrelated ones at their mean",
    }

    units: pd.DataFrame
    false_positives: npt.NDArray[np.float64]
    knockout: pd.DataFrame
    maps: npt.NDArray[np.float64]
    drawn: npt.NDArray[np.int64]
    a: npt.NDArray[np.int64]
    b: npt.NDArray[np.int64]
    axes: tuple[str, ...] = ("a", "b")

    @property
    def frame(self) -> pd.DataFrame:
        """One row a neuron."""
        return self.units

    @property
    def metrics(self) -> dict[str, float]:
        """See `meanings`."""
        found = {
            "units": float(len(self.units)),
            "matched": float(self.units["matched"].mean()),
            "false_positives": float(np.mean(self.false_positives)),
        }
        for row in self.knockout.itertuples():
            found[f"accuracy_{row.arm}"] = float(row.accuracy)
        return found

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals; numbers renamed in {self.settings['draws']} draws"

    @property
    def code(self) -> str:
        s = self.settings
        own = {name: s[name] for name in ("site", "layer", "role", "knocked", "draws")}
        own["directions"] = Expression("directions") if s.get("directions") else None
        own["units"] = s["units"] if isinstance(s["units"], int) else list(s["units"])
        return asked_code(
            self.model, s, "interp.geometry.grid", **own, format=s["format"], seed=self.seed
        )

    def conclusion(self) -> str:
        m = self.metrics
        told = (
            f"{percent(m['matched'])} % of {number(m['units'])} units match a heuristic, "
            f"{percent(m['false_positives'])} % do with renamed numbers"
        )
        if "accuracy_related" not in m:
            return f"{told}. The knock-out was left out."
        return (
            f"{told}; knocking out the related ones leaves "
            f"{percent(m['accuracy_related'])} % of answers right, as many unrelated ones "
            f"{percent(m['accuracy_unrelated'])} % (clean "
            f"{percent(m['accuracy_clean'])} %)."
        )

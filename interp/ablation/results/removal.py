"""Result of removing transfer from one layer at a time: is it necessary?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.ablation.results.evaluate import (
    BESIDE,
    OfRightAnswers,
    about_sink,
    replacement_code,
    schedule_code,
)
from interp.ablation.results.margin import few_right
from interp.results.calls import asked_code
from interp.results.display import number, percent
from interp.results.grid import Grid

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LayerRemoval(OfRightAnswers):
    """Faithfulness when the last tokens see only themselves and the sink in one layer at a time
    (arXiv 2509.09650, Fig. 4): it tests whether a layer's transfer is necessary.

    Args:
        full: Grid over `layer`, in the full model.
        schedule: the same within a schedule; NaN outside its transfer layers.
        all_removed: columns `where` ("full", "schedule"), `layers`, `faithfulness`, `low`, `high`:
            all transfer layers of the schedule cut at once.
        constant, base_accuracy, n_right, n_right_distinct: as in `AblationScore`.
    """

    analysis: ClassVar[str] = "layer_removal"
    notes: ClassVar[tuple[str, ...]] = (
        "that a layer without effect moves nothing: another may move the same",
        "that a layer with an effect moves operands: whatever else the last tokens fetch there "
        "goes too, so that in the full model a layer inside the wait can cost much",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "worst_layer": "index of the layer whose removal costs the full model most; -1 where no "
        "layer's interval lies below 1",
        "worst_faithfulness": "faithfulness without that layer's transfer, 0 to 1",
        "worst_faithfulness_low": "lower end of its 95 % interval",
        "worst_faithfulness_high": "upper end of its 95 % interval",
        "needed_layers": "layers whose faithfulness lies surely below 1, a count",
        **BESIDE,
    }

    full: Grid
    schedule: Grid
    all_removed: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each place and layer: `where`, `layer`, `faithfulness` with its bounds."""
        parts = [
            grid.frame("faithfulness").assign(where=where)
            for where, grid in (("full", self.full), ("schedule", self.schedule))
        ]
        return pd.concat(parts, ignore_index=True)

    @property
    def metrics(self) -> dict[str, float]:
        """The layer whose removal costs the full model most (-1 if no layer's interval lies below
        1), the least faithfulness with its interval, and the number of layers whose interval lies
        below 1."""
        low, high = self._bounds
        if np.isnan(self.full.values).all():  # no prompt is answered rightly
            named = ("layer", "faithfulness", "faithfulness_low", "faithfulness_high")
            return {
                **{f"worst_{name}": float("nan") for name in named},
                "needed_layers": float("nan"),
                **self.beside,
            }
        worst = self._worst
        return {
            "worst_layer": float(worst if high[worst] < 1 else -1),
            "worst_faithfulness": float(self.full.values[worst]),
            "worst_faithfulness_low": float(low[worst]),
            "worst_faithfulness_high": float(high[worst]),
            "needed_layers": float((high < 1).sum()),
            **self.beside,
        }

    @property
    def _worst(self) -> int:
        return int(np.nanargmin(self.full.values))

    @property
    def _bounds(self) -> tuple[Floats, Floats]:
        low, high = self.full.low, self.full.high
        nothing = np.full_like(self.full.values, np.nan)
        return nothing if low is None else low, nothing if high is None else high

    @property
    def code(self) -> str:
        return asked_code(
            self.model,
            self.settings,
            "interp.ablation.removal",
            schedule_code(self.settings["schedule"]),
            replacement_code(self.settings, self.seed),
            sink=self.settings.get("sink"),
            format=self.settings.get("format"),
            seed=self.seed,
        )

    def conclusion(self) -> str | None:
        m = self.metrics
        if np.isnan(m["worst_faithfulness"]):
            return few_right(self.n_right_distinct)
        low, high = (100 * m[f"worst_faithfulness_{end}"] for end in ("low", "high"))
        kept = (
            f"Without the transfer of layer {self._worst} alone, the one that costs most of "
            f"{len(self.full.values)}, the full model keeps "
            f"{percent(m['worst_faithfulness'])} % ({number(low)} to {number(high)} %) of its "
            f"right answers (the best constant answer {percent(m['constant'])} %)"
        )
        sink = about_sink(self.sink_differs)
        if m["worst_layer"] < 0:
            return (
                f"No single layer's transfer to the last token is surely necessary. {kept}.{sink}"
            )
        return (
            f"{kept}; the intervals of {int(m['needed_layers'])} layers lie below 100 %. The layer "
            f"was chosen on these prompts.{sink}"
        )

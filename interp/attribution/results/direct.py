"""Result of direct logit attribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import number
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DirectAttribution(Result):
    """Direct effect of every component on the right token's logit, the final norm's scale held.
    Figures: "figure", and "heads": heads and MLPs by layer.

    Args:
        effect: mean effect with interval, in logits; axes `component` ("embed", "L0H3",
            "L0.attn_bias", "L0.mlp", "norm_bias") and `answer_digit`. They sum to logit − b_U.
        shuffled: the same for the right token of another prompt: what does not depend on the
            problem.
        logit: mean logit of the right token, axis `answer_digit`.
        neurons: neurons with the largest mean |effect|: `effect` (mean) and `size` (mean |effect|).
        difference: largest |sum of the components − (logit − b_U)| in some prompt.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "direct_attribution"
    notes: ClassVar[tuple[str, ...]] = (
        "effects through later layers: a component that matters can have no direct effect",
        "what the final norm's scale adds: it is held at its value",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "largest_effect": "largest |direct effect| of a component beyond its control, in logits",
        "difference": "largest error of the components' sum, in logits",
        "components": "components, a count",
    }

    effect: Grid
    shuffled: Grid
    logit: Grid
    neurons: pd.DataFrame
    difference: float
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        """One row a component and answer digit: effect and control, each with its bounds."""
        return self.effect.frame("effect").merge(self.shuffled.frame("shuffled"))

    @property
    def beyond(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Effect − control, [components, answer digits]: what tells the right token from others."""
        return np.asarray(self.effect.values - self.shuffled.values)

    @property
    def metrics(self) -> dict[str, float]:
        return {
            "largest_effect": float(np.nanmax(np.abs(self.beyond))),
            "difference": self.difference,
            "components": float(self.effect.shape[0]),
        }

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        s = self.settings
        options = {"roles": s["roles"], "neurons": s["neurons"]}
        return asked_code(
            self.model, s, "interp.attribution.direct", format=s["format"], **options,
            seed=self.seed,
        )  # fmt: skip

    def conclusion(self) -> str:
        component, digit = np.unravel_index(
            int(np.nanargmax(np.abs(self.beyond))), self.effect.shape
        )
        name, role = self.effect.axes[0].labels[component], self.effect.axes[1].labels[digit]
        value, control = (
            self.effect.values[component, digit],
            self.shuffled.values[component, digit],
        )
        return (
            f"{name} writes most towards the right token, at {role}: {number(value)} logits, "
            f"against {number(control)} for another prompt's token. Components sum to the logit "
            f"within {number(self.difference)}."
        )

"""Result of one analysis at each checkpoint of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import function_code
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OverSeries(Result):
    """The metrics of an analysis by checkpoint. `model` has the hash of the last checkpoint.

    Args:
        analysed: the analysis that was run, such as "behaviour".
        function: the function that ran it, "interp.behaviour.accuracy".
        steps, hashes: optimiser steps and weight hash of each checkpoint.
        values: one row for each step and metric: `step`, `metric`, `value`.
    """

    analysis: ClassVar[str] = "over_series"
    notes: ClassVar[tuple[str, ...]] = (
        "what happened between two checkpoints",
        "what another seed would do: it is one run",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "{metric}_first": "{metric} of the analysis at the first checkpoint",
        "{metric}_last": "{metric} of the analysis at the last checkpoint",
    }

    analysed: str
    function: str
    steps: tuple[int, ...]
    hashes: tuple[str, ...]
    values: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        return self.values

    def metric(self, name: str) -> pd.Series:
        """One metric by step, NaN where undefined."""
        rows = self.values[self.values["metric"] == name]
        return rows.set_index("step")["value"].rename(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that are defined at one checkpoint or more."""
        known = self.values[np.isfinite(self.values["value"])]
        return tuple(dict.fromkeys(known["metric"]))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric at the first (`…_first`) and at the last checkpoint (`…_last`)."""
        first, last = ({"_first": self.steps[0]}, {"_last": self.steps[-1]})
        return {
            f"{name}{end}": float(self.metric(name).get(step, np.nan))
            for name in self.names
            for end, step in (first | last).items()
        }

    @property
    def caption(self) -> str:
        return f"{super().caption} · {len(self.steps)} checkpoints"

    @property
    def code(self) -> str:
        options = self.settings.get("options", {})
        given = [repr(self.model.name if self.model else ""), self.function]
        given += [self.settings["problems"]] if self.settings.get("problems") else []
        given += [f"steps={list(self.steps)}"] if self.settings.get("steps") else []
        given += [f"{name}={value}" for name, value in options.items()]
        return function_code(self.function, f"interp.over_checkpoints({', '.join(given)})")

"""Two Results of one analysis side by side, and their difference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import call
from interp.results.display import number
from interp.results.grid import Axis, Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Comparison(Result):
    """One Grid of two Results, and second − first over the labels that both have.

    Args:
        analysed: the analysis of both, "counterfactual_attribution".
        grid: which Grid of theirs.
        names, hashes: what sets the two apart, and the weight hashes of their models.
        codes: the calls that make them again.
        first, second: the two Grids.
        difference: second − first, with an interval where both have one.
        paired: whether that interval resamples differences by prompt.
        alone: labels that only one of the two has.
        exchangeable: axes, such as heads, whose numbers do not correspond between two models.
    """

    analysis: ClassVar[str] = "comparison"
    notes: ClassVar[tuple[str, ...]] = (
        "why they differ: another seed of one recipe differs too",
        "that any single cell differs: of many, one in twenty intervals leaves out zero by chance",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "largest_difference": "largest |second − first| of a cell, in the unit of the Grid",
        "mean_difference": "mean of second − first over cells, in the unit of the Grid",
        "cells": "cells that both have, a count",
        "cells_apart": "cells whose 95 % interval of the difference leaves out zero, a count",
        "cells_apart_by_chance": "cells that would do so by chance, 5 % of those with an interval",
    }

    analysed: str
    grid: str
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    codes: tuple[str, ...]
    first: Grid
    second: Grid
    difference: Grid
    paired: bool
    alone: tuple[str, ...]
    exchangeable: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each cell that both have: `first`, `second`, and `difference` with bounds."""
        table = self.difference.frame("difference")
        axes = [axis.name for axis in self.difference.axes]
        for name, grid in (("second", self.second), ("first", self.first)):
            table = grid.frame(name)[[*axes, name]].merge(table, on=axes, how="right")
        return table

    @property
    def metrics(self) -> dict[str, float]:
        known = self.difference.values[np.isfinite(self.difference.values)]
        apart = self.apart
        return {
            "largest_difference": float(np.abs(known).max()) if known.size else float("nan"),
            "mean_difference": float(known.mean()) if known.size else float("nan"),
            "cells": float(known.size),
            "cells_apart": float("nan") if apart is None else float(apart.sum()),
            "cells_apart_by_chance": float("nan") if apart is None else 0.05 * known.size,
        }

    @property
    def apart(self) -> np.ndarray | None:
        """True where the interval leaves out zero; None without intervals."""
        if self.difference.low is None or self.difference.high is None:
            return None
        return np.asarray((self.difference.low > 0) | (self.difference.high < 0))

    @property
    def interval(self) -> str:
        if self.difference.low is None:
            return "no interval: not both have one"
        if self.paired:
            return "95 % bootstrap intervals of the difference by prompt"
        return "95 % intervals from both (MOVER)"

    @property
    def caption(self) -> str:
        each = []
        for name, hash, n, seed in zip(
            self.names, self.hashes, self.settings["n"], self.settings["seeds"], strict=True
        ):
            told = [f"{name}: {hash[:12]}" if hash else name, f"n = {n:,}"]
            told += [] if seed is None else [f"seed {seed}"]
            each.append(", ".join(told))
        same = "the same prompts" if self.settings["same_prompts"] else "other prompts"
        parts = [*each, same, self.interval]
        if self.alone:
            shown = ", ".join(self.alone[:4]) + (" …" if len(self.alone) > 4 else "")
            parts.append(f"only in one, so without a difference: {shown}")
        if self.exchangeable:
            parts.append("numbers of heads do not correspond between two models")
        return " · ".join(parts)

    @property
    def code(self) -> str:
        scripts = [
            re.sub(r"^result = ", f"{name} = ", code, flags=re.MULTILINE)
            for name, code in zip(("first", "second"), self.codes, strict=True)
        ]
        given = {"grid": self.settings["asked_for"], "at": self.settings["at"]}
        last = call("interp.compare", "first", "second", **given)
        return "\n".join([*scripts, f"result = {last}"])

    def conclusion(self) -> str:
        metrics, found = self.metrics, self.difference.values
        if not np.isfinite(found).any():
            return "No cell is known of both: nothing can be subtracted."
        place = np.unravel_index(np.nanargmax(np.abs(found)), found.shape)
        labels = [_said(a, int(i)) for a, i in zip(self.difference.axes, place, strict=True)]
        told = f"The largest difference is {number(found[place])}, at {', '.join(labels)}"
        if self.difference.low is None or self.difference.high is None:
            return f"{told}; without an interval nothing tells it from chance."
        low, high = self.difference.low[place], self.difference.high[place]
        count, chance = metrics["cells_apart"], metrics["cells_apart_by_chance"]
        told += f" ({number(low)} to {number(high)}). Intervals that leave out zero: {count:.0f} of"
        return f"{told} {metrics['cells']:.0f}, where chance gives {number(chance)}."


def _said(axis: Axis, place: int) -> str:
    """A label that says what it is: "c0", but "head 3"."""
    label = str(axis.labels[place])
    return f"{axis.name.replace('_', ' ')} {label}" if label.isdigit() else label

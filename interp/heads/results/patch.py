"""Result of activation patching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.heads.results.pairs import PairEffects, of_metric
from interp.results.display import number
from interp.results.grid import Axis, Grid

LEVEL = 0.05


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ActivationPatching(PairEffects):
    """Effect of patching each node, by answer digit.

    Cells have the axes `layer`, `head` (or `group`: keys and values of the heads that share them),
    `role` where roles are separate cells, and `answer_digit`. Without a role, a node is patched at
    all positions at once. Figures: "figure", and "chosen": nodes chosen on one half of the prompts
    and scored on the other.

    Args:
        effect: mean effect with interval, first axis `metric`; positive where the node carries the
            answer (`interp.heads.metrics`).
        q: false-discovery rate of the leading metric's effect (Benjamini-Hochberg over all cells).
        total: what changing the whole prompt does, by metric and answer digit; NaN for a metric
            that is no value of one run.
        same_answer: the leading metric's effect when the source has other operands and the same
            answer as the prompt that is run; None where not run. In `indirect_effect` both of its
            tokens are then that answer's.
        with_control: prompts that have such a source.
        used: prompts whose answer digit differs between clean and corrupted, by answer digit.
        noise: largest effect of patching a node with its own value, in some prompt.
        floor: the engine's tolerance, as an effect.
        small_logits: share of |x[r]| below 1, where `relative_logit` says little.
        chosen: nodes chosen on one half, scored on the other, beside random ones.
        by_prompt: the leading metric's effect, [n, …cells], float32.
        same_by_prompt: the control's, likewise; NaN for a prompt without such a source.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "activation_patching"
    notes: ClassVar[tuple[str, ...]] = (
        "by which path a node acts: interp.heads.paths does",
        "what several nodes do together: one may replace another",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "largest_effect": "largest mean effect of a cell, in the leading metric's unit",
        "largest_share": "that effect as a share of what changing the whole prompt does",
        "findings": "cells with q ≤ 0.05 and an effect above the noise floor, a count",
        "share_of_findings": "findings as a share of all cells, 0 to 1",
        "cells": "cells, a count",
        "chosen_scored": "mean effect of the first node chosen on one half of the prompts, on the "
        "other half",
        "random_scored": "mean effect of all nodes there, what a random choice scores",
        "same_answer": "effect in the largest cell with a source of the same answer",
        "noise": "largest effect of patching a node with its own value",
        "above_one_percent": "share of nodes whose mean relative logit change exceeds 1 % in size "
        "(the rule of Zhang et al.); NaN without that metric",
    }

    same_answer: Grid | None
    with_control: int
    used: Grid
    noise: float
    floor: float
    same_by_prompt: npt.NDArray[np.float32] | None = None

    @property
    def findings(self) -> npt.NDArray[np.bool_]:
        """Cells with q ≤ 0.05 and a mean effect above the noise floor; shape of the cells."""
        large = np.abs(self.main.values) > max(self.noise, self.floor)
        return np.asarray((self.q.values <= LEVEL) & large)

    @property
    def found(self) -> tuple[str, ...]:
        """Labels of the cells found for some answer digit: "L0H3", "L1H0@c2"."""
        table = self.frame
        return tuple(dict.fromkeys(table.loc[table["finding"], "node"]))

    @property
    def frame(self) -> pd.DataFrame:
        """One row a cell: effect and bounds by metric, share of the total, q, control, finding."""
        table = self.cells()
        total = of_metric(self.total, self.lead).frame("total")[["answer_digit", "total"]]
        share = table["answer_digit"].map(total.set_index("answer_digit")["total"])
        table["share"] = table[self.lead] / share
        table["q"] = self.q.values.ravel()
        if self.same_answer is not None:
            table["same_answer"] = self.same_answer.values.ravel()
        table["finding"] = self.findings.ravel()
        table.insert(0, "node", [self._name(row) for row in table.to_dict("records")])
        return table

    def _name(self, row: Mapping[str, object]) -> str:
        kind = str(self.settings["kind"])
        part = "" if kind == "head" else f".{kind}"
        index = f"H{row['head']}" if "head" in row else f"G{row['group']}" if "group" in row else ""
        at = f"@{row['role']}" if "role" in row else ""
        return "embed" + at if kind == "embed" else f"L{row['layer']}{index}{part}{at}"

    @property
    def metrics(self) -> dict[str, float]:
        values = self.main.values
        top = np.unravel_index(int(np.nanargmax(np.abs(values))), values.shape)
        total = of_metric(self.total, self.lead).values[top[-1]]
        out = {
            "largest_effect": float(values[top]),
            "largest_share": float(values[top] / total),
            "findings": float(self.findings.sum()),
            "share_of_findings": float(self.findings.mean()),
            "cells": float(values.size),
            **self.chosen_scores(),
            "noise": self.noise,
            "above_one_percent": float("nan"),
        }
        if self.same_answer is not None:
            out["same_answer"] = float(self.same_answer.values[top])
        if "relative_logit" in self.effect.axes[0].labels:
            size = np.abs(of_metric(self.effect, "relative_logit").values).max(axis=-1)
            out["above_one_percent"] = float((size > 0.01).mean())
        return out

    @property
    def code(self) -> str:
        s = self.settings
        return self.pair_code(
            "interp.heads.patch",
            kind=None if s["kind"] == "head" else s["kind"],
            roles=s["roles"],
            direction=s["direction"],
            metrics=list(s["metrics"]),
            same_answer=None if s["same_answer"] else False,
        )

    def conclusion(self) -> str:
        m, values = self.metrics, self.main.values
        row = self.frame.iloc[int(np.nanargmax(np.abs(values)))]
        verb = "restores" if self.settings["direction"] == "denoise" else "removes"
        control = ""
        if self.same_answer is not None:
            control = f"; a source with the same answer gives {number(row['same_answer'])}"
        half = ""
        if len(self.chosen):
            best = self.chosen.iloc[0]
            half = (
                f" {best['node']}, chosen on one half of the prompts, scores "
                f"{number(best['scored'])} ({number(best['scored_low'])} to "
                f"{number(best['scored_high'])}) on the other, a random node "
                f"{number(best['random'])}."
            )
        return (
            f"{row['node']} {verb} most of {row['answer_digit']}: {number(row[self.lead])} "
            f"({number(row[self.lead + '_low'])} to {number(row[self.lead + '_high'])}) of "
            f"{number(row[self.lead] / row['share'])} {self.lead.replace('_', ' ')}{control}. "
            f"{int(m['findings'])} of {int(m['cells'])} cells differ from zero.{half}"
        )


def axis_of(grid: Grid, name: str) -> Axis | None:
    """The axis of that name, None where there is none."""
    return next((axis for axis in grid.axes if axis.name == name), None)

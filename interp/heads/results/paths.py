"""Result of path patching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.heads.results.pairs import PairEffects, of_metric
from interp.results.display import number, percent

LEVEL = 0.05
RULE = 0.01  # |relative change| of a key head, Zhang et al.
FROZEN = {
    "all": "every other head and MLP held (Zhang)",
    "heads": "every other head held, MLPs recomputed (Wang)",
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PathPatching(PairEffects):
    """Effect of each sender along the direct path to each receiver, by answer digit.

    Args:
        effect: mean effect with interval; axes `metric`, `sender` ("L0H3", "L2.mlp"), `receiver`
            ("logits", "L1H0.q", "L1G0.k") and `answer_digit`; NaN where a sender does not lie below
            the receiver. Positive where the path carries the answer, except `relative_logit`.
        q: false-discovery rate of the leading metric's effect, over all cells.
        total: what changing the whole prompt does, by metric and answer digit.
        small_logits: share of prompts and digits with |x[r]| below 1, where `relative_logit` says
            little.
        chosen: senders chosen on one half of the prompts, scored on the other, beside random ones.
        by_prompt: the leading metric's effect, [n, senders, receivers, answers], float32.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "path_patching"
    notes: ClassVar[tuple[str, ...]] = (
        "effects along longer paths: a node without a direct effect may act through others",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "largest_effect": "largest mean effect of a cell, in the leading metric's unit",
        "largest_share": "that effect as a share of what changing the whole prompt does",
        "findings": "cells with q ≤ 0.05, a count",
        "cells": "cells, a count",
        "share_over_rule": "share of heads whose mean relative change of the raw logit exceeds 1 % "
        "in size, in some answer digit (the rule of Zhang et al.), 0 to 1",
        "share_over_rule_low": "the same, among the heads whose interval lies beyond 1 %",
        "heads_for_90_percent": "share of heads that carry 90 % of all heads' |effect| in the "
        "leading metric, 0 to 1",
        "small_logits": "share of |x[r]| below 1 logit, where the relative change says little",
        "chosen_scored": "mean effect of the first sender chosen on one half, on the other half",
        "random_scored": "mean effect of all senders there, what a random choice scores",
    }

    @property
    def frame(self) -> pd.DataFrame:
        """One row a cell: effect and bounds by metric, q."""
        return self.cells().assign(q=self.q.values.ravel())

    @property
    def heads(self) -> npt.NDArray[np.bool_]:
        """Which senders are heads."""
        return np.array(["H" in name for name in self.main.axis("sender").labels])

    @property
    def metrics(self) -> dict[str, float]:
        values = self.main.values
        top = np.unravel_index(int(np.nanargmax(np.abs(values))), values.shape)
        total = self.total.at(metric=self.lead, answer_digit=self.main.axes[-1].labels[top[-1]])
        out = {
            "largest_effect": float(values[top]),
            "largest_share": float(values[top]) / float(total),  # type: ignore[arg-type]
            "findings": float((self.q.values <= LEVEL).sum()),
            "cells": float((~np.isnan(values)).sum()),
            "heads_for_90_percent": self._concentrated(),
            **self.chosen_scores(),
            "small_logits": self.small_logits,
        }
        if "relative_logit" in self.effect.axes[0].labels and self.heads.any():
            relative = of_metric(self.effect, "relative_logit")
            assert relative.low is not None and relative.high is not None
            over = np.abs(relative.values) > RULE
            sure = (relative.low > RULE) | (relative.high < -RULE)
            out["share_over_rule"] = float(over[self.heads].any(axis=(1, 2)).mean())
            out["share_over_rule_low"] = float(sure[self.heads].any(axis=(1, 2)).mean())
        return out

    def _concentrated(self) -> float:
        """Share of heads that carry 90 % of Σ |effect| over heads."""
        size = np.abs(np.nan_to_num(self.main.values[self.heads])).sum(axis=(1, 2))
        if not size.sum():
            return float("nan")
        along = np.cumsum(np.sort(size)[::-1]) / size.sum()
        return float((np.searchsorted(along, 0.9) + 1) / len(size))

    @property
    def code(self) -> str:
        s = self.settings
        receivers = list(s["receivers"])
        return self.pair_code(
            "interp.heads.paths",
            frozen=s["frozen"],
            receivers=None if receivers == ["logits"] else receivers,
            senders=None if s["senders"] is None else list(s["senders"]),
            direction=None if s["direction"] == "noise" else s["direction"],
            metrics=list(s["metrics"]),
        )

    def conclusion(self) -> str:
        m, values = self.metrics, self.main.values
        row = self.frame.iloc[int(np.nanargmax(np.abs(values)))]
        text = (
            f"The strongest path is {row['sender']} → {row['receiver']} for {row['answer_digit']}: "
            f"{number(row[self.lead])} ({number(row[self.lead + '_low'])} to "
            f"{number(row[self.lead + '_high'])}) {self.lead.replace('_', ' ')}, "
            f"{percent(m['largest_share'])} % of what the whole prompt does."
        )
        if len(self.chosen):
            best = self.chosen.iloc[0]
            text += (
                f" {best['node']}, chosen on one half of the prompts, scores "
                f"{number(best['scored'])} on the other, a random sender {number(best['random'])}."
            )
        if "share_over_rule" in m and self.small_logits > 0.05:
            text += (
                f" {percent(self.small_logits)} % of the raw logits are below 1 in size: "
                "relative changes say little there."
            )
        return text

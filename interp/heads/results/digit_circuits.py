"""QK and OV circuit of one head by digit pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import number
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DigitCircuits(Result):
    """Attention of one head to one digit by digit pair, and what it writes of it.

    Args:
        layer, head, query, key: the head and the two roles, named or chosen.
        other: the role of the digit on the first axis of `qk`.
        attention: mean attention from query to key.
        qk: mean log-odds of the attention; axes the other digit and the key's, with interval.
        ov: mean direct effect of the write on each digit's logit, centred over the digits and
            over the prompts; axes the key's digit and `answer`, with interval.
        ov_shuffled: the same for shuffled key digits, the control.
        explained: `share` of the variance of the log-odds that digits explain (η²), and mean and
            95th percentile of it for shuffled values.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "digit_circuits"
    notes: ClassVar[tuple[str, ...]] = (
        "what later layers do with the write",
        "which earlier layer made query or key depend on the digits",
    )
    meanings: ClassVar[dict[str, str]] = {
        "attention": "mean attention from the query to the key",
        "explained_by_key": "share of the log-odds' variance that the key's digit explains",
        "explained_by_key_shuffled": "95th percentile of the same for shuffled values",
        "explained_by_other": "share of the log-odds' variance that the other digit explains",
        "explained_by_pair": "share of the log-odds' variance that the pair explains",
        "explained_by_pair_shuffled": "95th percentile of the same for shuffled values",
        "ov_range": "largest minus smallest direct effect, in logits",
        "ov_range_shuffled": "the same for shuffled key digits",
    }

    layer: int
    head: int
    query: str
    key: str
    other: str
    attention: float
    qk: Grid
    ov: Grid
    ov_shuffled: Grid
    explained: pd.DataFrame
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        """QK and OV, one row a cell: circuit, first, second, value, value_low, value_high."""
        parts = []
        for name in ("qk", "ov", "ov_shuffled"):
            table = getattr(self, name).frame()
            table.columns = ["first", "second", *table.columns[2:]]
            table.insert(0, "circuit", name)
            parts.append(table)
        return pd.concat(parts, ignore_index=True)

    @property
    def metrics(self) -> dict[str, float]:
        """What explains the attention, and the size of the write."""
        key, other, pair = (row for _, row in self.explained.iterrows())
        return {
            "attention": self.attention,
            "explained_by_key": float(key["share"]),
            "explained_by_key_shuffled": float(key["shuffled_95"]),
            "explained_by_other": float(other["share"]),
            "explained_by_pair": float(pair["share"]),
            "explained_by_pair_shuffled": float(pair["shuffled_95"]),
            "ov_range": _range(self.ov),
            "ov_range_shuffled": _range(self.ov_shuffled),
        }

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        s = self.settings
        given = {name: s[name] for name in ("layer", "head", "query", "key", "by")}
        return asked_code(
            self.model,
            s,
            "interp.heads.digit_circuits",
            format=s["format"],
            seed=self.seed,
            **given,
        )

    def conclusion(self) -> str:
        found = self.metrics
        by_content = found["explained_by_key"] > found["explained_by_key_shuffled"]
        return (
            f"Head {self.head} of layer {self.layer} gives {self.key} {self.attention:.1%} of its "
            f"attention from {self.query}. The digit there explains "
            f"{found['explained_by_key']:.1%} of the variation (shuffled: 95 % below "
            f"{found['explained_by_key_shuffled']:.1%})"
            f"{'' if by_content else ', so it looks by position'}; with {self.other} "
            f"{found['explained_by_pair']:.1%} ({found['explained_by_pair_shuffled']:.1%}). Its "
            f"direct effect on the digits spans {number(found['ov_range'])} logits "
            f"({number(found['ov_range_shuffled'])} for shuffled digits)."
        )


def _range(grid: Grid) -> float:
    return float(np.nanmax(grid.values) - np.nanmin(grid.values))

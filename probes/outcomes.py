"""Shares of answer digits after an edit: predicted, original or right.

If an edit only disturbs the answer, one change in nine gives the predicted digit. `mismatched`
measures this chance rate: the share that becomes the digit predicted for another row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from probes.resample import Estimate, Resamples, resamples

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHARES = ("predicted", "mismatched", "original", "right", "other", "logit")


@dataclass(frozen=True, eq=False)
class Arms:
    """First choice, logit(wanted) and logit(original) of each arm, [n, roles, 3]; random
    [draws, n, roles, 3]; tokens [n, roles], -1 where a row lacks the role.

    `moved` says whether a new answer was predicted; else `wanted` is the right answer's token.
    """

    clean: Floats
    probe: Floats
    random: Floats
    wanted: Ints
    original: Ints
    right: Ints
    moved: bool

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """Mask [n, roles] of counted rows: they have the role and, if the answer is moved, their
        predicted token differs from the model's own."""
        here = self.right >= 0
        return here & (self.wanted != self.original) if self.moved else here

    def of(self, arm: Floats) -> dict[str, Floats]:
        """Each of SHARES [n, roles], averaged over random draws; NaN where undefined."""
        choice = np.rint(arm[..., 0]).astype(np.int64)
        found = {
            "predicted": (choice == self.wanted).astype(float),
            "mismatched": self._mismatched(choice),
            "original": (choice == self.original).astype(float),
            "right": (choice == self.right).astype(float),
            "logit": arm[..., 1] - arm[..., 2],
        }
        neither = (choice != self.wanted) & (choice != self.original)
        found["other"] = neither.astype(float)
        if not self.moved:  # nothing was predicted
            for name in ("predicted", "mismatched", "logit"):
                found[name] = np.full(choice.shape, np.nan)
            found["other"] = (choice != self.original).astype(float)
        return {k: v.mean(axis=0) if v.ndim == 3 else v for k, v in found.items()}

    def _mismatched(self, choice: Ints) -> Floats:
        """Expected share of `choice` [..., n, roles] that equals another row's prediction, over the
        other rows whose prediction is not this row's own digit; `predicted` if there are none."""
        out = np.zeros(choice.shape)
        for k in range(choice.shape[-1]):
            said, own, wanted = choice[..., k], self.original[:, k], self.wanted[:, k]
            others = self._predictions(k)
            possible = self.counted[:, k].sum() - 1 - others(own)
            hits = np.where(said == own, 0, others(said) - (said == wanted))
            out[..., k] = np.where(possible > 0, hits / np.maximum(possible, 1), said == wanted)
        return out

    def compared(self, k: int) -> int:
        """Number of counted rows for which another row's prediction is neither this row's own digit
        nor its prediction. If it is 0, every change is as predicted."""
        mine, others = self.counted[:, k], self._predictions(k)
        either = others(self.original[:, k]) + others(self.wanted[:, k])
        return int((mine & (mine.sum() > either)).sum())

    def _predictions(self, k: int) -> Callable[[Ints], Ints]:
        """A function from tokens of any shape to the number of counted rows that predict each."""
        tokens, counts = np.unique(self.wanted[self.counted[:, k], k], return_counts=True)

        def of(wanted: Ints) -> Ints:
            if not len(tokens):
                return np.zeros(wanted.shape, dtype=np.int64)
            at = np.searchsorted(tokens, wanted).clip(max=len(tokens) - 1)
            return np.where(tokens[at] == wanted, counts[at], 0)

        return of


def outcomes(
    arms: Arms, roles: Sequence[str], groups: npt.NDArray[np.int64], seed: int
) -> pd.DataFrame:
    """Table of outcomes with bounds, one row per arm and answer digit."""
    again = resamples(groups, seed=seed)
    rows = []
    for name, arm in (("clean", arms.clean), ("probe", arms.probe), ("random", arms.random)):
        rows += _table(arms, arms.of(arm), roles, again, {"arm": name})
    return pd.DataFrame(rows)


def differences(
    arms: Arms, roles: Sequence[str], groups: npt.NDArray[np.int64], seed: int
) -> pd.DataFrame:
    """Paired differences, one row per answer digit: probe minus random; `followed`, the probe's
    predicted minus mismatched; `p`, the larger of the one-sided p-values of predicted and followed;
    and `compared` (`Arms.compared`)."""
    probe, random = arms.of(arms.probe), arms.of(arms.random)
    paired = {name: probe[name] - random[name] for name in SHARES if name != "mismatched"}
    paired["followed"] = probe["predicted"] - probe["mismatched"]
    again = resamples(groups, seed=seed)
    rows = _table(arms, paired, roles, again, {})
    for k, row in enumerate(rows):
        both = [_mean(arms, paired[name], k, again) for name in ("predicted", "followed")]
        row["p"] = float(np.max([mean.p[0] for mean in both]))
        row["compared"] = arms.compared(k)
    return pd.DataFrame(rows)


def _table(
    arms: Arms,
    found: dict[str, Floats],
    roles: Sequence[str],
    again: Resamples,
    labels: dict[str, str],
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for k, role in enumerate(roles):
        counted = int(arms.counted[:, k].sum())
        row: dict[str, object] = {**labels, "answer_digit": role, "n": counted}
        for name, values in found.items():
            mean = _mean(arms, values, k, again)
            row[name] = float(mean.value[0])
            row[f"{name}_low"] = float(mean.low[0])
            row[f"{name}_high"] = float(mean.high[0])
        rows.append(row)
    return rows


def _mean(arms: Arms, values: Floats, k: int, again: Resamples) -> Estimate:
    """Mean of values [n, roles] over the counted rows of one role."""
    mine = arms.counted[:, k]
    return again.ratio(np.where(mine, values[:, k], 0.0)[:, None], mine[:, None].astype(float))

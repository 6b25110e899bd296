"""What the answer digits became, counted: to the predicted digit, still the original, or right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from probes.resample import Resamples, resamples

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHARES = ("predicted", "original", "right", "other", "logit")


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
        """[n, roles]: rows that have the role and, where the answer is moved, whose predicted
        token is not the one that the model says anyway."""
        here = self.right >= 0
        return here & (self.wanted != self.original) if self.moved else here

    def of(self, arm: Floats) -> dict[str, Floats]:
        """Each of SHARES [n, roles], random draws averaged; NaN where it is not defined."""
        choice = np.rint(arm[..., 0]).astype(np.int64)
        found = {
            "predicted": (choice == self.wanted).astype(float),
            "original": (choice == self.original).astype(float),
            "right": (choice == self.right).astype(float),
            "logit": arm[..., 1] - arm[..., 2],
        }
        neither = (choice != self.wanted) & (choice != self.original)
        found["other"] = neither.astype(float)
        if not self.moved:  # nothing was predicted
            found["predicted"] = np.full(choice.shape, np.nan)
            found["logit"] = np.full(choice.shape, np.nan)
            found["other"] = (choice != self.original).astype(float)
        return {k: v.mean(axis=0) if v.ndim == 3 else v for k, v in found.items()}


def outcomes(
    arms: Arms, roles: Sequence[str], groups: npt.NDArray[np.int64], seed: int
) -> pd.DataFrame:
    """One row for each arm and answer digit, with bounds."""
    again = resamples(groups, seed=seed)
    rows = []
    for name, arm in (("clean", arms.clean), ("probe", arms.probe), ("random", arms.random)):
        rows += _table(arms, arms.of(arm), roles, again, {"arm": name})
    return pd.DataFrame(rows)


def differences(
    arms: Arms, roles: Sequence[str], groups: npt.NDArray[np.int64], seed: int
) -> pd.DataFrame:
    """Probe minus random, row by row, for each answer digit."""
    probe, random = arms.of(arms.probe), arms.of(arms.random)
    paired = {name: probe[name] - random[name] for name in SHARES}
    return pd.DataFrame(_table(arms, paired, roles, resamples(groups, seed=seed), {}))


def _table(
    arms: Arms,
    found: dict[str, Floats],
    roles: Sequence[str],
    again: Resamples,
    labels: dict[str, str],
) -> list[dict[str, object]]:
    counted = arms.counted
    rows: list[dict[str, object]] = []
    for k, role in enumerate(roles):
        mine = counted[:, k].astype(float)
        row: dict[str, object] = {**labels, "answer_digit": role, "n": int(mine.sum())}
        for name in SHARES:
            values = np.where(counted[:, k], found[name][:, k], 0.0)
            bounds = again.ratio(values[:, None], mine[:, None])
            row[name] = float(bounds.value[0])
            row[f"{name}_low"] = float(bounds.low[0])
            row[f"{name}_high"] = float(bounds.high[0])
        rows.append(row)
    return rows

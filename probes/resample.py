"""Intervals of many scores, and of their differences, from one set of resamples.

Scores of all cells are on the same held-out prompts, so one matrix of resampling weights serves
them all, and a probe and its baseline are compared within each resample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Floats = npt.NDArray[np.float64]

_BLOCK = 100  # resamples that are worked with at once


class Estimate(NamedTuple):
    """A value with its bounds, and the one-sided p of its being 0 or less; each [cells]."""

    value: Floats
    low: Floats
    high: Floats
    p: Floats


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each row counts in each resample, [resamples, rows]; see `resamples`."""

    weights: npt.NDArray[np.uint16]

    def ratio(self, numerator: Floats, denominator: Floats) -> Estimate:
        """Σ numerator / Σ denominator over rows [rows, cells], with percentile bounds.

        The p-value is that of a normal distribution with the resamples' spread: with percentiles
        alone no cell of thousands could pass a correction. NaN where the data have no spread, or a
        row is NaN.
        """
        shape = numerator.shape[1]
        value, low, high, p = (np.full(shape, np.nan) for _ in range(4))
        known = np.isfinite(numerator).all(axis=0) & (denominator.sum(axis=0) > 0)
        if not known.any():
            return Estimate(value, low, high, p)
        above, below = numerator[:, known], denominator[:, known]
        value[known] = above.sum(axis=0) / below.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may miss every row
            drawn = np.concatenate([(block @ above) / (block @ below) for block in self._blocks()])
        low[known], high[known] = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
        spread = np.nanstd(drawn, axis=0)
        certain = np.where(value[known] > 0, 0.0, 1.0)
        scaled = np.divide(value[known], spread, out=np.zeros_like(spread), where=spread > 0)
        p[known] = np.where(spread > 0, norm.sf(scaled), certain)
        return Estimate(value, low, high, p)

    def _blocks(self) -> Iterator[Floats]:
        for start in range(0, len(self.weights), _BLOCK):
            yield self.weights[start : start + _BLOCK].astype(np.float64)


def resamples(groups: npt.NDArray[np.int64], *, seed: int = 0, count: int = 1000) -> Resamples:
    """Weights for `count` bootstrap resamples of whole groups, [n] or [n, kinds] labels.

    Where groups of several kinds cross (values of a, values of b) each kind is drawn on its own and
    a row counts as often as the product (Owen 2007).
    """
    rng = np.random.default_rng(seed)
    labels = groups.reshape(len(groups), -1)
    kinds = [np.unique(kind, return_inverse=True)[1].ravel() for kind in labels.T]
    weights = np.ones((count, len(groups)), dtype=np.uint16)
    for row in weights:
        for of in kinds:
            n_groups = int(of.max()) + 1
            drawn = rng.integers(n_groups, size=n_groups)
            row *= np.bincount(drawn, minlength=n_groups).astype(np.uint16)[of]
    return Resamples(weights)

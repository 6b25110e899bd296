"""Bootstrap intervals of many scores and their differences, from one set of resamples.

All cells are scored on the same held-out prompts, so they share one matrix of resampling weights,
and a probe and its baseline are compared within each resample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Floats = npt.NDArray[np.float64]

_BLOCK = 100  # resamples that are worked with at once


class Estimate(NamedTuple):
    """A value with its bounds, and the one-sided p-value against 0; each [cells]."""

    value: Floats
    low: Floats
    high: Floats
    p: Floats


@dataclass(frozen=True, eq=False)
class Resamples:
    """Weight of each row in each resample, [resamples, rows]; see `resamples`."""

    weights: npt.NDArray[np.uint16]

    def ratio(self, numerator: Floats, denominator: Floats) -> Estimate:
        """Σ numerator / Σ denominator over rows [rows, cells], with percentile bounds; see
        `Ratios.of`."""
        return self.over(denominator).of(numerator)

    def over(self, denominator: Floats) -> Ratios:
        """Ratios with this denominator [rows, cells], which is summed in each resample once."""
        return Ratios(self, denominator, self.sums(denominator))

    def sums(self, values: Floats) -> Floats:
        """Σ values over the rows of each resample, [resamples, cells] of [rows, cells]."""
        blocks = range(0, len(self.weights), _BLOCK)
        return np.concatenate(
            [self.weights[at : at + _BLOCK].astype(np.float64) @ values for at in blocks]
        )


@dataclass(frozen=True, eq=False)
class Ratios:
    """A common denominator [rows, cells] of many ratios, and its sums [resamples, cells]."""

    resamples: Resamples
    denominator: Floats
    drawn: Floats

    def of(self, numerator: Floats) -> Estimate:
        """Σ numerator / Σ denominator over rows [rows, cells], with percentile bounds.

        The p-value is that of a normal distribution with the resamples' spread: with percentiles
        alone no cell of thousands could pass a correction. NaN where the data have no spread, or a
        row is NaN.
        """
        shape = numerator.shape[1]
        value, low, high, p = (np.full(shape, np.nan) for _ in range(4))
        below = self.denominator.sum(axis=0)
        known = np.isfinite(numerator).all(axis=0) & (below > 0)
        if not known.any():
            return Estimate(value, low, high, p)
        above = numerator[:, known]
        value[known] = above.sum(axis=0) / below[known]
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may miss every row
            drawn = self.resamples.sums(above) / self.drawn[:, known]
        low[known], high[known] = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
        spread = np.nanstd(drawn, axis=0)
        certain = np.where(value[known] > 0, 0.0, 1.0)
        scaled = np.divide(value[known], spread, out=np.zeros_like(spread), where=spread > 0)
        p[known] = np.where(spread > 0, norm.sf(scaled), certain)
        return Estimate(value, low, high, p)


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

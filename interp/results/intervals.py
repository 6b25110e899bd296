"""Confidence intervals and the correction for many tests.

Formulas: Wilson's score interval (`interp.arithmetic.proportions`), the percentile bootstrap over
groups (Efron 1979, resampling whole clusters; Owen 2007 where clusters cross), Benjamini and
Hochberg 1995 (false-discovery rate, by SciPy).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interp.arithmetic.proportions import Interval as Interval
from interp.arithmetic.proportions import checked_level
from interp.arithmetic.proportions import wilson as wilson
from interp.errors import InputError

Floats = npt.NDArray[np.float64]

_BLOCK = 2**22  # weights per block: 32 MiB of float64


def mean_interval(
    x: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    *,
    resamples: int = 1000,
) -> Interval:
    """Percentile bootstrap interval of the mean over axis 0, resampling whole groups.

    Rows that share a group (the same problem drawn twice, the same operand value) move together, so
    a repeated prompt adds no certainty. With G groups, each resample draws G groups with
    replacement and takes Σ of their rows / number of their rows. Where rows belong to groups of
    several kinds that cross (the values of a, the values of b), each kind is resampled on its own
    and a row counts as often as the product says: the pigeonhole bootstrap (Owen 2007), which errs
    on the wide side. NaN rows are left out of their own cell only.

    Args:
        x: [n, ...] values; the mean is over axis 0 and each trailing cell gets its own interval.
        groups: [n] labels, or [n, kinds] for groups that cross, any dtype; None means that every
            row is its own group.
        level: the coverage, between 0 and 1.
        seed: of the resampling; the same seed gives the same interval.
        resamples: how many; 1000 puts the bounds' own noise near 3 % of the interval's width.

    Returns:
        Bounds of the shape of `x[0]`; NaN in cells with values in fewer than two groups of some
        kind, where the data say nothing about their spread.

    Does not show: bias, or uncertainty about prompts that the sampler never draws.

    Raises:
        InputError: for an empty sample, groups of another length, or a level outside (0, 1).
    """
    values = np.asarray(x, dtype=float)
    level = checked_level(level)
    if values.ndim == 0 or not len(values):
        raise InputError("an interval needs at least one row: draw a larger sample")
    if resamples < 1:
        raise InputError(f"resamples={resamples}: at least 1 is needed")
    cells = values.reshape(len(values), math.prod(values.shape[1:]))
    sample = _Sample.of(cells, groups)
    means = sample.resampled_means(np.random.default_rng(seed), resamples)
    tail = 100 * (1 - level) / 2
    low, high = _percentiles(means, tail), _percentiles(means, 100 - tail)
    shape = values.shape[1:]
    low, high = (np.where(sample.alone, np.nan, bound).reshape(shape) for bound in (low, high))
    return Interval(low, high)


def ratio_interval(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    floor: float = 0.0,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """Percentile bootstrap interval of mean(numerator) / max(mean(denominator), floor).

    Both means are over the same resampled groups, so what moves both together does not widen it.

    Args:
        numerator, denominator: [n], NaN where a row has no value.
        floor: what the denominator is bounded by from below, in its own unit.
        groups, level, seed, resamples: as `mean_interval`.

    Returns:
        Two scalars; NaN where there are no rows, or either has values in fewer than two groups.
    """
    both = np.stack([np.asarray(numerator, float), np.asarray(denominator, float)], axis=1)
    none = np.asarray(np.nan)
    if not len(both):
        return Interval(none, none)
    sample = _Sample.of(both, groups)
    if sample.alone.any():
        return Interval(none, none)
    means = sample.resampled_means(np.random.default_rng(seed), resamples)
    with np.errstate(divide="ignore"):
        ratios = means[:, :1] / np.maximum(means[:, 1:], floor)
    tail = 100 * (1 - checked_level(level)) / 2
    return Interval(_percentiles(ratios, tail)[0], _percentiles(ratios, 100 - tail)[0])


def resampled_means(
    x: npt.ArrayLike, groups: npt.ArrayLike | None = None, *, seed: int = 0, resamples: int = 1000
) -> Floats:
    """Means of the columns of x [n, cells] in each bootstrap resample, [resamples, cells]: for
    bounds of a number that is computed from several means of the same prompts.

    Rows, groups and seed as in `mean_interval`.
    """
    sample = _Sample.of(np.asarray(x, dtype=float), groups)
    return sample.resampled_means(np.random.default_rng(seed), resamples)


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """Adjusted p-values: calling every cell with q <= α a finding keeps the expected share of false
    findings at or below α (Benjamini and Hochberg 1995, for independent or positively dependent
    tests).

        q_(i) = min over j >= i of  p_(j) · m / j,   p_(1) <= … <= p_(m)

    Args:
        p: p-values of any shape; NaN (a cell that was not tested) stays NaN and does not count.

    Returns:
        q, of the same shape.

    Raises:
        InputError: for a p-value outside [0, 1].
    """
    from scipy.stats import false_discovery_control  # a second, which few Results need

    values = np.asarray(p, dtype=float)
    flat = values.ravel()
    tested = ~np.isnan(flat)
    known = flat[tested]
    if ((known < 0) | (known > 1)).any():
        raise InputError("p-values must lie between 0 and 1")
    q = np.full(flat.shape, np.nan)
    if known.size:
        q[tested] = false_discovery_control(known, method="bh")
    return q.reshape(values.shape)


@dataclass(frozen=True)
class _Sample:
    """Rows aggregated into the smallest units that are resampled together.

    sums, counts   [units, cells], over the non-NaN rows of a unit
    kinds          [units, kinds], the group of each kind that a unit belongs to
    alone          [cells], whether a cell has values in fewer than two groups of some kind
    """

    sums: Floats
    counts: Floats
    kinds: npt.NDArray[np.intp]
    alone: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, cells: Floats, groups: npt.ArrayLike | None) -> _Sample:
        labels = np.arange(len(cells)) if groups is None else np.asarray(groups)
        if labels.ndim not in (1, 2) or len(labels) != len(cells):
            raise InputError(
                f"groups has shape {labels.shape}, not {(len(cells),)}: one label for each row"
            )
        by_kind = [np.unique(column, return_inverse=True)[1] for column in np.atleast_2d(labels.T)]
        units, unit_of = np.unique(np.stack(by_kind, axis=1), axis=0, return_inverse=True)
        known = ~np.isnan(cells)
        sums, counts = (np.zeros((len(units), cells.shape[1])) for _ in range(2))
        np.add.at(sums, unit_of.ravel(), np.where(known, cells, 0.0))
        np.add.at(counts, unit_of.ravel(), known)
        reached = [_groups_reached(counts > 0, kind) for kind in units.T]
        return cls(sums, counts, units, np.min(reached, axis=0) < 2)

    def resampled_means(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Mean of each cell in each resample, [resamples, cells]; NaN if no value was drawn."""
        means = np.empty((resamples, self.sums.shape[1]))
        step = max(1, _BLOCK // len(self.sums))
        for start in range(0, resamples, step):
            rows = slice(start, min(start + step, resamples))
            weights = self._weights(rng, rows.stop - start)
            with np.errstate(invalid="ignore"):
                means[rows] = (weights @ self.sums) / (weights @ self.counts)
        return means

    def _weights(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Weight of each unit, [resamples, units]: the product over kinds of its group's draws."""
        weights = np.ones((resamples, len(self.sums)))
        for kind in self.kinds.T:
            n_groups = int(kind.max()) + 1
            drawn = rng.integers(n_groups, size=(resamples, n_groups))
            drawn += np.arange(resamples)[:, None] * n_groups
            times = np.bincount(drawn.ravel(), minlength=resamples * n_groups)
            weights *= times.reshape(resamples, n_groups)[:, kind]
        return weights


def _groups_reached(
    known: npt.NDArray[np.bool_], kind: npt.NDArray[np.intp]
) -> npt.NDArray[np.int64]:
    """Number of groups of a kind with a known value, per cell; `known` is [units, cells]."""
    seen = np.zeros((int(kind.max()) + 1, known.shape[1]), dtype=bool)
    np.logical_or.at(seen, kind, known)
    return np.asarray(seen.sum(axis=0))


def _percentiles(means: Floats, q: float) -> Floats:
    # Skip resamples that drew no value of a sparse cell.
    if not np.isnan(means).any():
        return np.percentile(means, q, axis=0)
    bounds = np.full(means.shape[1], np.nan)
    for cell in range(means.shape[1]):
        known = means[~np.isnan(means[:, cell]), cell]
        if known.size:
            bounds[cell] = np.percentile(known, q)
    return bounds

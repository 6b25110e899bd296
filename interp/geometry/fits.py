"""Least-squares fits of rows on waves over residues, with their null distributions.

For classes v = 0 … q − 1 a row x in R^q (one dimension of the class means, one neuron's logits, …)
is fitted on F = [1, cos(2πkv/q), sin(2πkv/q), …] for some frequencies k (k = q/2 gives one column):

    R² = 1 − ‖x − F C‖² / ‖x − x̄‖²,   adjusted R² = 1 − (1 − R²)(q − 1)/(q − columns)

Ten digits have 9 degrees of freedom. k = 1, 2, 5 and the constant are 6 columns and explain 5/9 of
random rows in the mean; k = 1 … 5 explain everything.

The null permutes the classes, the same permutation for every row, since rows are not independent.
Where the best of several places or frequencies is reported, the null is the best of as many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interp.errors import InputError
from interp.geometry.spectra import basis, check_frequencies, frequencies_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FLAT = 1e-12  # of a row's mean square: below it the row is constant


@dataclass(frozen=True)
class Fit:
    """Fit of the rows of a matrix [rows, q] on some frequencies.

    shares    float[rows, q // 2], each row's variance by frequency; NaN for a constant row
    columns   of the basis, the constant included
    flat      number of constant rows, which have no R²
    """

    shares: Floats
    frequencies: Ints
    columns: int
    q: int
    flat: int

    @property
    def r2(self) -> Floats:
        """R² of each row on the frequencies."""
        return np.asarray(self.shares[:, self.frequencies - 1].sum(axis=1))

    @property
    def median(self) -> float:
        """Median R² over rows."""
        return float(np.nanmedian(self.r2))

    @property
    def by_frequency(self) -> Floats:
        """Median share of each frequency over rows, [q // 2]."""
        return np.asarray(np.nanmedian(self.shares, axis=0))

    @property
    def expected(self) -> float:
        """Mean R² of random rows: (columns − 1)/(q − 1)."""
        return (self.columns - 1) / (self.q - 1)

    def adjusted(self, r2: float) -> float:
        """Adjusted R²: 0 in the mean for random rows."""
        return 1 - (1 - r2) * (self.q - 1) / (self.q - self.columns)


def fit(rows: npt.ArrayLike, frequencies: npt.ArrayLike) -> Fit:
    """Fit rows [rows, q] on the constant and `frequencies`.

    Raises:
        InputError: for as many columns as classes (they fit anything), a frequency outside
            1 … q // 2, NaN, or rows that are all constant.
    """
    x = np.asarray(rows, dtype=float)
    if x.ndim != 2 or not x.size:
        raise InputError(f"rows must be [rows, classes], not {list(x.shape)}")
    if not np.isfinite(x).all():
        raise InputError("rows have NaN or infinity: a class without a prompt has no mean")
    q = x.shape[1]
    chosen = check_frequencies(frequencies, q)
    columns = 1 + int(np.isin(frequencies_of(q), chosen).sum())
    if columns >= q:
        raise InputError(
            f"{columns} columns fit {q} classes whatever they are (R² = 1): leave out a frequency"
        )
    shares = wave_shares(x)
    flat = np.isnan(shares[:, 0])
    if flat.all():
        raise InputError(f"all {len(x)} rows are constant over the {q} classes: nothing to fit")
    return Fit(shares, chosen, columns, q, int(flat.sum()))


def wave_shares(rows: Floats, order: Ints | None = None) -> Floats:
    """Share of each row's variance at each frequency, [rows, q // 2]; NaN for constant rows.

    With `order` [draws, q], of the rows with permuted classes: [draws, rows, q // 2].
    """
    q = rows.shape[1]
    centred = rows - rows.mean(axis=1, keepdims=True)
    size = (centred**2).sum(axis=1)
    flat = size <= _FLAT * (rows**2).sum(axis=1)
    safe = np.where(flat, 1.0, size)
    waves = basis(q)[1:]  # [q − 1, q]
    index = frequencies_of(q)[1:] - 1
    summing = (index[:, None] == np.arange(q // 2)).astype(float)
    if order is None:
        shares = (centred @ waves.T) ** 2 @ summing / safe[:, None]
        shares[flat] = np.nan
        return np.asarray(shares)
    moved = waves.T[np.argsort(order, axis=1)]  # [draws, q, q − 1]: x[order] · wave
    shares = (centred @ moved) ** 2 @ summing / safe[:, None]
    shares[:, flat] = np.nan
    return np.asarray(shares)


def permutations(q: int, draws: int, seed: int) -> Ints:
    """`draws` random orders of q classes, [draws, q]."""
    rng = np.random.default_rng(seed)
    return np.argsort(rng.random((draws, q)), axis=1)


@dataclass(frozen=True)
class Null:
    """Statistics of the same rows with permuted classes.

    median   float[draws], median R² over rows
    best     float[draws], the best single wave of any row: dimension × frequency
    power    float[draws, q // 2], median share of each frequency
    """

    median: Floats
    best: Floats
    power: Floats


def strongest(shares: Floats, count: int) -> Ints:
    """The `count` frequencies with the largest median share over rows, ascending."""
    median = np.nanmedian(shares, axis=0)
    return np.sort(np.argsort(-median, kind="stable")[:count]) + 1


def null_of(
    rows: Floats, chosen: Ints | None, orders: Ints, *, select: int = 0, memory: int = 2**26
) -> Null:
    """The null distributions of `fit(rows, chosen)` over `orders` [draws, q].

    Where the frequencies were the `select` strongest of these rows (`chosen` None), each draw
    selects its own.
    """
    q = rows.shape[1]
    step = max(1, memory // (8 * rows.shape[0] * q))
    medians, bests, powers = [], [], []
    for start in range(0, len(orders), step):
        shares = wave_shares(rows, orders[start : start + step])
        own = [chosen if chosen is not None else strongest(one, select) for one in shares]
        medians += [
            float(np.nanmedian(one[:, k - 1].sum(axis=-1)))
            for one, k in zip(shares, own, strict=True)
        ]
        bests.append(np.nanmax(shares, axis=(1, 2)))
        powers.append(np.nanmedian(shares, axis=1))
    return Null(np.array(medians), np.concatenate(bests), np.concatenate(powers))


def resampled_rows(r2: Floats, draws: int, seed: int) -> Floats:
    """Median R² of `draws` bootstrap samples of the rows that have one."""
    known = r2[~np.isnan(r2)]
    picked = np.random.default_rng(seed).integers(len(known), size=(draws, len(known)))
    return np.asarray(np.median(known[picked], axis=1))


def resampled_prompts(x: Floats, labels: Ints, chosen: Ints, draws: int, seed: int) -> Floats:
    """Median R² over the columns of x [n, d] of class means of bootstrap samples of the prompts.

    Prompts are drawn within their class. A sample's means have twice the noise of the means
    themselves, so the values lie low where noise is large.
    """
    rng = np.random.default_rng(seed)
    q, n = int(labels.max()) + 1, len(labels)
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=q)
    first, size = (np.cumsum(counts) - counts)[labels], counts[labels]
    picked = order[first + (rng.random((draws, n)) * size).astype(np.int64)]
    weights = np.zeros((draws, q, n))
    np.add.at(weights, (np.arange(draws)[:, None], labels, picked), 1.0)
    means = (weights / counts[:, None]).reshape(draws * q, n) @ x
    rows = means.reshape(draws, q, -1).swapaxes(1, 2)  # [draws, d, q]
    shares = wave_shares(rows.reshape(-1, q)).reshape(draws, -1, q // 2)
    return np.asarray(np.nanmedian(shares[..., chosen - 1].sum(axis=-1), axis=1))


def exceed(value: float, null: Floats) -> float:
    """One-sided permutation p-value (1 + #{null ≥ value}) / (1 + draws); NaN for NaN."""
    if not np.isfinite(value):
        return float("nan")
    return float((1 + (null >= value - 1e-12).sum()) / (1 + len(null)))


def cumulative(rows: Floats, order: Ints) -> Floats:
    """Median R² over rows with the first 1, 2, … frequencies of `order`, [len(order)]."""
    shares = wave_shares(rows)[:, order - 1]
    return np.asarray(np.nanmedian(np.cumsum(shares, axis=1), axis=0))

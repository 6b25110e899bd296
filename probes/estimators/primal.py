"""Primal form of ridge: Gram matrices [d, d], for at least as many rows as features.

`Primal` and `Dual` have the same methods: the matrix to factorise, the right-hand sides,
predictions on a fold's rows, and XᵀY. A fold is a number, its training rows are all the others;
None leaves no rows out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.errors import InputError
from probes.estimators.inputs import REMEDY, Floats, Progress, Rows, Watch, block_size, blocks

if TYPE_CHECKING:
    from interp.engine.requests import Cancel

SAMPLE = 256  # rows whose mean is subtracted before any product


class Shifted:
    """Rows of `X` in float64, shifted by a point near the mean, read in blocks.

    Gram − n·m·mᵀ loses precision by cancellation as the ratio of mean to spread grows; in a
    residual stream it is often 100. Subtracting the mean of a few rows first avoids it.
    """

    def __init__(self, X: Any, *, centre: bool) -> None:
        self.X, self.centre = X, centre
        self.shift = np.zeros(X.shape[1])
        if centre:
            step = -(-len(X) // SAMPLE)
            self.shift = np.asarray(X[::step], dtype=np.float64).mean(axis=0)

    def __getitem__(self, rows: Rows) -> Floats:
        first, last = int(rows[0]), int(rows[-1]) + 1
        run = self.X[first:last] if last - first == len(rows) else self.X[rows]
        return np.subtract(run, self.shift, dtype=np.float64)

    def blocks(self, part: Rows) -> Iterator[tuple[Rows, Floats]]:
        """Every block of the rows `part`, with its row numbers."""
        for rows in blocks(part, self.X.shape[1]):
            yield rows, self[rows]


def finite(sums: Floats) -> None:
    """Raise InputError unless `sums` is finite; NaN or infinity in any row makes it non-finite."""
    if not np.isfinite(sums).all():
        raise InputError(f"activations hold NaN or infinity. {REMEDY}")


class Primal:
    """Gram matrices of each fold's rows; subtraction gives those of its training rows."""

    def __init__(
        self,
        X: Any,
        parts: list[Rows],
        *,
        centre: bool,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self.rows, self.parts = Shifted(X, centre=centre), parts
        self.counts = np.array([len(part) for part in parts])
        total = sum(-(-len(part) // block_size(X.shape[1])) for part in parts)
        watch = Watch(total, progress, cancel)
        with np.errstate(invalid="ignore"):  # infinities are refused below
            made = [self._sum_and_gram(part, watch) for part in parts]
        self.sums = np.stack([total for total, _ in made])
        finite(self.sums)
        self._grams = [gram for _, gram in made]
        self._last: tuple[Floats, list[Floats]] | None = None
        self._whole: Floats = self._grams[0] if len(made) == 1 else np.sum(self._grams, axis=0)

    def _sum_and_gram(self, part: Rows, watch: Watch) -> tuple[Floats, Floats]:
        d = len(self.rows.shift)
        total, gram = np.zeros(d), np.zeros((d, d))
        for _, block in self.rows.blocks(part):
            total += block.sum(axis=0)
            gram += block.T @ block
            watch.step()
        return total, gram

    def _count_and_mean(self, fold: int | None) -> tuple[int, Floats]:
        """Number of training rows and their mean after the shift; mean 0 without centring."""
        kept = np.arange(len(self.parts)) != fold if fold is not None else slice(None)
        n = int(self.counts[kept].sum())
        return n, self.sums[kept].sum(axis=0) / n * self.rows.centre

    def centre(self) -> Floats:
        """The mean [d] of all rows."""
        return self.rows.shift + self._count_and_mean(None)[1]

    def matrix(self, fold: int | None) -> Floats:
        """The centred Gram matrix [d, d] of the training rows."""
        n, mean = self._count_and_mean(fold)
        gram = self._whole.copy() if fold is None else self._whole - self._grams[fold]
        mean = mean * np.sqrt(n)
        gram -= np.outer(mean, mean)  # on both sides, so that it stays symmetric to the last bit
        return gram

    def forget(self) -> None:
        """Free the folds' Gram matrices once their factorisations are known."""
        self._grams = []

    def rights(self, Y: Floats, folds: list[int | None]) -> Iterator[Floats]:
        """XᵀY [d, targets] of each fold's training rows, both centred; X is read once."""
        each, sums = self._products(Y), [Y[part].sum(axis=0) for part in self.parts]
        for fold in folds:
            _, mean = self._count_and_mean(fold)
            kept = [index for index in range(len(self.parts)) if index != fold]
            total = sum(sums[index] for index in kept)
            yield sum(each[index] for index in kept) - np.outer(mean, total)

    def _products(self, Y: Floats) -> list[Floats]:
        """XᵀY [d, targets] of each fold's own rows.

        The last result is cached, since folds and refit use the same one in succession.
        """
        if self._last is None or not np.array_equal(self._last[0], Y):
            each: list[Floats] = [
                np.asarray(sum(block.T @ Y[rows] for rows, block in self.rows.blocks(part)))
                for part in self.parts
            ]
            self._last = (Y.copy(), each)
        return self._last[1]

    def predictions(self, fold: int, W: Floats) -> Iterator[tuple[Rows, Floats]]:
        """(X − training mean) W on the held-out rows, in blocks."""
        offset = self._count_and_mean(fold)[1] @ W
        for rows, block in self.rows.blocks(self.parts[fold]):
            said = block @ W
            said -= offset
            yield rows, said

    def coefficients(self, W: Floats) -> Floats:
        """Weights of the features: `W` itself."""
        return W

    def products(self, Y: Floats) -> Floats:
        """XᵀY [d, targets] of all rows, both centred."""
        return next(self.rights(Y, [None]))

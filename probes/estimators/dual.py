"""Dual form of ridge: the kernel matrix XXᵀ [n, n], for more features than rows.

(XᵀX + α)⁻¹XᵀY = Xᵀ(XXᵀ + α)⁻¹Y, so no d × d matrix is formed. The methods are those of
`Primal`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.estimators.inputs import Floats, Progress, Rows, Watch, block_size
from probes.estimators.primal import Shifted, finite

if TYPE_CHECKING:
    from interp.engine.requests import Cancel


class Dual:
    """One kernel matrix; each fold takes its training rows from it and centres them."""

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
        watch = Watch(-(-X.shape[1] // block_size(len(X))), progress, cancel)
        with np.errstate(invalid="ignore"):  # infinities are refused below
            self.kernel = self._kernel(X, watch)
        finite(np.diagonal(self.kernel))

    def _kernel(self, X: Any, watch: Watch) -> Floats:
        n, d = X.shape
        kernel, step = np.zeros((n, n)), block_size(n)
        for start in range(0, d, step):
            columns = slice(start, start + step)
            block = np.subtract(X[:, columns], self.rows.shift[columns], dtype=np.float64)
            kernel += block @ block.T
            watch.step()
        return kernel

    def _kept(self, fold: int | None) -> Rows:
        """The training rows, in ascending order."""
        return np.sort(
            np.concatenate([part for index, part in enumerate(self.parts) if index != fold])
        )

    def centre(self) -> Floats:
        """The mean [d] of all rows."""
        if not self.rows.centre:
            return self.rows.shift
        part = np.arange(len(self.kernel))
        total = sum(block.sum(axis=0) for _, block in self.rows.blocks(part))
        return self.rows.shift + total / len(part)

    def matrix(self, fold: int | None) -> Floats:
        """The centred kernel matrix of the training rows."""
        kept = self._kept(fold)
        kernel = self.kernel[np.ix_(kept, kept)]
        if self.rows.centre:
            mean = kernel.mean(axis=0)
            kernel += mean.mean() - mean - mean[:, None]
        return kernel

    def forget(self) -> None:
        """Do nothing: predictions need the kernel."""

    def rights(self, Y: Floats, folds: list[int | None]) -> Iterator[Floats]:
        """Y [rows, targets] of each fold's training rows, centred."""
        for fold in folds:
            kept = Y[self._kept(fold)]
            yield kept - kept.mean(axis=0) if self.rows.centre else kept

    def predictions(self, fold: int, W: Floats) -> Iterator[tuple[Rows, Floats]]:
        """(X − m)(X − m)ᵀ W from held-out to training rows, m the mean of the training rows."""
        rows, kept = self.parts[fold], self._kept(fold)
        kernel = self.kernel[np.ix_(rows, kept)]
        if self.rows.centre:
            mean = self.kernel[np.ix_(kept, kept)].mean(axis=0)
            kernel += mean.mean() - mean - kernel.mean(axis=1, keepdims=True)
        yield rows, kernel @ W

    def coefficients(self, W: Floats) -> Floats:
        """Weights of rows [n, targets] as weights of features [d, targets]: XᵀW."""
        part, total = np.arange(len(self.kernel)), np.zeros((len(self.rows.shift), W.shape[1]))
        offset = self.centre() - self.rows.shift
        for rows, block in self.rows.blocks(part):
            total += (block - offset).T @ W[rows]
        return total

    def products(self, Y: Floats) -> Floats:
        """XᵀY [d, targets] of all rows, both centred."""
        return self.coefficients(Y - Y.mean(axis=0) if self.rows.centre else Y)

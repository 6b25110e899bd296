"""A fitted linear map, and the scores of its predictions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from interp.errors import InputError
from probes.estimators.inputs import Floats, blocks, matrix


def r2(y: ArrayLike, predicted: ArrayLike) -> Floats:
    """R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², column by column: [n, targets] twice → [targets].

    As scikit-learn's `r2_score`, a constant column scores 1 where it is met exactly and 0 where it
    is not. ȳ is the mean of these rows, so that a constant predicted from other rows scores below
    0. What it does not show: whether a baseline would have done as well.
    """
    y, predicted = np.asarray(y, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    return r2_of(((y - predicted) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0))


def r2_of(residual: Floats, total: Floats) -> Floats:
    """R² from sums of squares, broadcast; without spread 1 for no residual and 0 for any."""
    spread = total > 0
    ratio = np.divide(residual, total, out=np.zeros_like(residual), where=spread)
    return np.where(spread, 1 - ratio, np.where(residual > 0, 0.0, 1.0))


@dataclass(frozen=True)
class LinearMap:
    """ŷ = X·coef + intercept, with coef [d, targets] and intercept [targets], float64."""

    coef: Floats
    intercept: Floats

    def predict(self, X: Any) -> Floats:
        """Predictions [m, targets] for rows [m, d], which are read in blocks."""
        X = matrix(X)
        if X.shape[1] != len(self.coef):
            raise InputError(
                f"the map was fitted to {len(self.coef)} features and is given {X.shape[1]}: "
                "read the same site, heads and role"
            )
        out = np.empty((len(X), self.coef.shape[1]))
        for rows in blocks(np.arange(len(X)), X.shape[1]):
            run = np.asarray(X[rows[0] : rows[-1] + 1], dtype=np.float64)
            out[rows] = run @ self.coef + self.intercept
        return out

    def by_target(self, *, single: bool) -> tuple[Floats, Any]:
        """scikit-learn's coef_ [targets, d] and intercept_; [d] and a number for a single one."""
        if single:
            return self.coef[:, 0], float(self.intercept[0])
        return self.coef.T, self.intercept

    def r2(self, X: Any, Y: ArrayLike) -> Floats:
        """R² [targets] on the given rows, which may be new."""
        return r2(self._column(Y), self.predict(X))

    def mae(self, X: Any, Y: ArrayLike) -> Floats:
        """Mean absolute error [targets], in the targets' units; report R² beside it."""
        return np.abs(self._column(Y) - self.predict(X)).mean(axis=0)

    def _column(self, Y: ArrayLike) -> Floats:
        Y = np.asarray(Y, dtype=np.float64)
        return Y[:, None] if Y.ndim == 1 else Y

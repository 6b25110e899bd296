"""Softmax problems solved side by side, in the coordinates that make them round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.estimators.inputs import Floats
from probes.estimators.lbfgs import minimise
from probes.estimators.softmax_loss import SoftmaxLoss


@dataclass(frozen=True)
class Round:
    """The rows of a site and the spectrum of their centred Gram matrix.

    `basis` holds its eigenvectors [d, r], in the precision of `X`; weights are sought within it.
    """

    X: Any
    mean: Floats  # [d], still to be taken off X
    centre: Floats  # [d], the mean of the rows as they were given
    values: Floats  # [r]
    basis: Any
    fit_intercept: bool


class SoftmaxBatch:
    """Problems that share rows: weights A [problems, classes, r] in the basis, b [.., classes]."""

    def __init__(
        self,
        rows: Round,
        codes: NDArray[np.intp],
        counts: NDArray[np.bool_],
        sizes: NDArray[np.intp],
    ) -> None:
        """Class codes and whether a row counts [problems, n], numbers of classes [problems]."""
        self.rows, self.sizes = rows, sizes
        absent = np.arange(sizes.max()) >= sizes[:, None]
        self.loss = SoftmaxLoss(rows.X, rows.mean, codes, counts, absent)
        self.A = np.zeros((*absent.shape, len(rows.values)))
        self.b = np.zeros(absent.shape)

    def solve(
        self, alphas: Floats, *, max_iter: int, tol: float, check: Callable[[], None]
    ) -> NDArray[np.intp]:
        """Minimise at those penalties [problems], from where A and b are; evaluations taken.

        A problem is done once its next step promises less than `tol` nats a row, or after
        `max_iter` evaluations. Two classes are one direction, whose penalty ‖w₁ − w₀‖² is
        2(‖w₀‖² + ‖w₁‖²).
        """
        alphas = np.where(self.sizes == 2, 2 * alphas, alphas)
        counted = self.loss.counts.sum(axis=1)
        flat = counted / self.sizes  # Hessian by an intercept, at zero weights
        curved = (flat / len(self.rows.X))[:, None] * self.rows.values
        by_A = 1 / np.sqrt(curved + alphas[:, None])[:, None]
        by_b = 1 / np.sqrt(flat)[:, None]

        def evaluate(u: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
            A, b = u[:, :, :-1] * by_A[which], u[:, :, -1] * by_b[which]
            lost, slope, sums = self._evaluate(A, b, which)
            slope += alphas[which, None, None] * A
            lost += alphas[which] / 2 * np.einsum("pkr,pkr->p", A, A)
            gradient = np.concatenate(
                [slope * by_A[which], (sums * by_b[which])[:, :, None]], axis=2
            )
            return lost, gradient

        start = np.concatenate([self.A / by_A, (self.b / by_b)[:, :, None]], axis=2)
        rounding = 4 * float(np.finfo(self.rows.X.dtype).eps)
        found, taken = minimise(
            evaluate, start, max_iter=max_iter, enough=tol * counted, rounding=rounding, check=check
        )
        self.A, self.b = found[:, :, :-1] * by_A, found[:, :, -1] * by_b
        return taken

    def _evaluate(
        self, A: Floats, b: Floats, which: NDArray[np.intp]
    ) -> tuple[Floats, Floats, Floats]:
        """Loss and gradient in the basis, without the penalty."""
        lost, slopes, sums = self.loss(self._weights(A), b, which)
        back = slopes.reshape(-1, slopes.shape[2]).astype(self.rows.basis.dtype) @ self.rows.basis
        if not self.rows.fit_intercept:
            sums = np.zeros_like(sums)
        return lost, back.reshape(A.shape).astype(np.float64), sums

    def _weights(self, A: Floats) -> Any:
        """Weights [problems, classes, d] of the features, in the precision of the rows."""
        basis = self.rows.basis
        flat = A.reshape(-1, A.shape[2]).astype(basis.dtype) @ basis.T
        return flat.reshape(*A.shape[:2], -1)

    def coefficients(self) -> tuple[Floats, Floats]:
        """Weights [problems, classes, d] and intercepts for rows as they were given."""
        W = self._weights(self.A).astype(np.float64)
        b = self.b - W @ self.rows.centre
        b[self.loss.absent] = -np.inf
        return W, b

    def held_out(self) -> tuple[Floats, NDArray[np.intp]]:
        """Σ −log p(y) [problems] over the rows that do not count, and every row's likeliest class
        [problems, n].
        """
        lost, said = np.zeros(len(self.b)), np.empty(self.loss.codes.shape, dtype=np.intp)
        everyone, W = np.arange(len(self.b)), self._weights(self.A)
        for rows in self.loss.blocks(self.b.size):
            logits = self.loss.logits(W, self.b, everyone, rows)
            said[:, rows] = logits.argmax(axis=1)
            logits -= logits.max(axis=1, keepdims=True)
            true = np.take_along_axis(logits, self.loss.codes[:, None, rows], axis=1)[:, 0]
            missed = np.log(np.exp(logits).sum(axis=1)) - true
            lost += (missed * ~self.loss.counts[:, rows]).sum(axis=1, dtype=np.float64)
        return lost, said

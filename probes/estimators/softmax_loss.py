"""Losses, gradients and Hessians of many multinomial logistic regressions on the same rows.

A problem p is a target and its training rows. All problems share the products with X, so twenty
targets and five folds are cheap. Logits without intercepts, Z, are kept [problems, classes, n].
The unpenalised intercepts b are minimised out, which leaves a function of the weights alone, as
convex as its penalty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.estimators.inputs import BLOCK, Floats

ROWS = 1024  # of a block at most: the products run at full speed and the block stays in cache
SHIFTS = 50  # maximum Newton steps of the intercepts; the remainder is part of the gap
STILL = 1e-13  # minimum predicted decrease, in nats, for another step of the intercepts


@dataclass(frozen=True)
class Curvature:
    """Losses of the problems `which`, and their second derivatives by the logits."""

    which: NDArray[np.intp]
    loss: Floats  # [problems]
    left: Floats  # [problems], nats that another step of the intercepts would gain
    P: Any  # [problems, classes, n], 0 where a row does not count, in the precision of X
    inverse: Floats  # [problems, classes, classes], of the Hessian by the intercepts
    mean: Floats  # [problems, classes], of p(1 − p) over all rows

    def only(self, kept: NDArray[np.bool_]) -> Curvature:
        """Select the problems in the mask `kept`."""
        if kept.all():
            return self
        return Curvature(
            self.which[kept], self.loss[kept], self.left[kept], self.P[kept],
            self.inverse[kept], self.mean[kept],
        )  # fmt: skip


@dataclass(frozen=True)
class SoftmaxLoss:
    """Σᵢ −log pᵢ(yᵢ) over the rows that count, for every problem; sums over rows in float64."""

    X: Any  # [n, d], float32 or float64, array or memmap
    mean: Floats  # [d], subtracted from every row
    codes: NDArray[np.intp]  # [problems, n], class of each row
    counts: NDArray[np.bool_]  # [problems, n], whether a row counts
    absent: NDArray[np.bool_]  # [problems, classes], padding where a target has fewer classes
    fit_intercept: bool

    def blocks(self, columns: int) -> Iterator[slice]:
        """Row blocks for as many columns of logits."""
        n, step = len(self.X), min(ROWS, max(1, BLOCK // columns))
        return (slice(start, min(start + step, n)) for start in range(0, n, step))

    def products(self, W: Any) -> Any:
        """(X − mean)·W [problems, classes, n], in the precision of W [problems, classes, d]."""
        out = np.empty((*W.shape[:2], len(self.X)), dtype=W.dtype)
        flat, offset = W.reshape(-1, W.shape[2]), (W @ self.mean)[:, :, None]
        for rows in self.blocks(len(flat)):
            block = self.X[rows].astype(W.dtype, copy=False)
            out[:, :, rows] = (flat @ block.T).reshape(*W.shape[:2], -1) - offset
        return out

    def back(self, wrong: Any, rows: slice) -> Any:
        """Σᵢ wrongᵢ xᵢ [problems, classes, d] over some rows, in the precision of `wrong`."""
        block = self.X[rows].astype(wrong.dtype, copy=False)
        flat = wrong.reshape(-1, wrong.shape[2]) @ block
        return flat.reshape(*wrong.shape[:2], -1)

    def losses(self, Z: Floats, b: Floats, which: NDArray[np.intp]) -> Floats:
        """Losses of the problems `which` at logits Z + b."""
        lost = np.zeros(len(Z))
        for rows in self.blocks(Z.shape[0] * Z.shape[1]):
            _, missed = self._probabilities(Z[:, :, rows], b, which, rows)
            lost += missed
        return lost

    def settle(self, Z: Floats, b: Floats, which: NDArray[np.intp]) -> Floats:
        """The intercepts that minimise the losses of the problems `which`, from b on.

        Newton's steps, as long as the loss's third derivative lets them be trusted: log(1 + r) / r
        of a step that moves two logits apart by r (Sun & Tran-Dinh 2019, theorem 3).
        """
        b = b.copy()
        if not self.fit_intercept:
            return b
        going = np.arange(len(which))
        for _ in range(SHIFTS):
            slope, hessian = self._by_intercept(Z[going], b[going], which[going])
            move = -_apply(_inverse(hessian), slope)
            move[self.absent[which[going]]] = 0
            apart = np.ptp(move, axis=1)
            share = np.divide(np.log1p(apart), apart, out=np.ones_like(apart), where=apart > 0)
            b[going] += share[:, None] * move
            going = going[-(move * slope).sum(axis=1) > STILL]
            if not len(going):
                break
        return b

    def at(self, Z: Floats, b: Floats, which: NDArray[np.intp]) -> tuple[Curvature, Floats]:
        """The curvature of the problems `which`, and their slopes by the weights of the features
        [problems, classes, d].
        """
        P = np.empty(Z.shape, dtype=self.X.dtype)
        loss, sums = np.zeros(len(Z)), np.zeros(b.shape)
        hessian, slopes = np.zeros((*b.shape, b.shape[1])), np.zeros((*b.shape, len(self.mean)))
        for rows in self.blocks(Z.shape[0] * Z.shape[1]):
            p, lost = self._probabilities(Z[:, :, rows], b, which, rows)
            loss += lost
            hessian += _outer(p)
            P[:, :, rows] = p
            self._less_truth(p, which, rows)
            sums += p.sum(axis=2)
            slopes += self.back(p, rows)
        slopes -= sums[:, :, None] * self.mean
        inverse = _inverse(hessian) if self.fit_intercept else np.zeros_like(hessian)
        left = (sums * _apply(inverse, sums)).sum(axis=1)
        mean = np.einsum("pkk->pk", hessian) / len(self.X)
        return Curvature(which, loss, left, P, inverse, mean), slopes

    def curve(self, at: Curvature, V: Any) -> tuple[Any, Floats]:
        """The Hessian's product with a change V [problems, classes, d] of the weights, and the
        change [problems, classes] of intercepts that follow it to their minimum.
        """
        moved = np.empty_like(at.P)
        flat, offset = V.reshape(-1, V.shape[2]), (V @ self.mean).astype(V.dtype)[:, :, None]
        sums, blocks = np.zeros(V.shape[:2]), list(self.blocks(len(V) * V.shape[1]))
        for rows in blocks:
            change = (flat @ self.X[rows].T).reshape(*V.shape[:2], -1)
            change -= offset
            _spread(at.P[:, :, rows], change, moved[:, :, rows])
            sums += moved[:, :, rows].sum(axis=2, dtype=np.float64)
        shift = -_apply(at.inverse, sums)
        out, sums = np.zeros(V.shape), np.zeros(V.shape[:2])
        for rows in blocks:
            bent = moved[:, :, rows]
            if self.fit_intercept:
                bent = bent + _shifted(at.P[:, :, rows], shift.astype(V.dtype))
            sums += bent.sum(axis=2, dtype=np.float64)
            out += self.back(bent, rows)
        out -= sums[:, :, None] * self.mean
        return out, shift

    def _by_intercept(self, Z: Floats, b: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Gradient [problems, classes] and Hessian of the losses by the intercepts."""
        sums, hessian = np.zeros(b.shape), np.zeros((*b.shape, b.shape[1]))
        for rows in self.blocks(Z.shape[0] * Z.shape[1]):
            p, _ = self._probabilities(Z[:, :, rows], b, which, rows)
            hessian += _outer(p)
            self._less_truth(p, which, rows)
            sums += p.sum(axis=2)
        return sums, hessian

    def _probabilities(
        self, Z: Floats, b: Floats, which: NDArray[np.intp], rows: slice
    ) -> tuple[Floats, Floats]:
        """p of some rows, 0 where they do not count, and Σ −log p(y)."""
        logits = Z + np.where(self.absent[which], -np.inf, b)[:, :, None]
        logits -= logits.max(axis=1, keepdims=True)
        true = np.take_along_axis(logits, self.codes[which, rows][:, None], axis=1)[:, 0]
        np.exp(logits, out=logits)
        sums, counted = logits.sum(axis=1), self.counts[which, rows]
        logits *= (counted / sums)[:, None]
        return logits, ((np.log(sums) - true) * counted).sum(axis=1)

    def _less_truth(self, p: Floats, which: NDArray[np.intp], rows: slice) -> None:
        """p − onehot over the rows that count, in place."""
        codes, counted = self.codes[which, rows][:, None], self.counts[which, rows][:, None]
        np.put_along_axis(p, codes, np.take_along_axis(p, codes, axis=1) - counted, axis=1)


def _outer(p: Floats) -> Floats:
    """Σ over rows of diag(p) − ppᵀ, [problems, classes, classes]; its own rows add up to 0."""
    out = -(p @ p.transpose(0, 2, 1))
    at = np.arange(out.shape[1])
    out[:, at, at] = 0  # Σ p(1 − p) would lose the digits of 1 − p
    out[:, at, at] = -out.sum(axis=2)
    return out


def _inverse(hessian: Floats) -> Floats:
    """The pseudo-inverse of Hessians by intercepts, of which only differences between classes
    count; classes with vanishing probability are skipped.
    """
    each = np.einsum("pkk->pk", hessian)
    scale = np.sqrt(np.where(each > 0, each, 1))
    there = each > 0
    null = np.where(there, scale, 0)
    null /= np.maximum(np.linalg.norm(null, axis=1, keepdims=True), np.finfo(float).tiny)
    even = hessian / (scale[:, :, None] * scale[:, None]) + null[:, :, None] * null[:, None]
    at = np.arange(each.shape[1])
    even[:, at, at] += np.where(there, 4 * np.finfo(float).eps, 1)
    out = np.linalg.inv(even) / (scale[:, :, None] * scale[:, None])
    return out * (there[:, :, None] & there[:, None])


def _apply(matrices: Floats, vectors: Floats) -> Floats:
    return np.einsum("pkl,pl->pk", matrices, vectors)


def _spread(P: Any, change: Any, out: Any) -> None:
    """P·(change − Σ P·change): the softmax Jacobian times a change of the logits."""
    np.multiply(P, change, out=out)
    out -= P * out.sum(axis=1, keepdims=True)


def _shifted(P: Any, shift: Any) -> Any:
    """The softmax Jacobian times a shift [problems, classes] shared by all rows."""
    return P * (shift[:, :, None] - np.einsum("pkn,pk->pn", P, shift)[:, None])

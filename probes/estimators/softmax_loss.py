"""The loss of many multinomial logistic regressions on the same rows, evaluated in one pass.

A problem p is a target and the rows that it may learn from. All problems share the two products
with X, which is what makes twenty targets and five folds cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.estimators.inputs import BLOCK, Floats

ROWS = 1024  # of a block at most: the products run at full speed and the block stays in cache


@dataclass(frozen=True)
class SoftmaxLoss:
    """Σᵢ −log pᵢ(yᵢ) over the rows that count, and its gradient, for every problem.

    Products are taken in the precision of `X`, sums over rows in float64.
    """

    X: Any  # [n, d], float32 or float64, array or memmap
    mean: Floats  # [d], taken off every row
    codes: NDArray[np.intp]  # [problems, n], class of each row
    counts: NDArray[np.bool_]  # [problems, n], whether a row counts
    absent: NDArray[np.bool_]  # [problems, classes], padding where a target has fewer classes

    def logits(self, W: Any, b: Floats, which: NDArray[np.intp], rows: slice) -> Any:
        """[problems, classes, rows], −inf for padding, from W [problems, classes, d] and b."""
        offset = (b - W @ self.mean).astype(self.X.dtype)
        offset[self.absent[which]] = -np.inf
        flat = W.reshape(-1, W.shape[2]).astype(self.X.dtype, copy=False)
        out = (flat @ self.X[rows].T).reshape(*W.shape[:2], -1)
        out += offset[:, :, None]
        return out

    def blocks(self, columns: int) -> list[slice]:
        """Row blocks for as many columns of logits."""
        n, step = len(self.X), min(ROWS, max(1, BLOCK // columns))
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]

    def __call__(self, W: Any, b: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Loss [problems] of the problems `which`, and its gradients by W and b."""
        losses, slopes, sums = np.zeros(len(W)), np.zeros(W.shape), np.zeros(b.shape)
        for rows in self.blocks(W.shape[0] * W.shape[1]):
            counted = self.counts[which, rows].astype(self.X.dtype)
            wrong, lost = _errors(self.logits(W, b, which, rows), self.codes[which, rows], counted)
            losses += lost
            sums += wrong.sum(axis=2, dtype=np.float64)
            slopes += (wrong.reshape(-1, wrong.shape[2]) @ self.X[rows]).reshape(slopes.shape)
        slopes -= sums[:, :, None] * self.mean
        return losses, slopes, sums


def _errors(logits: Any, codes: Any, counted: Any) -> tuple[Any, Floats]:
    """p − onehot [problems, classes, rows], in place of the logits, and Σ −log p(y)."""
    codes = codes[:, None]
    logits -= logits.max(axis=1, keepdims=True)
    true = np.take_along_axis(logits, codes, axis=1)[:, 0]
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1)
    lost = ((np.log(sums) - true) * counted).sum(axis=1, dtype=np.float64)
    logits *= (counted / sums)[:, None]
    hit = np.take_along_axis(logits, codes, axis=1)
    np.put_along_axis(logits, codes, hit - counted[:, None], axis=1)
    return logits, lost

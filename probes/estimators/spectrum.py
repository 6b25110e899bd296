"""A symmetric matrix taken apart once, so that every penalty is a division."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from probes.estimators.inputs import Floats


def resolution(largest: float, size: int) -> float:
    """What cannot be told from rounding in a matrix of products with that largest eigenvalue."""
    return size * float(np.finfo(np.float64).eps) * max(largest, 0.0)


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues [r] and eigenvectors [m, r] of a Gram or kernel matrix, rounding left out.

    A direction whose eigenvalue is below `resolution` counts as absent: with penalty 0 that gives
    the solution of least norm, and constant or collinear columns need no special case. It also
    means that a direction whose spread is below about 10⁻⁶ of the widest is never read.
    """

    values: Floats
    vectors: Floats

    @classmethod
    def of(cls, symmetric: Floats, size: int) -> Spectrum:
        """Of a positive semi-definite matrix made from at most `size` rows or features."""
        values, vectors = np.linalg.eigh(symmetric)
        absent = int((values <= resolution(values[-1], size)).sum())
        return cls(values[absent:], vectors[:, absent:])

    def solve(self, right: Floats, alphas: Floats) -> Floats:
        """(S + α)⁻¹ right for every penalty: [m, targets], [a] → [m, a, targets]."""
        inside = (self.vectors.T @ right)[:, None, :] / (self.values[:, None] + alphas)[:, :, None]
        flat = self.vectors @ inside.reshape(len(self.values), -1)
        return flat.reshape(len(self.vectors), len(alphas), right.shape[1])

    def solve_each(self, right: Floats, alpha: Floats) -> Floats:
        """(S + αₜ)⁻¹ rightₜ, each target at its own penalty: [m, targets], [targets]."""
        return self.vectors @ ((self.vectors.T @ right) / (self.values[:, None] + alpha))


def solve_once(symmetric: Floats, right: Floats, alpha: float, size: int) -> Floats:
    """(S + α)⁻¹ right for a single penalty: a Cholesky factor where the penalty allows one."""
    if alpha > resolution(float(np.trace(symmetric)), size):
        lifted = symmetric.copy()
        lifted.flat[:: len(lifted) + 1] += alpha
        factor = scipy.linalg.cho_factor(
            lifted.T, lower=False, overwrite_a=True, check_finite=False
        )
        return scipy.linalg.cho_solve(factor, right, check_finite=False)
    return Spectrum.of(symmetric, size).solve(right, np.array([alpha]))[:, 0]

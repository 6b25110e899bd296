"""Eigendecomposition of a symmetric matrix, so that each penalty costs one division."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probes.estimators.inputs import Floats
from probes.estimators.lapack_nogil import solve_positive


def resolution(largest: float, size: int) -> float:
    """Rounding level of eigenvalues of a matrix of products with that largest eigenvalue."""
    return size * float(np.finfo(np.float64).eps) * max(largest, 0.0)


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues [r] ≥ 0 and eigenvectors [m, r] of a Gram or kernel matrix.

    Eigenvalues and penalties of at most `noise` are rounding: if both are that small, the direction
    counts as absent. With penalty 0 that gives the solution of
    least norm, so that constant or collinear columns need no special case; it also means that a
    direction whose spread is below about 10⁻⁶ of the widest is then never read.
    """

    values: Floats
    vectors: Floats
    noise: float

    @classmethod
    def of(cls, symmetric: Floats, size: int) -> Spectrum:
        """Decompose a positive semi-definite matrix made from at most `size` rows or features."""
        values, vectors = np.linalg.eigh(symmetric)
        return cls(np.maximum(values, 0), vectors, resolution(values[-1], size))

    def present(self) -> Spectrum:
        """The spectrum without directions at rounding level."""
        kept = self.values > self.noise
        return Spectrum(self.values[kept], self.vectors[:, kept], self.noise)

    def _inverse(self, alphas: Floats) -> Floats:
        """1 / (λ + α) [r, alphas], 0 in absent directions."""
        total = self.values[:, None] + alphas
        there = np.maximum(self.values[:, None], alphas) > self.noise
        return np.divide(1.0, total, out=np.zeros_like(total), where=there)

    def solve(self, right: Floats, alphas: Floats) -> Floats:
        """(S + α)⁻¹ right for every penalty: [m, targets], [a] → [m, a, targets]."""
        inside = self._inverse(alphas)[:, :, None] * (self.vectors.T @ right)[:, None, :]
        flat = self.vectors @ inside.reshape(len(self.values), -1)
        return flat.reshape(len(self.vectors), len(alphas), right.shape[1])

    def solve_each(self, right: Floats, alpha: Floats) -> Floats:
        """(S + αₜ)⁻¹ rightₜ, each target at its own penalty: [m, targets], [targets]."""
        return self.vectors @ (self._inverse(alpha) * (self.vectors.T @ right))


def solve_once(symmetric: Floats, right: Floats, alpha: float, size: int) -> Floats:
    """(S + α)⁻¹ right for a single penalty: a Cholesky factor where the penalty allows one."""
    if alpha > resolution(float(np.trace(symmetric)), size):
        lifted = symmetric.copy()
        lifted.flat[:: len(lifted) + 1] += alpha
        return solve_positive(lifted, right)
    return Spectrum.of(symmetric, size).solve(right, np.array([alpha]))[:, 0]

"""Tridiagonal form of a symmetric matrix: each penalty costs one O(m) solve.

S = Q T Qᵀ by Householder reflections is the first third of the work of a spectrum, and all that
ridge needs of it: (S + α)⁻¹ = Q (T + α)⁻¹ Qᵀ, and a tridiagonal system is solved in O(m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from probes.estimators import lapack_nogil
from probes.estimators.inputs import Floats
from probes.estimators.spectrum import Spectrum, resolution


@dataclass(frozen=True)
class Tridiagonal:
    """T's diagonal [m] and off-diagonal [m − 1], and Q as m − 1 reflections.

    For a penalty at rounding level (`noise`) T + α may be singular; the spectrum of T then gives
    the same solution.
    """

    diagonal: Floats
    beside: Floats
    reflections: Floats  # [m, m], below its diagonal
    scales: Floats  # [m − 1]
    noise: float
    size: int

    @classmethod
    def of(cls, symmetric: Floats, size: int) -> Tridiagonal:
        """Reduce a positive semi-definite matrix made from at most `size` rows or features."""
        reflections, diagonal, beside, scales = lapack_nogil.tridiagonal(symmetric)
        noise = resolution(float(np.trace(symmetric)), size)
        return cls(diagonal, beside, reflections, scales, noise, size)

    def solve(self, right: Floats, alphas: Floats) -> Floats:
        """(S + α)⁻¹ right for every penalty: [m, targets], [a] → [m, a, targets]."""
        if alphas.min() <= self.noise:
            return self._spectrum().solve(right, alphas)
        turned = self._turn(right, back=True)
        # Column-major, so LAPACK makes no copy.
        inside = np.concatenate([self._inner(turned, alpha).T for alpha in alphas]).T
        return self._turn(inside).reshape(len(right), len(alphas), -1)

    def solve_each(self, right: Floats, alpha: Floats) -> Floats:
        """(S + αₜ)⁻¹ rightₜ, each target at its own penalty: [m, targets], [targets]."""
        if alpha.min() <= self.noise:
            return self._spectrum().solve_each(right, alpha)
        inside = self._turn(right, back=True)
        for value in np.unique(alpha):
            of = alpha == value
            inside[:, of] = self._inner(inside[:, of], value)
        return self._turn(inside)

    def _inner(self, right: Floats, alpha: float) -> Floats:
        """Return (T + α)⁻¹ right."""
        if not len(self.beside):  # LAPACK takes no empty diagonal
            return right / (self.diagonal + alpha)
        return np.asarray(lapack.dptsv(self.diagonal + alpha, self.beside, right)[2])

    def _turn(self, x: Floats, *, back: bool = False) -> Floats:
        """Q x, or Qᵀ x, [m, columns]."""
        return lapack_nogil.turn(self.reflections, self.scales, x, back=back)

    def _spectrum(self) -> Spectrum:
        values, vectors = scipy.linalg.eigh_tridiagonal(
            self.diagonal, self.beside, check_finite=False
        )
        return Spectrum(
            np.maximum(values, 0), self._turn(vectors), resolution(values[-1], self.size)
        )

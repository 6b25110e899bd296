"""Batched multinomial logistic regression in whitened coordinates, with certified gaps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.estimators.inputs import Floats
from probes.estimators.newton import NewtonStep, dot, newton_step, shorten, spread
from probes.estimators.softmax_loss import Curvature, SoftmaxLoss

PRODUCTS = 1000  # maximum Hessian products per step; the next step continues from there
FAR = 200  # the bound on logits is that much wider than tol: it takes every row for the worst one
LEAST = 1e-250  # of a preconditioner's entries


@dataclass(frozen=True)
class Whitened:
    """The rows of a site and the spectrum of their centred Gram matrix.

    `basis` holds its eigenvectors [d, r], in float64; weights are sought within it.
    """

    X: Any
    mean: Floats  # [d], to be subtracted from X
    centre: Floats  # [d], the mean of the rows as they were given
    values: Floats  # [r]
    basis: Floats
    fit_intercept: bool


@dataclass
class Convergence:
    """Convergence of each problem: passes over the rows, a bound in nats on its objective minus the
    minimum, and whether the bound meets the tolerance. All [problems].
    """

    passes: NDArray[np.intp]
    gap: Floats
    converged: NDArray[np.bool_]


class SoftmaxBatch:
    """Problems that share rows: weights A [problems, classes, r] in the basis, b [.., classes]."""

    def __init__(
        self,
        rows: Whitened,
        codes: NDArray[np.intp],
        counts: NDArray[np.bool_],
        sizes: NDArray[np.intp],
    ) -> None:
        """Class codes and whether a row counts [problems, n], numbers of classes [problems]."""
        self.rows, self.sizes = rows, sizes
        absent = np.arange(sizes.max()) >= sizes[:, None]
        self.loss = SoftmaxLoss(rows.X, rows.mean, codes, counts, absent, rows.fit_intercept)
        self.A = np.zeros((*absent.shape, len(rows.values)))
        self.b = np.zeros(absent.shape)
        self.Z = np.zeros((*absent.shape, len(rows.X)))  # logits without b, kept up with A

    def solve(
        self, alphas: Floats, *, max_iter: int, tol: float, check: Callable[[], None]
    ) -> Convergence:
        """Minimise at the penalties `alphas` [problems], starting from the current A and b.

        With the intercepts minimised out, a problem's objective F is as convex as its penalty, so
        F − min F ≤ ‖∇F‖² / 2α (which is its duality gap too). And Σᵢ KL(p*ᵢ ‖ pᵢ) ≤ F − min F, so
        no class's probability is further than √(gap / 2) from the optimum's in any row that
        counts, nor W from the optimum's than √(2 gap / α). A problem is done, and left alone, once
        no such p can be further than `tol`, the gap is at most `tol` of the minimum, and no logit
        of a row of root mean square length can be further than `FAR` · `tol` (which is about rows
        not learnt from, and decides only at the smallest penalties); or after `max_iter` Newton
        steps, or where none lowers its loss.
        A penalty that cannot be told from 0 has no such bound: there the gap is what the last
        Newton step promised.
        Two classes are one direction, whose penalty ‖w₁ − w₀‖² is 2(‖w₀‖² + ‖w₁‖²).
        """
        alphas = np.where(self.sizes == 2, 2 * alphas, alphas)
        count = len(alphas)
        ended = Convergence(
            np.zeros(count, dtype=np.intp), np.full(count, np.inf), np.zeros(count, dtype=bool)
        )
        live, wanted = np.arange(count), self._wanted(alphas, tol)
        for number in range(max_iter + 1):
            if not len(live):
                break
            check()
            self.b[live] = self.loss.settle(self.Z[live], self.b[live], live)
            at, gradient, lost = self._slopes(alphas, live)
            ended.passes[live] += 1
            bound, weak = self._bound(gradient, at, lost, alphas[live])
            self._note(ended, live, bound, lost, weak, wanted[live], tol)
            going = ~ended.converged[live]
            live, at, gradient, lost = live[going], at.only(going), gradient[going], lost[going]
            weak = weak[going]
            if not len(live) or number == max_iter:
                break
            step = self._newton(at, gradient, alphas[live], wanted[live], check)
            ended.passes[live] += step.products + 1
            self._note(ended, live, -step.slope, lost, weak, wanted[live], tol, only=weak)
            moved = self._move(at, step, lost, alphas[live])
            live = live[moved & ~ended.converged[live]]
        return ended

    def _slopes(self, alphas: Floats, live: NDArray[np.intp]) -> tuple[Curvature, Floats, Floats]:
        """Curvature, gradient in the basis, and objective of the unfinished problems."""
        at, slopes = self.loss.at(self.Z[live], self.b[live], live)
        A = self.A[live]
        gradient = (slopes.reshape(-1, slopes.shape[2]) @ self.rows.basis).reshape(A.shape)
        gradient += spread(alphas[live]) * A
        return at, gradient, at.loss + alphas[live] / 2 * dot(A, A)

    def _weak(self, alphas: Floats) -> NDArray[np.bool_]:
        """Mask of problems whose penalty is at rounding level."""
        return alphas <= np.finfo(np.float64).eps * self.rows.values.max(initial=0)

    def _wanted(self, alphas: Floats, tol: float) -> Floats:
        """The largest gap [problems] at which probabilities and logits meet the tolerance."""
        square = self.rows.values.sum() / len(self.rows.X)
        far = alphas * (FAR * tol) ** 2 / (2 * max(square, LEAST))
        return 2 * np.where(self._weak(alphas), tol**2, np.minimum(tol**2, far / 2))

    def _bound(
        self, gradient: Floats, at: Curvature, lost: Floats, alphas: Floats
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """The gap [problems], and a mask of problems whose penalty is at rounding level."""
        weak = self._weak(alphas)
        square = dot(gradient, gradient)
        gap = np.divide(square, 2 * alphas, out=np.full_like(square, np.inf), where=~weak)
        return np.minimum(gap + at.left, lost), weak

    @staticmethod
    def _note(
        ended: Convergence,
        live: NDArray[np.intp],
        gap: Floats,
        lost: Floats,
        weak: NDArray[np.bool_],
        wanted: Floats,
        tol: float,
        only: NDArray[np.bool_] | None = None,
    ) -> None:
        """Record the current gap of all or `only` some problems, and which have converged."""
        near = (gap <= wanted) & (weak | (gap <= tol * (lost - gap)))
        mine = np.ones(len(live), dtype=bool) if only is None else only
        ended.gap[live[mine]] = gap[mine]
        ended.converged[live[mine & near]] = True

    def _newton(
        self,
        at: Curvature,
        gradient: Floats,
        alphas: Floats,
        wanted: Floats,
        check: Callable[[], None],
    ) -> NewtonStep:
        """The next Newton step, as accurate as the gap requires."""
        classes = self.sizes[at.which, None]
        curved = (at.mean * classes / (classes - 1))[:, :, None] * self.rows.values
        inverse = 1 / np.maximum(curved + spread(alphas), LEAST)
        inverse[self.loss.absent[at.which]] = 0
        basis = self.rows.basis.astype(at.P.dtype, copy=False)
        asked = np.arange(len(alphas))

        def product(V: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
            nonlocal asked, at
            if len(which) != len(asked):
                at, asked = at.only(np.isin(asked, which)), which
            flat = V.reshape(-1, V.shape[2]).astype(basis.dtype, copy=False) @ basis.T
            bent, shift = self.loss.curve(at, flat.reshape(*V.shape[:2], -1))
            back = bent.reshape(-1, bent.shape[2]).astype(basis.dtype, copy=False) @ basis
            return back.reshape(V.shape) + spread(alphas[which]) * V, shift

        enough = 0.2 * 2 * alphas * wanted
        return newton_step(product, gradient, inverse, enough, most=PRODUCTS, check=check)

    def _move(
        self, at: Curvature, step: NewtonStep, lost: Floats, alphas: Floats
    ) -> NDArray[np.bool_]:
        """Line search along the step; returns the mask of problems that moved."""
        live = at.which
        Z, b, A = self.Z[live], self.b[live], self.A[live]
        change = self.loss.products(self._weights(step.weights))
        linear, square = dot(A, step.weights), dot(step.weights, step.weights)
        penalty = dot(A, A)

        def losses(share: Floats, which: NDArray[np.intp]) -> Floats:
            grown = penalty[which] + 2 * share * linear[which] + share**2 * square[which]
            logits = Z[which] + spread(share) * change[which]
            shifts = b[which] + share[:, None] * step.intercepts[which]
            fitted = self.loss.losses(logits, shifts, live[which])
            return fitted + alphas[which] / 2 * grown

        share = shorten(losses, lost, step.slope)
        self.A[live] = A + spread(share) * step.weights
        self.b[live] = b + share[:, None] * step.intercepts
        self.Z[live] = Z + spread(share) * change
        return share > 0

    def _weights(self, A: Floats) -> Floats:
        """Weights [problems, classes, d] of the features."""
        flat = A.reshape(-1, A.shape[2]) @ self.rows.basis.T
        return flat.reshape(*A.shape[:2], -1)

    def coefficients(self) -> tuple[Floats, Floats]:
        """Weights [problems, classes, d] and intercepts for the original rows."""
        W = self._weights(self.A)
        b = self.b - W @ self.rows.centre
        b -= np.where(self.loss.absent, 0, b).sum(axis=1, keepdims=True) / self.sizes[:, None]
        b[self.loss.absent] = -np.inf
        return W, b

    def held_out(self) -> tuple[Floats, NDArray[np.intp]]:
        """Σ −log p(y) [problems] over the rows that do not count, and every row's likeliest class
        [problems, n].
        """
        lost, said = np.zeros(len(self.b)), np.empty(self.loss.codes.shape, dtype=np.intp)
        shift = np.where(self.loss.absent, -np.inf, self.b)[:, :, None]
        for rows in self.loss.blocks(self.b.size):
            logits = self.Z[:, :, rows] + shift
            said[:, rows] = logits.argmax(axis=1)
            logits -= logits.max(axis=1, keepdims=True)
            true = np.take_along_axis(logits, self.loss.codes[:, None, rows], axis=1)[:, 0]
            missed = np.log(np.exp(logits).sum(axis=1)) - true
            lost += (missed * ~self.loss.counts[:, rows]).sum(axis=1)
        return lost, said

"""Ridge regression at one site: one factorisation for all targets, folds and penalties.

The solution B = (XᵀX + α)⁻¹XᵀY needs, for every fold, the Gram matrix of its training rows (all
rows' less the fold's) or, where there are more features than rows, their kernel matrix. Once
it is tridiagonal, each penalty costs an O(m) solve per target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.errors import InputError
from probes.estimators import inputs
from probes.estimators.dual import Dual
from probes.estimators.inputs import Floats, Progress, Watch
from probes.estimators.linear_map import LinearMap, r2_of
from probes.estimators.primal import Primal
from probes.estimators.spectrum import solve_once
from probes.estimators.tridiagonal import Tridiagonal

if TYPE_CHECKING:
    from interp.engine.requests import Cancel

WEIGHTS = 2**20  # entries of a batch of solutions: 8 MiB
FACTORS = 6  # Cholesky factors that together cost about one tridiagonal form


def penalties(scale: float) -> Floats:
    """Nine penalties, from 10⁻⁶ to 10² times the mean eigenvalue `scale` of the Gram matrix."""
    if not scale > 0:
        raise InputError("activations do not vary, so no penalty fits them: read another site")
    return scale * np.logspace(-6, 2, 9)


@dataclass(frozen=True)
class RidgeScores:
    """Cross-validated R² on each held-out fold, and the chosen penalties.

    The R² of the chosen penalty is a maximum over penalties, hence biased upwards: report the
    refit's R² on other rows.
    """

    alphas: Floats  # [a]
    r2: Floats  # [folds, a, targets], scikit-learn's r2_score on the rows held out
    best: NDArray[np.intp]  # [targets], index into alphas

    @property
    def mean_r2(self) -> Floats:
        """Mean over folds [a, targets], the criterion of the choice."""
        return self.r2.mean(axis=0)

    @property
    def alpha(self) -> Floats:
        """The chosen penalty [targets]."""
        return self.alphas[self.best]


def choose(scores: Floats, together: ArrayLike | None) -> NDArray[np.intp]:
    """The first best row of scores [a, targets] for each target, or for each group of targets."""
    if together is None:
        return np.argmax(scores, axis=0)
    labels = np.asarray(together)
    if labels.shape != (scores.shape[1],):
        raise InputError(f"together= has shape {labels.shape}; give a label for each target")
    best = np.empty(len(labels), dtype=np.intp)
    for label in np.unique(labels):
        best[labels == label] = np.argmax(scores[:, labels == label].mean(axis=1))
    return best


class SharedRidge:
    """Ridge regression on the rows [n, d] of one site; tridiagonal forms are made on demand."""

    def __init__(
        self,
        X: Any,
        folds: ArrayLike | None = None,
        *,
        fit_intercept: bool = True,
        memory: int = 2**31,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Read `X` once, in row blocks; it stays where it is (an array or a memory map).

        Rows with one label in `folds` [n] are held out together; without folds there is only
        `fit`. Raises InputError for NaN or infinity, fewer than two rows a fold, or matrices
        above `memory` bytes.
        """
        X = inputs.matrix(X)
        self.n, self.d = X.shape
        self.fit_intercept = fit_intercept
        if folds is None:
            self.labels, parts = None, [np.arange(self.n)]
        else:
            self.labels, of = np.unique(inputs.fold_labels(folds, self.n), return_inverse=True)
            parts = [np.flatnonzero(of == fold) for fold in range(len(self.labels))]
        smaller = min(self.n, self.d)
        what = f"probing {self.d} features of {self.n} rows in {len(parts)} folds"
        inputs.within(memory, (len(parts) + 3) * smaller**2, what)
        side = Primal if self.d <= self.n else Dual
        self._side = side(X, parts, centre=fit_intercept, progress=progress, cancel=cancel)
        self._parts = parts
        self._whole: Tridiagonal | None = None
        self._forms: list[Tridiagonal] = []

    @property
    def scale(self) -> float:
        """Mean eigenvalue of the centred Gram matrix over features: the unit of a penalty."""
        return float(np.trace(self._side.matrix(None))) / self.d

    def cross_validate(
        self,
        Y: ArrayLike,
        alphas: ArrayLike,
        *,
        together: ArrayLike | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> RidgeScores:
        """R² of every fold, penalty and target, and each target's penalty by the folds' mean.

        Y is [n] or [n, targets]; targets with one label in `together` share their penalty (the
        coordinates of a circle). Raises InputError for a constant target or a negative penalty.
        """
        if self.labels is None:
            raise InputError("no folds were given: SharedRidge(X, folds) can cross-validate")
        Y, alphas = inputs.targets(Y, self.n), inputs.penalties_at_least_zero(alphas)
        step = max(1, WEIGHTS // (min(self.n, self.d) * len(alphas)))
        batches = [slice(at, at + step) for at in range(0, Y.shape[1], step)]
        total = len(self._parts) * (1 + len(batches))
        watch = Watch(total, progress, cancel)
        self._take_apart(watch)
        scores = np.empty((len(self._parts), len(alphas), Y.shape[1]))
        for batch in batches:
            scores[:, :, batch] = self._score(Y[:, batch], alphas, watch)
        return RidgeScores(alphas, scores, choose(scores.mean(axis=0), together))

    def _take_apart(self, watch: Watch) -> None:
        """Compute the tridiagonal form of each fold's training rows, once."""
        for fold in range(len(self._parts)):
            if len(self._forms) == fold:
                self._forms.append(Tridiagonal.of(self._side.matrix(fold), max(self.n, self.d)))
            watch.step()
        self._side.forget()

    def _score(self, Y: Floats, alphas: Floats, watch: Watch) -> Floats:
        scores = np.empty((len(self._parts), len(alphas), Y.shape[1]))
        rights = self._side.rights(Y, list(range(len(self._parts))))
        for fold, right in enumerate(rights):
            W = self._forms[fold].solve(right, alphas)
            mean, residual = self._mean(Y, fold), np.zeros(W.shape[1:])
            for rows, flat in self._side.predictions(fold, W.reshape(len(W), -1)):
                wrong = flat.reshape(len(rows), *W.shape[1:])
                wrong -= (Y[rows] - mean)[:, None]
                residual += np.einsum("nat,nat->at", wrong, wrong)
            held = Y[self._parts[fold]]
            scores[fold] = r2_of(residual, ((held - held.mean(axis=0)) ** 2).sum(axis=0))
            watch.step()
        return scores

    def _mean(self, Y: Floats, fold: int) -> Floats:
        """Mean [targets] of the training rows, 0 without intercept."""
        if not self.fit_intercept:
            return np.zeros(Y.shape[1])
        held = self._parts[fold]
        return (Y.sum(axis=0) - Y[held].sum(axis=0)) / (self.n - len(held))

    def fit(self, Y: ArrayLike, alpha: ArrayLike) -> LinearMap:
        """The map fitted to all rows, with one penalty or one a target."""
        Y, alpha = inputs.targets(Y, self.n), inputs.penalties_at_least_zero(alpha)
        if len(alpha) not in (1, Y.shape[1]):
            raise InputError(f"{len(alpha)} penalties for {Y.shape[1]} targets: one, or one each")
        return self._map(Y, self._solve(Y, np.broadcast_to(alpha, Y.shape[1])))

    def fit_low_rank(self, Y: ArrayLike, alpha: float, rank: int) -> LinearMap:
        """Reduced-rank ridge: the fit of `fit`, its predictions kept to `rank` directions.

        With B the ridge solution, the best map of that rank is B·V·Vᵀ, where V holds the leading
        eigenvectors of Bᵀ(XᵀX + α)B = BᵀXᵀY (Mukherjee and Zhu 2011, doi 10.1002/sam.10138).
        """
        Y = inputs.targets(Y, self.n)
        [alpha_] = inputs.penalties_at_least_zero(alpha)
        most = min(self.n, self.d, Y.shape[1])
        if not 1 <= rank <= most:
            raise InputError(
                f"rank {rank} cannot be: {Y.shape[1]} targets of {self.d} features and {self.n} "
                f"rows allow 1 to {most}"
            )
        B = self._side.coefficients(self._solve(Y, np.full(Y.shape[1], alpha_)))
        explained = B.T @ self._side.products(Y)
        V = np.linalg.eigh((explained + explained.T) / 2)[1][:, -rank:]
        return self._with_intercept(Y, B @ V @ V.T)

    def _solve(self, Y: Floats, alpha: Floats) -> Floats:
        right = next(self._side.rights(Y, [None]))
        different, size = np.unique(alpha), max(self.n, self.d)
        if self._whole is None and len(different) > FACTORS:
            self._whole = Tridiagonal.of(self._side.matrix(None), size)
        if self._whole is not None:
            return self._whole.solve_each(right, alpha)
        W = np.empty_like(right)
        matrix = self._side.matrix(None)
        for value in different:
            of = alpha == value
            W[:, of] = solve_once(matrix, right[:, of], value, size)
        return W

    def _map(self, Y: Floats, W: Floats) -> LinearMap:
        return self._with_intercept(Y, self._side.coefficients(W))

    def _with_intercept(self, Y: Floats, coef: Floats) -> LinearMap:
        if not self.fit_intercept:
            return LinearMap(coef, np.zeros(Y.shape[1]))
        return LinearMap(coef, Y.mean(axis=0) - self._side.centre() @ coef)

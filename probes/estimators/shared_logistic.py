"""Multinomial logistic regression at one site: all targets, folds and penalties together.

Newton's method, each step by conjugate gradients. In the coordinates of the centred Gram matrix's
eigenvectors a softmax's Hessian is nearly diagonal (at zero weights it is that matrix, divided by
the number of classes), so that the ill-conditioned features of a residual stream take few
products. Products of float32 rows are taken in float32; convergence is measured in float64, and
each problem iterates until a bound on its distance from the minimum is small enough, independently
of its batch. Each solution starts from the one at the next higher penalty.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from interp.errors import InputError
from probes.estimators import inputs
from probes.estimators.dual import Dual
from probes.estimators.inputs import Floats, Progress, Watch
from probes.estimators.labels import Labels
from probes.estimators.primal import Primal
from probes.estimators.softmax_batch import Convergence, SoftmaxBatch, Whitened
from probes.estimators.softmax_maps import SoftmaxMaps
from probes.estimators.spectrum import Spectrum

if TYPE_CHECKING:
    from interp.engine.requests import Cancel

WORKSPACE = 2**23  # float64 workspace entries for one batch of problems: 64 MiB
FAR = 100.0  # |mean|² over the spread's above which float32 products need centred rows


@dataclass(frozen=True)
class LogisticScores:
    """Cross-validation scores on each held-out fold, and the chosen penalties."""

    alphas: Floats  # [a]
    accuracy: Floats  # [folds, a, targets]
    log_loss: Floats  # [folds, a, targets], mean nats a row
    best: NDArray[np.intp]  # [targets], index into alphas of the highest mean accuracy

    @property
    def alpha(self) -> Floats:
        """The chosen penalty [targets]."""
        return self.alphas[self.best]


class SharedLogistic:
    """Batched multinomial logistic regression on the rows [n, d] of one site, whitened."""

    def __init__(
        self,
        X: Any,
        folds: ArrayLike | None = None,
        *,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float = 5e-4,
        memory: int = 2**31,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Read `X` once; it stays where it is, unless float32 products need it centred.

        A problem is done once no probability of a row that it learns from can be further than
        `tol` from the optimum's, and its objective no further than `tol` of the minimum, by a
        bound that holds for it alone (`SoftmaxBatch.solve`). After `max_iter` Newton steps it is
        given as it is, with a ConvergenceWarning. Raises InputError for NaN or infinity, fewer than
        two rows a fold, or matrices above `memory` bytes.
        """
        X = inputs.matrix(X)
        self.n, self.d = X.shape
        self.max_iter, self.tol = max_iter, tol
        self.labels: NDArray[Any] | None = None
        if folds is not None:
            checked = inputs.fold_labels(folds, self.n)
            self.labels, self._fold = np.unique(checked, return_inverse=True)
        smaller = min(self.n, self.d)
        inputs.within(memory, 4 * smaller**2, f"probing {self.d} features of {self.n} rows")
        kind, whole = Primal if self.d <= self.n else Dual, [np.arange(self.n)]
        side = kind(X, whole, centre=fit_intercept, progress=progress, cancel=cancel)
        spectrum = Spectrum.of(side.matrix(None), max(self.n, self.d)).present()
        self.scale = float(spectrum.values.sum()) / self.d
        basis = side.coefficients(spectrum.vectors)
        basis /= np.sqrt(np.einsum("dr,dr->r", basis, basis))
        centre = side.centre()
        X, mean = near(X, centre, self.scale * self.d / self.n)
        self._rows = Whitened(X, mean, centre, spectrum.values, basis, fit_intercept)

    def fit(
        self,
        labels: ArrayLike,
        alpha: ArrayLike,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> SoftmaxMaps:
        """Classifiers of every target on all rows, with one penalty or one a target."""
        known, alpha = Labels.of(labels, self.n), inputs.penalties_at_least_zero(alpha)
        count = len(known.classes)
        if len(alpha) not in (1, count):
            raise InputError(f"{len(alpha)} penalties for {count} targets: one, or one each")
        alphas, everyone = np.broadcast_to(alpha, count), np.ones((count, self.n), dtype=bool)
        coef, intercept = np.zeros((count, known.widest, self.d)), np.zeros((count, known.widest))
        passes, gap = np.zeros(count, dtype=np.intp), np.zeros(count)
        batches = self._batches(np.arange(count), known)
        watch = Watch(len(batches), progress, cancel)
        for at in batches:
            batch = SoftmaxBatch(self._rows, known.codes[at], everyone[at], known.sizes[at])
            ended = self._solve(batch, alphas[at], watch)
            passes[at], gap[at] = ended.passes, ended.gap
            W, b = batch.coefficients()
            coef[at, : W.shape[1]], intercept[at] = W, -np.inf
            intercept[at, : W.shape[1]] = b
            watch.step()
        return SoftmaxMaps(coef, intercept, known.classes, passes, gap)

    def cross_validate(
        self,
        labels: ArrayLike,
        alphas: ArrayLike,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> LogisticScores:
        """Accuracy and log-loss of every fold, penalty and target, and each target's penalty: the
        one with the highest mean accuracy, as LogisticRegressionCV chooses, and among equals the
        one with the least mean log-loss. (The log-loss alone chooses badly where folds hold out
        operand values: a fit at its minimum is then confident of its errors, and the largest
        penalty, which says next to nothing, loses least.)

        `labels` is [n] or [n, targets]. Raises InputError where a fold's training rows lack a
        class, and for what `fit` refuses.
        """
        if self.labels is None:
            raise InputError("no folds were given: SharedLogistic(X, folds) can cross-validate")
        known, alphas = Labels.of(labels, self.n), inputs.penalties_at_least_zero(alphas)
        folds, targets = len(self.labels), len(known.classes)
        fold, target = (at.ravel() for at in np.indices((folds, targets)))
        counts = self._fold != fold[:, None]
        known.in_every_fold(counts.reshape(folds, targets, -1)[:, 0])
        shape = (folds, len(alphas), targets)
        accuracy, loss = np.empty(shape), np.empty(shape)
        batches = self._batches(target, known)
        watch = Watch(len(batches) * len(alphas), progress, cancel)
        for at in batches:
            codes = known.codes[target[at]]
            batch = SoftmaxBatch(self._rows, codes, counts[at], known.sizes[target[at]])
            held = (~counts[at]).sum(axis=1)
            for index in np.argsort(-alphas, kind="stable"):
                self._solve(batch, np.full(len(at), alphas[index]), watch)
                lost, guesses = batch.held_out()
                right = ((guesses == codes) & ~counts[at]).sum(axis=1)
                accuracy[fold[at], index, target[at]] = right / held
                loss[fold[at], index, target[at]] = lost / held
                watch.step()
        return LogisticScores(alphas, accuracy, loss, _chosen(accuracy, loss))

    def _solve(self, batch: SoftmaxBatch, alphas: Floats, watch: Watch) -> Convergence:
        ended = batch.solve(alphas, max_iter=self.max_iter, tol=self.tol, check=watch.check)
        if not ended.converged.all():
            worst = np.flatnonzero(~ended.converged)[ended.gap[~ended.converged].argmax()]
            warnings.warn(
                f"{(~ended.converged).sum()} of {len(alphas)} softmax fits are not at their "
                f"minimum after {self.max_iter} Newton steps; at penalty {alphas[worst]:g} the "
                f"objective may be {ended.gap[worst]:.2g} nats above it. Raise the penalty, "
                "max_iter= or tol=",
                ConvergenceWarning,
                stacklevel=3,
            )
        return ended

    def _batches(self, target: NDArray[np.intp], known: Labels) -> list[NDArray[np.intp]]:
        """Batches of problem numbers that fit into the workspace."""
        each = known.widest * (10 * (len(self._rows.values) + 1) + 6 * self.n)
        step = max(1, WORKSPACE // each)
        return [np.arange(at, min(at + step, len(target))) for at in range(0, len(target), step)]


def _chosen(accuracy: Floats, loss: Floats) -> NDArray[np.intp]:
    """Index [targets] of the penalty with the highest mean accuracy, ties by log-loss."""
    right = accuracy.mean(axis=0)
    tied = right >= right.max(axis=0) - 1e-12
    chosen: NDArray[np.intp] = np.argmin(np.where(tied, loss.mean(axis=0), np.inf), axis=0)
    return chosen


def near(X: Any, mean: Floats, spread: float) -> tuple[Any, Floats]:
    """Return rows and the mean that remains to be subtracted from them.

    float32 products of rows far from the origin lose the digits that differ between rows. Where
    |mean|² is more than FAR times the mean square distance from it, the rows are copied, centred.
    """
    if X.dtype == np.float64 or mean @ mean <= FAR * spread:
        return X, mean
    centred = np.empty(X.shape, dtype=X.dtype)
    for rows in inputs.blocks(np.arange(len(X)), X.shape[1]):
        run = slice(rows[0], rows[-1] + 1)
        centred[run] = np.subtract(X[run], mean, dtype=np.float64)
    return centred, np.zeros_like(mean)

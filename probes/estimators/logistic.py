"""Multinomial logistic regression: the linear probe of a class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from probes.estimators.inputs import Floats, training_classes, unseen
from probes.estimators.shared_logistic import SharedLogistic


class LogisticProbe(ClassifierMixin, BaseEstimator):
    """Minimises Σ −log p(y) + α/2·‖W‖², p(class) ∝ exp(x·w + b), as scikit-learn with C = 1/α.

    Two classes are one weight vector, as in scikit-learn. Products are taken in the precision of
    X, everything else in float64.

    Parameters:
        alpha: the penalty α ≥ 0; 0 has no minimum where the classes can be separated.
        fit_intercept: whether there is a b, which goes unpenalised.
        max_iter: Newton steps at most; a ConvergenceWarning says so when they do not suffice.
        tol: the most that a probability of a training row may differ from the optimum's, and the
            objective from the minimum, as a share of it.

    Attributes: classes_, coef_ [classes, d] ([1, d] for two), intercept_, n_iter_ (passes over
    the rows), n_features_in_.

    Raises InputError for NaN or infinity, one class only, or no more rows than classes. Does not
    show, by accuracy alone: more than the majority class gives; report that beside it.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float = 5e-4,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: ArrayLike, y: ArrayLike) -> LogisticProbe:
        """Fit to rows [n, d] and labels [n]."""
        rows, labels = training_classes(self, X, y)
        shared = SharedLogistic(
            rows, fit_intercept=self.fit_intercept, max_iter=self.max_iter, tol=self.tol
        )
        maps = shared.fit(labels, self.alpha)
        self.classes_ = maps.classes[0]
        self.coef_, self.intercept_ = maps.coef[0], maps.intercept[0]
        if len(self.classes_) == 2:
            self.coef_ = self.coef_[[1]] - self.coef_[[0]]
            self.intercept_ = self.intercept_[[1]] - self.intercept_[[0]]
        self.n_iter_ = int(maps.evaluations[0])
        return self

    def decision_function(self, X: ArrayLike) -> Floats:
        """Logits [m, classes]; of two classes the log-odds [m] of the second."""
        logits = np.asarray(unseen(self, X) @ self.coef_.T + self.intercept_)
        return logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_log_proba(self, X: ArrayLike) -> Floats:
        """log p [m, classes]."""
        logits = self.decision_function(X)
        if logits.ndim == 1:
            logits = np.stack([np.zeros_like(logits), logits], axis=1)
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def predict_proba(self, X: ArrayLike) -> Floats:
        """p [m, classes]."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class [m]."""
        logits = self.decision_function(X)
        best = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        return self.classes_[best]

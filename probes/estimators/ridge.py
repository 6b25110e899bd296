"""Ridge regression of full and reduced rank: the linear probes of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin

from probes.estimators.inputs import Floats, training, unseen
from probes.estimators.shared_ridge import SharedRidge


class RidgeProbe(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Minimises Σ‖y − Xw − b‖² + α‖w‖², each target by itself, in float64.

    Parameters:
        alpha: the penalty α ≥ 0, in units of the Gram matrix's eigenvalues; with 0 the solution of
            least norm, where directions of a spread below about 10⁻⁶ of the widest count as absent.
        fit_intercept: whether there is a b, which goes unpenalised.

    Attributes: coef_ [targets, d] ([d] for y [n]), intercept_ [targets], n_features_in_.

    Raises InputError for NaN or infinity, a constant target or a negative penalty. What R² does
    not show: that more is there than the digits give, or that the model uses it.
    """

    def __init__(self, alpha: float = 1.0, fit_intercept: bool = True) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def fit(self, X: ArrayLike, y: ArrayLike) -> RidgeProbe:
        """Fit to rows [n, d] and targets [n] or [n, targets]."""
        rows, values = training(self, X, y, multi_output=True, y_numeric=True)
        fitted = SharedRidge(rows, fit_intercept=self.fit_intercept).fit(values, self.alpha)
        self.coef_, self.intercept_ = fitted.by_target(single=values.ndim == 1)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predictions [m] or [m, targets]."""
        return np.asarray(unseen(self, X) @ self.coef_.T + self.intercept_)


class LowRankProbe(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Minimises Σ‖y − Bᵀx − b‖² + α‖B‖² over maps B of at most a given rank.

    In closed form (Mukherjee and Zhu 2011, doi 10.1002/sam.10138). Targets are not scaled: one with
    a large spread counts for more, so bring them to one spread where that is not meant.

    Parameters:
        rank: directions that all targets are read from; at most features, targets and rows.
        alpha: the penalty α ≥ 0.
        fit_intercept: whether there is a b, which goes unpenalised.

    Attributes: coef_ [targets, d] ([d] for y [n]), intercept_, directions_ [rank, d] (orthonormal),
    n_features_in_.

    Raises InputError for a rank that cannot be, NaN or infinity, a constant target. What a low
    rank does not show: that the model reads the targets from one place.
    """

    def __init__(self, rank: int = 1, alpha: float = 1.0, fit_intercept: bool = True) -> None:
        self.rank = rank
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def fit(self, X: ArrayLike, y: ArrayLike) -> LowRankProbe:
        """Fit to rows [n, d] and targets [n] or [n, targets]."""
        rows, values = training(self, X, y, multi_output=True, y_numeric=True)
        shared = SharedRidge(rows, fit_intercept=self.fit_intercept)
        fitted = shared.fit_low_rank(values, self.alpha, self.rank)
        self.directions_ = np.linalg.svd(fitted.coef.T, full_matrices=False)[2][: self.rank]
        self.coef_, self.intercept_ = fitted.by_target(single=values.ndim == 1)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predictions [m] or [m, targets]."""
        return np.asarray(unseen(self, X) @ self.coef_.T + self.intercept_)

"""The circular probe: a residue read as an angle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from probes.estimators.circle import on_circle, read_circle
from probes.estimators.inputs import Floats, training, unseen
from probes.estimators.labels import Labels
from probes.estimators.shared_ridge import SharedRidge


class CircularProbe(ClassifierMixin, BaseEstimator):
    """Ridge onto (cos θ, sin θ), θ = 2π·frequency·y/modulus, read by the nearest angle.

    Parameters:
        modulus: labels are whole numbers from 0 to modulus − 1. None: the labels seen, whatever
            they are, lie on the circle in ascending order.
        alpha: the ridge penalty, shared by both coordinates.
        frequency: how many turns the residues make; shares no divisor with the modulus.

    Attributes: classes_, coef_ [2, d], intercept_ [2], n_features_in_.

    Raises InputError for a label that is no residue, one class only, NaN or infinity. What its
    accuracy does not show: a circle; a linear code of the value read by angle scores too, so set
    the logistic probe beside it (Nanda et al. 2023, arXiv 2301.05217).
    """

    def __init__(self, modulus: int | None = None, alpha: float = 1.0, frequency: int = 1) -> None:
        self.modulus = modulus
        self.alpha = alpha
        self.frequency = frequency

    def fit(self, X: ArrayLike, y: ArrayLike) -> CircularProbe:
        """Fit to rows [n, d] and residues [n]."""
        X, y = training(self, X, y)
        check_classification_targets(y)
        known = Labels.of(y, len(y))
        if self.modulus is None:
            self.classes_, residues = known.classes[0], known.codes[0]
        else:
            self.classes_, residues = np.arange(self.modulus), y
        points = on_circle(residues, len(self.classes_), self.frequency)
        varying = np.ptp(points, axis=0) > 1e-9  # the sines of a modulus of 2 are all 0
        fitted = SharedRidge(X).fit(points[:, varying], self.alpha)
        self.coef_ = np.zeros((2, X.shape[1]))
        self.intercept_ = points.mean(axis=0)
        self.coef_[varying], self.intercept_[varying] = fitted.coef.T, fitted.intercept
        return self

    def points(self, X: ArrayLike) -> Floats:
        """Predicted (cos θ, sin θ) [m, 2], not brought to length 1."""
        return np.asarray(unseen(self, X) @ self.coef_.T + self.intercept_)

    def angle(self, X: ArrayLike) -> Floats:
        """Predicted θ [m] in radians, from −π to π."""
        points = self.points(X)
        return np.arctan2(points[:, 1], points[:, 0])

    def decision_function(self, X: ArrayLike) -> Floats:
        """Inner product with each class's point [m, classes]; of two classes the difference."""
        points = self.points(X)
        modulus = len(self.classes_)
        scores = points @ on_circle(np.arange(modulus), modulus, self.frequency).T
        return scores[:, 1] - scores[:, 0] if modulus == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The residue [m] whose angle is nearest."""
        points = self.points(X)
        return self.classes_[read_circle(points, len(self.classes_), self.frequency)]

"""The circular probe: predicts a residue as an angle."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from interp.errors import InputError
from probes.estimators.inputs import Floats, training_classes, unseen
from probes.estimators.labels import at_least_two
from probes.estimators.shared_ridge import SharedRidge


def on_circle(residues: ArrayLike, modulus: int, frequency: int = 1) -> Floats:
    """(cos θ, sin θ) [n, 2] with θ = 2π·frequency·residue/modulus.

    For a modulus of 2 the sine is always 0: such a target (parity) is one column, not two.
    """
    _check(modulus, frequency)
    residues = np.asarray(residues)
    if not np.isin(residues, np.arange(modulus)).all():
        raise InputError(
            f"residues must be whole numbers from 0 to {modulus - 1}; take them modulo {modulus}"
        )
    turns = (residues.astype(np.int64) * frequency % modulus) / modulus
    return np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=-1)


def read_circle(points: ArrayLike, modulus: int, frequency: int = 1) -> NDArray[np.int64]:
    """The residue [n] whose angle is nearest that of each point [n, 2]; its radius is not used."""
    _check(modulus, frequency)
    points = np.asarray(points, dtype=np.float64)
    turns = np.arctan2(points[..., 1], points[..., 0]) / (2 * np.pi)
    steps = np.rint(turns * modulus).astype(np.int64)
    return steps * pow(frequency, -1, modulus) % modulus


def _check(modulus: int, frequency: int) -> None:
    if modulus < 2 or modulus != int(modulus):
        raise InputError(f"modulus {modulus} cannot be: a whole number from 2 up")
    if gcd(frequency, modulus) != 1:
        raise InputError(
            f"frequency {frequency} gives several residues of {modulus} one angle: choose one that "
            f"shares no divisor with {modulus}"
        )


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
        rows, labels = training_classes(self, X, y)
        seen, codes = np.unique(labels, return_inverse=True)
        at_least_two(0, seen)
        self.classes_, residues = seen, codes
        if self.modulus is not None:
            self.classes_, residues = np.arange(self.modulus), labels
        points = on_circle(residues, len(self.classes_), self.frequency)
        varying = np.ptp(points, axis=0) > 1e-9  # modulus 2 has sines of 0
        fitted = SharedRidge(rows).fit(points[:, varying], self.alpha)
        self.coef_, self.intercept_ = np.zeros((2, rows.shape[1])), points.mean(axis=0)
        self.coef_[varying], self.intercept_[varying] = fitted.coef.T, fitted.intercept
        return self

    def points(self, X: ArrayLike) -> Floats:
        """Predicted (cos θ, sin θ) [m, 2], not normalised to length 1."""
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

"""Scores as ratios of sums over held-out rows, so that any two share the same resamples.

    score = Σ quality / Σ size

R²: quality = (y − ȳ)² − (y − ŷ)², size = (y − ȳ)², summed over an angle's two coordinates.
Accuracy: quality = 1 where the class is right, size = 1.
"""

import numpy as np
import numpy.typing as npt

from probes.fitting import as_columns
from probes.targets import Target

Floats = npt.NDArray[np.float64]


def quality(target: Target, true: Floats, predicted: Floats) -> Floats:
    """Quality [n] of predictions [n, 1 or 2] for values [n]."""
    if target.kind == "class":
        return (predicted[:, 0] == true).astype(np.float64)
    return size(target, true) - ((as_columns(target, true) - predicted) ** 2).sum(axis=1)


def size(target: Target, true: Floats) -> Floats:
    """Size [n] of values [n]."""
    if target.kind == "class":
        return np.ones(len(true))
    columns = as_columns(target, true)
    return np.asarray(((columns - columns.mean(axis=0)) ** 2).sum(axis=1))


def score(target: Target, true: Floats, predicted: Floats) -> float:
    """R² or accuracy; NaN if the held-out values are constant, where R² is undefined."""
    total = size(target, true).sum()
    return float(quality(target, true, predicted).sum() / total) if total > 0 else float("nan")


def mean_absolute_error(target: Target, true: Floats, predicted: Floats) -> float:
    """MAE in the target's units; NaN for classes and angles, which have none."""
    if target.kind != "real":
        return float("nan")
    return float(np.abs(true - predicted[:, 0]).mean())

"""Probes as scikit-learn estimators, and what all probes of one site share."""

from probes.estimators.linear_map import LinearMap, r2
from probes.estimators.ridge import RidgeProbe
from probes.estimators.shared_ridge import RidgeScores, SharedRidge, penalties

__all__ = [
    "LinearMap",
    "RidgeProbe",
    "RidgeScores",
    "SharedRidge",
    "penalties",
    "r2",
]

"""Probes as scikit-learn estimators, and what all probes of one site share."""

from probes.estimators.circle import on_circle, read_circle
from probes.estimators.circular import CircularProbe
from probes.estimators.linear_map import LinearMap, r2
from probes.estimators.logistic import LogisticProbe
from probes.estimators.low_rank import LowRankProbe
from probes.estimators.ridge import RidgeProbe
from probes.estimators.shared_logistic import LogisticScores, SharedLogistic
from probes.estimators.shared_ridge import RidgeScores, SharedRidge, penalties
from probes.estimators.softmax_maps import SoftmaxMaps

__all__ = [
    "CircularProbe",
    "LinearMap",
    "LogisticProbe",
    "LogisticScores",
    "LowRankProbe",
    "RidgeProbe",
    "RidgeScores",
    "SharedLogistic",
    "SharedRidge",
    "SoftmaxMaps",
    "on_circle",
    "penalties",
    "r2",
    "read_circle",
]

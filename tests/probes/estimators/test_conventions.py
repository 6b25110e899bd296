"""Every probe is a scikit-learn estimator, by scikit-learn's own checks."""

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from probes.estimators import CircularProbe, LogisticProbe, LowRankProbe, RidgeProbe

PROBES = [
    RidgeProbe(),
    RidgeProbe(alpha=0.0),
    RidgeProbe(fit_intercept=False),
    LogisticProbe(),
    LogisticProbe(fit_intercept=False),
    CircularProbe(),
    LowRankProbe(),
]


@parametrize_with_checks(PROBES)
def test_scikit_learn_convention(estimator: Any, check: Any) -> None:
    check(estimator)

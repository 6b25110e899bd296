"""Reduced-rank ridge against the singular vectors of the full solution."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from interp.errors import InputError
from probes.estimators import LowRankProbe, RidgeProbe


def rows(n: int = 60, d: int = 8, targets: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) + 4
    Y = X @ rng.normal(size=(d, 2)) @ rng.normal(size=(2, targets))
    return X, Y + rng.normal(size=Y.shape) - 3


@pytest.mark.parametrize(("n", "d"), [(60, 8), (20, 30)])
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_is_the_full_solution_cut_by_its_augmented_predictions(n: int, d: int, rank: int) -> None:
    """The penalty is rows √α·1 below X, with targets 0: then the cut is an ordinary SVD."""
    X, Y = rows(n, d)
    alpha = 2.5
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    tall = np.concatenate([Xc, np.sqrt(alpha) * np.eye(d)])
    B = np.linalg.lstsq(tall, np.concatenate([Yc, np.zeros((d, 5))]), rcond=None)[0]
    V = np.linalg.svd(tall @ B, full_matrices=False)[2][:rank].T
    want = B @ V @ V.T
    probe = LowRankProbe(rank, alpha).fit(X, Y)
    np.testing.assert_allclose(probe.coef_, want.T, atol=1e-8)
    np.testing.assert_allclose(probe.predict(X), Xc @ want + Y.mean(axis=0), atol=1e-8)
    assert np.linalg.matrix_rank(probe.coef_, tol=1e-8) == rank


def test_no_map_of_that_rank_has_less_loss() -> None:
    X, Y = rows()
    probe = LowRankProbe(2, alpha=1.0).fit(X, Y)

    def loss(coef: Any) -> float:
        wrong = (Y - Y.mean(axis=0)) - (X - X.mean(axis=0)) @ coef.T
        return float((wrong**2).sum() + (coef**2).sum())

    rng, best = np.random.default_rng(1), loss(probe.coef_)
    left, kept, right = np.linalg.svd(probe.coef_, full_matrices=False)
    for _ in range(200):
        a = left[:, :2] * kept[:2] + 0.01 * rng.normal(size=(5, 2))
        assert loss(a @ (right[:2] + 0.01 * rng.normal(size=(2, 8)))) >= best


def test_full_rank_is_ridge_and_directions_span_the_map() -> None:
    X, Y = rows()
    full = LowRankProbe(5, alpha=3.0).fit(X, Y)
    np.testing.assert_allclose(full.coef_, RidgeProbe(alpha=3.0).fit(X, Y).coef_, atol=1e-10)
    np.testing.assert_allclose(full.coef_, Ridge(alpha=3.0).fit(X, Y).coef_, atol=1e-10)
    low = LowRankProbe(2, alpha=3.0).fit(X, Y)
    span = low.directions_.T @ low.directions_
    np.testing.assert_allclose(low.coef_ @ span, low.coef_, atol=1e-10)
    np.testing.assert_allclose(low.directions_ @ low.directions_.T, np.eye(2), atol=1e-10)


@pytest.mark.parametrize("rank", [0, 6])
def test_a_rank_that_cannot_be(rank: int) -> None:
    X, Y = rows()
    with pytest.raises(InputError, match=r"5 targets .* allow 1 to 5"):
        LowRankProbe(rank).fit(X, Y)

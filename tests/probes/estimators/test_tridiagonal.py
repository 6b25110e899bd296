"""Ridge through a tridiagonal form against a dense solver, and against the spectrum."""

import numpy as np
import pytest

from probes.estimators.spectrum import Spectrum
from probes.estimators.tridiagonal import Tridiagonal

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("m", [1, 2, 3, 17, 80])
def test_solutions_are_those_of_a_dense_solver(m: int) -> None:
    X = RNG.normal(size=(2 * m + 3, m)) * np.logspace(0, -3, m)
    S, right = X.T @ X, RNG.normal(size=(m, 4))
    form, alphas = Tridiagonal.of(S, len(X)), np.array([1e-3, 0.5, 40.0])
    found = form.solve(right, alphas)
    assert found.shape == (m, 3, 4)
    for index, alpha in enumerate(alphas):
        want = np.linalg.solve(S + alpha * np.eye(m), right)
        assert np.allclose(found[:, index], want, rtol=1e-8, atol=1e-10)
    each = form.solve_each(right, np.array([0.5, 40.0, 0.5, 1e-3]))
    for target, index in enumerate((1, 2, 1, 0)):
        assert np.allclose(each[:, target], found[:, index, target], rtol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 1e-18])
def test_without_a_penalty_it_is_the_solution_of_least_norm(alpha: float) -> None:
    """Columns that repeat one another make S singular: a tridiagonal solver would divide by 0."""
    X = RNG.normal(size=(40, 6))
    X = np.hstack([X, X[:, :3], np.zeros((40, 2))])
    S, right = X.T @ X, X.T @ RNG.normal(size=(40, 2))
    found = Tridiagonal.of(S, 40).solve(right, np.array([alpha]))[:, 0]
    assert np.allclose(found, np.linalg.pinv(S) @ right, atol=1e-8)
    assert np.allclose(found, Spectrum.of(S, 40).solve(right, np.array([alpha]))[:, 0], atol=1e-9)
    mixed = Tridiagonal.of(S, 40).solve_each(right, np.array([alpha, 2.0]))
    assert np.allclose(mixed[:, 0], found[:, 0], atol=1e-9)
    assert np.allclose(mixed[:, 1], np.linalg.solve(S + 2 * np.eye(11), right[:, 1]), atol=1e-9)


def test_the_matrix_is_left_as_it_is() -> None:
    X = RNG.normal(size=(30, 9))
    S, right = np.asfortranarray(X.T @ X), RNG.normal(size=(9, 2))
    before, same = S.copy(), right.copy()
    form = Tridiagonal.of(S, 30)
    form.solve(right, np.array([1.0, 2.0]))
    assert np.array_equal(S, before)
    assert np.array_equal(right, same)

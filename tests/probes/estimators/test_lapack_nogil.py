"""Routines called without Python's lock give what SciPy's give, and let other threads run."""

import threading
import time
from typing import Literal

import numpy as np
import pytest
import scipy.linalg

from probes.estimators import lapack_nogil

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("m", [1, 2, 7, 130])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_is_what_its_parts_make(m: int, order: Literal["C", "F"]) -> None:
    X = RNG.normal(size=(2 * m, m))
    S = np.array(X.T @ X, order=order)
    before = S.copy()
    packed, diagonal, beside, scales = lapack_nogil.tridiagonal(S)
    T = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    Q = lapack_nogil.turn(packed, scales, np.eye(m))
    np.testing.assert_allclose(Q @ T @ Q.T, S, atol=1e-10 * np.trace(S))
    np.testing.assert_allclose(
        lapack_nogil.turn(packed, scales, Q, back=True), np.eye(m), atol=1e-12
    )
    np.testing.assert_array_equal(S, before)


@pytest.mark.parametrize("columns", [0, 1, 5])
def test_a_solution_is_scipys(columns: int) -> None:
    X, right = RNG.normal(size=(90, 40)), RNG.normal(size=(40, columns))
    S = X.T @ X
    want = scipy.linalg.solve(S, right, assume_a="pos") if columns else right
    np.testing.assert_allclose(lapack_nogil.solve_positive(S.copy(), right), want, rtol=1e-9)


def test_a_matrix_that_is_not_definite_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="info = 2"):
        lapack_nogil.solve_positive(np.diag([1.0, -1.0]), np.ones((2, 1)))


def test_other_threads_run_meanwhile() -> None:
    """With the lock held there would be no tick between the start and the end of a call."""
    X = RNG.normal(size=(1000, 1000))
    S, ticks, done = X.T @ X, [], threading.Event()

    def tick() -> None:
        while not done.wait(0.002):
            ticks.append(time.perf_counter())

    other = threading.Thread(target=tick)
    other.start()
    began = time.perf_counter()
    lapack_nogil.tridiagonal(S)
    ended = time.perf_counter()
    done.set()
    other.join()
    assert sum(began + 0.005 < at < ended - 0.005 for at in ticks) >= 1

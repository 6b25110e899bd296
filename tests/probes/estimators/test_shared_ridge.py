"""The shared factorisation against slow ridges that share nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

from interp.engine import Cancel
from interp.errors import Cancelled, InputError
from probes.estimators import RidgeProbe, SharedRidge, on_circle, penalties, r2, read_circle

ALPHAS = np.logspace(-3, 4, 5)


def rows(n: int, d: int, seed: int, *, mean: float = 0.0, targets: int = 3) -> tuple[Any, Any, Any]:
    """Correlated features far from 0, targets that depend on them, fold labels out of order."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + mean
    Y = X @ rng.normal(size=(d, targets)) + 2 * rng.normal(size=(n, targets)) + 7
    return X, Y, rng.permutation(np.arange(n) % 4) * 10


def longdouble_ridge(X: Any, Y: Any, alpha: float) -> tuple[Any, Any]:
    """Normal equations by Gauss-Jordan in extended precision: slow, and independent of LAPACK."""
    X, Y = X.astype(np.longdouble), Y.astype(np.longdouble)
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    table = np.concatenate([Xc.T @ Xc + alpha * np.eye(X.shape[1]), Xc.T @ Yc], axis=1)
    for i in range(X.shape[1]):
        pivot = i + int(np.abs(table[i:, i]).argmax())
        table[[i, pivot]] = table[[pivot, i]]
        table[i] /= table[i, i]
        for j in range(X.shape[1]):
            if j != i:
                table[j] -= table[j, i] * table[i]
    coef = table[:, X.shape[1] :]
    return coef, Y.mean(axis=0) - X.mean(axis=0) @ coef


@pytest.mark.parametrize("alpha", [1e-6, 1.0, 1e4])
def test_fit_is_the_normal_equations_in_extended_precision(alpha: float) -> None:
    X, Y, _ = rows(60, 6, seed=0, mean=50.0)
    coef, intercept = longdouble_ridge(X, Y, alpha)
    fitted = SharedRidge(X).fit(Y, alpha)
    np.testing.assert_allclose(fitted.coef, coef.astype(float), rtol=1e-9)
    np.testing.assert_allclose(fitted.intercept, intercept.astype(float), rtol=1e-9)


@given(
    n=st.integers(12, 60),
    d=st.integers(1, 80),
    seed=st.integers(0, 99),
    intercept=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=8, deadline=None)
def test_scores_are_those_of_grid_search_target_by_target(
    n: int, d: int, seed: int, intercept: bool, dtype: type
) -> None:
    X, Y, folds = rows(n, d, seed, mean=3.0)
    X = X.astype(dtype)
    shared = SharedRidge(X, folds, fit_intercept=intercept)
    scores = shared.cross_validate(Y, ALPHAS)
    for target in range(Y.shape[1]):
        peer = GridSearchCV(
            Ridge(fit_intercept=intercept), {"alpha": ALPHAS}, cv=LeaveOneGroupOut(), scoring="r2"
        ).fit(X.astype(np.float64), Y[:, target], groups=folds)
        for fold in range(4):
            want = peer.cv_results_[f"split{fold}_test_score"]
            np.testing.assert_allclose(scores.r2[fold, :, target], want, rtol=1e-6, atol=1e-6)
        best = peer.cv_results_["mean_test_score"].max()
        assert scores.mean_r2[scores.best[target], target] == pytest.approx(best, abs=1e-6)
        refit = shared.fit(Y[:, target], peer.best_params_["alpha"])
        said = refit.predict(X)[:, 0]
        np.testing.assert_allclose(said, peer.predict(X.astype(np.float64)), rtol=1e-5, atol=1e-5)


def test_a_shared_spectrum_gives_every_target_its_own_penalty() -> None:
    X, Y, _ = rows(60, 12, seed=2, targets=8)
    alpha = np.logspace(-2, 5, 8)
    fitted = SharedRidge(X).fit(Y, alpha)
    for target in range(8):
        want = Ridge(alpha=alpha[target]).fit(X, Y[:, target])
        np.testing.assert_allclose(fitted.coef[:, target], want.coef_, rtol=1e-8, atol=1e-12)
        assert fitted.intercept[target] == pytest.approx(want.intercept_)


@pytest.mark.parametrize(("n", "d"), [(40, 10), (15, 40)])
def test_without_penalty_the_solution_has_least_norm(n: int, d: int) -> None:
    X, Y, folds = rows(n, d, seed=3)
    X[:, 3] = X[:, 2]  # collinear
    X[:, 5] = 4.25  # constant
    fitted = SharedRidge(X).fit(Y, 0.0)
    want = np.linalg.lstsq(X - X.mean(axis=0), Y - Y.mean(axis=0), rcond=1e-10)[0]
    np.testing.assert_allclose(fitted.coef, want, atol=1e-7)
    scores = SharedRidge(X, folds).cross_validate(Y, [0.0])
    for index, label in enumerate(np.unique(folds)):
        out = folds == label
        inner = X[~out].mean(axis=0)
        coef = np.linalg.lstsq(X[~out] - inner, Y[~out] - Y[~out].mean(axis=0), rcond=1e-10)[0]
        said = (X[out] - inner) @ coef + Y[~out].mean(axis=0)
        np.testing.assert_allclose(scores.r2[index, 0], r2(Y[out], said), rtol=1e-5, atol=1e-6)


def test_directions_as_faint_as_rounding_count_as_far_as_the_penalty_lets_them() -> None:
    """Float32 activations of low rank: eigenvalues of 1e-12 of the largest, penalties above it."""
    X, Y, folds = rows(120, 12, seed=13)
    X[:, 8:] = X[:, :4] + 1e-6 * X[:, 8:]
    shared = SharedRidge(X, folds)
    alphas = shared.scale * np.array([1e-9, 1e-4])
    scores = shared.cross_validate(Y, alphas)
    for index, label in enumerate(np.unique(folds)):
        out = folds == label
        for place, alpha in enumerate(alphas):
            model = Ridge(alpha=alpha, solver="svd").fit(X[~out], Y[~out])
            want = r2(Y[out], model.predict(X[out]))
            np.testing.assert_allclose(scores.r2[index, place], want, atol=1e-9)


def test_a_mean_far_from_the_origin_costs_no_digits() -> None:
    X, Y, folds = rows(200, 20, seed=4)
    near = SharedRidge(X, folds).cross_validate(Y, ALPHAS)
    far = SharedRidge(X + 1e5, folds).cross_validate(Y, ALPHAS)
    np.testing.assert_allclose(far.r2, near.r2, atol=1e-8)


def test_targets_together_share_their_penalty() -> None:
    X, Y, folds = rows(60, 10, seed=5, targets=3)
    Y[:, 0] = X @ np.ones(10)  # exact, so that the least penalty is best
    Y[:, 2] = np.random.default_rng(0).normal(size=60)  # noise, so that the greatest is
    shared = SharedRidge(X, folds)
    alone = shared.cross_validate(Y, ALPHAS).best
    both = shared.cross_validate(Y, ALPHAS, together=[0, 1, 0]).best
    assert alone[0] != alone[2]  # else the example shows nothing
    assert both[0] == both[2] and both[1] == alone[1]
    mean = shared.cross_validate(Y, ALPHAS).mean_r2
    assert both[0] == mean[:, [0, 2]].mean(axis=1).argmax()


def test_r2_is_scikit_learns_with_its_special_cases() -> None:
    y = np.array([[1.0, 3.0, 3.0], [2.0, 3.0, 3.0], [4.0, 3.0, 3.0]])
    said = np.array([[1.5, 3.0, 3.0], [2.0, 3.0, 3.1], [3.0, 3.0, 3.0]])
    np.testing.assert_allclose(r2(y, said), r2_score(y, said, multioutput="raw_values"))
    assert list(r2(y, said)[1:]) == [1.0, 0.0]


def test_batches_of_targets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y, folds = rows(50, 8, seed=6, targets=7)
    whole = SharedRidge(X, folds).cross_validate(Y, ALPHAS)
    monkeypatch.setattr("probes.estimators.shared_ridge.WEIGHTS", 8 * len(ALPHAS) * 2)
    monkeypatch.setattr("probes.estimators.inputs.BLOCK", 8 * 7)
    parts = SharedRidge(X, folds).cross_validate(Y, ALPHAS)
    np.testing.assert_allclose(parts.r2, whole.r2, atol=1e-12)


def test_held_out_rows_are_scored_with_the_refit() -> None:
    X, Y, folds = rows(80, 8, seed=7)
    fitted = SharedRidge(X[:60], folds[:60]).fit(Y[:60], 1.0)
    model = Ridge(alpha=1.0).fit(X[:60], Y[:60])
    said = model.predict(X[60:])
    np.testing.assert_allclose(
        fitted.r2(X[60:], Y[60:]), r2_score(Y[60:], said, multioutput="raw_values")
    )
    np.testing.assert_allclose(fitted.mae(X[60:], Y[60:]), np.abs(Y[60:] - said).mean(axis=0))


def test_penalties_are_in_units_of_the_gram_matrix() -> None:
    X, _, _ = rows(40, 5, seed=8)
    shared = SharedRidge(X)
    assert shared.scale == pytest.approx(np.linalg.eigvalsh(np.cov(X.T) * 39).mean())
    np.testing.assert_allclose(
        penalties(shared.scale)[[0, -1]] / shared.scale, [1e-6, 1e2], rtol=1e-12
    )


def test_memory_maps_are_read_where_they_lie(tmp_path: Any) -> None:
    X, Y, folds = rows(50, 8, seed=9)
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    want = SharedRidge(X.astype(np.float32), folds).cross_validate(Y, ALPHAS).r2
    np.testing.assert_array_equal(SharedRidge(mapped, folds).cross_validate(Y, ALPHAS).r2, want)


def test_probe_is_the_shared_fit() -> None:
    X, Y, _ = rows(50, 8, seed=10)
    probe = RidgeProbe(alpha=3.0).fit(X, Y)
    want = Ridge(alpha=3.0).fit(X, Y)
    np.testing.assert_allclose(probe.coef_, want.coef_)
    np.testing.assert_allclose(probe.predict(X), want.predict(X))


def test_progress_and_cancel() -> None:
    X, Y, folds = rows(50, 8, seed=11)
    seen: list[tuple[int, int]] = []
    shared = SharedRidge(X, folds, progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1]
    seen.clear()
    shared.cross_validate(Y, ALPHAS, progress=lambda *at: seen.append(at))
    assert [done for done, _ in seen] == list(range(1, seen[-1][1] + 1))
    stop = Cancel()
    stop.set()
    with pytest.raises(Cancelled):
        shared.cross_validate(Y, ALPHAS, cancel=stop)
    with pytest.raises(Cancelled):
        SharedRidge(X, folds, cancel=stop)


def bad(**changes: Any) -> Any:
    X, Y, folds = rows(20, 4, seed=12)
    given = {"X": X, "Y": Y, "folds": folds, "alphas": ALPHAS, "memory": 2**31, **changes}
    shared = SharedRidge(given["X"], given["folds"], memory=given["memory"])
    return shared.cross_validate(given["Y"], given["alphas"])


def holed(value: float) -> Any:
    X, _, _ = rows(20, 4, seed=12)
    X[7, 2] = value
    return X


WRONG = {
    "nan": ({"X": holed(np.nan)}, "activations hold NaN or infinity.*[Ll]eave out"),
    "inf": ({"X": holed(np.inf)}, "activations hold NaN or infinity"),
    "wide nan": ({"X": np.full((20, 30), np.nan)}, "activations hold NaN"),
    "vector": ({"X": np.ones(20)}, "give a matrix"),
    "constant": ({"Y": np.ones((20, 2))}, "target 0 is constant .1..*[Dd]raw problems"),
    "target nan": ({"Y": np.full(20, np.nan)}, "target holds NaN"),
    "short": ({"Y": np.ones(19)}, "for 20 rows"),
    "penalty": ({"alphas": [-1.0]}, "at least 0"),
    "no penalty": ({"alphas": []}, "one at least"),
    "one fold": ({"folds": np.zeros(20)}, "fewer folds"),
    "lonely fold": ({"folds": np.arange(20)}, "fewer folds"),
    "fold shape": ({"folds": np.zeros(3)}, "one label a row"),
    "memory": ({"memory": 100}, "memory= allows.*fewer features"),
    "no folds": ({"folds": None}, "no folds were given"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_names_its_remedy(name: str) -> None:
    changes, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        bad(**changes)


def test_other_bad_input() -> None:
    X, Y, _ = rows(20, 4, seed=12)
    fitted = SharedRidge(X).fit(Y, 1.0)
    with pytest.raises(InputError, match="same site"):
        fitted.predict(X[:, :3])
    with pytest.raises(InputError, match="one, or one each"):
        SharedRidge(X).fit(Y, [1.0, 2.0])
    with pytest.raises(InputError, match="do not vary"):
        penalties(0.0)


@given(modulus=st.integers(3, 40), k=st.integers(1, 39))
@settings(max_examples=20, deadline=None)
def test_residues_go_round_the_circle_and_back(modulus: int, k: int) -> None:
    if np.gcd(modulus, k) > 1:
        with pytest.raises(InputError, match="shares no divisor"):
            on_circle([0], modulus, k)
        return
    residues = np.arange(modulus)
    points = on_circle(residues, modulus, k)
    np.testing.assert_array_equal(read_circle(3 * points, modulus, k), residues)
    z = np.exp(2j * np.pi * k * residues / modulus)
    np.testing.assert_allclose(points, np.stack([z.real, z.imag], axis=1), atol=1e-12)

"""The batched softmax against scikit-learn's, fit by fit, at tight tolerance."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from interp.engine import Cancel
from interp.errors import Cancelled, InputError
from probes.estimators import LogisticProbe, SharedLogistic

TIGHT = {"tol": 1e-6}


def rows(n: int, d: int, classes: int, seed: int, mean: float = 0.0) -> tuple[Any, Any, Any]:
    """Correlated features far from 0, labels 1, 3, 5, … that depend on them, fold labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + mean
    logits = (X - mean) @ rng.normal(size=(d, classes)) / d
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    y[:classes] = np.arange(classes)
    return X, 2 * y + 1, rng.permutation(np.arange(n) % 3)


def peer(X: Any, y: Any, alpha: float, intercept: bool = True) -> LogisticRegression:
    return LogisticRegression(
        C=1 / alpha, solver="newton-cg", tol=1e-11, max_iter=2000, fit_intercept=intercept
    ).fit(X, y)


@given(
    n=st.integers(25, 60),
    d=st.integers(1, 70),
    classes=st.integers(2, 5),
    seed=st.integers(0, 99),
    intercept=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_probabilities_are_scikit_learns(
    n: int, d: int, classes: int, seed: int, intercept: bool
) -> None:
    X, y, _ = rows(n, d, classes, seed, mean=2.0)
    probe = LogisticProbe(alpha=2.0, fit_intercept=intercept, **TIGHT).fit(X, y)
    want = peer(X, y, 2.0, intercept)
    np.testing.assert_allclose(probe.predict_proba(X), want.predict_proba(X), atol=2e-5)
    np.testing.assert_array_equal(probe.classes_, want.classes_)
    assert probe.decision_function(X).shape == want.decision_function(X).shape


def test_two_classes_are_one_vector_with_one_penalty() -> None:
    X, y, _ = rows(60, 5, 2, seed=1)
    probe, want = LogisticProbe(alpha=3.0, **TIGHT).fit(X, y), peer(X, y, 3.0)
    np.testing.assert_allclose(probe.coef_, want.coef_, atol=1e-5)
    np.testing.assert_allclose(probe.intercept_, want.intercept_, atol=1e-5)


def test_targets_of_any_number_of_classes_and_penalty_share_a_batch() -> None:
    X, first, _ = rows(80, 6, 4, seed=2)
    second, third = rows(80, 6, 2, seed=2)[1], rows(80, 6, 7, seed=2)[1]
    labels, alpha = np.stack([first, second, third], axis=1), [0.5, 2.0, 8.0]
    maps = SharedLogistic(X, **TIGHT).fit(labels, alpha)
    for target in range(3):
        want = peer(X, labels[:, target], alpha[target])
        np.testing.assert_array_equal(maps.predict(X)[:, target], want.predict(X))
        one = maps.of(target)
        np.testing.assert_array_equal(one.predict(X)[:, 0], want.predict(X))
        expected = log_loss(labels[:, target], want.predict_proba(X))
        assert maps.log_loss(X, labels)[target] == pytest.approx(expected, abs=1e-6)
        assert one.log_loss(X, labels[:, target])[0] == pytest.approx(expected, abs=1e-6)
        assert maps.accuracy(X, labels)[target] == want.score(X, labels[:, target])


@pytest.mark.parametrize("d", [6, 50])
def test_cross_validation_is_a_loop_over_folds_and_penalties(d: int) -> None:
    X, y, folds = rows(45, d, 3, seed=3, mean=1.0)
    alphas = [0.3, 30.0, 3.0]
    scores = SharedLogistic(X, folds, **TIGHT).cross_validate(y, alphas)
    for fold in range(3):
        out = folds == fold
        for index, alpha in enumerate(alphas):
            want = peer(X[~out], y[~out], alpha)
            assert scores.accuracy[fold, index, 0] == want.score(X[out], y[out])
            expected = log_loss(y[out], want.predict_proba(X[out]), labels=want.classes_)
            assert scores.log_loss[fold, index, 0] == pytest.approx(expected, abs=1e-4)
    right = scores.accuracy.mean(axis=0)[:, 0]
    tied = right == right.max()
    least = np.where(tied, scores.log_loss.mean(axis=0)[:, 0], np.inf).argmin()
    assert scores.best[0] == least
    assert scores.alpha[0] == alphas[scores.best[0]]


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_float32_rows_far_from_the_origin_keep_their_digits(mean: float) -> None:
    X, y, _ = rows(300, 20, 5, seed=4)
    shifted = (X + mean).astype(np.float32)
    maps = SharedLogistic(shifted).fit(y, 1.0)
    want = peer(shifted.astype(np.float64) - mean, y, 1.0)
    assert (maps.predict(shifted)[:, 0] == want.predict(shifted - mean)).mean() > 0.99
    expected = log_loss(y, want.predict_proba(shifted.astype(np.float64) - mean))
    assert maps.log_loss(shifted, y)[0] == pytest.approx(expected, rel=1e-4)


def test_batches_of_problems_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, folds = rows(60, 5, 3, seed=5)
    labels = np.stack([y, np.roll(y, 1), np.roll(y, 2)], axis=1)
    whole = SharedLogistic(X, folds, **TIGHT).cross_validate(labels, [1.0, 10.0])
    monkeypatch.setattr("probes.estimators.shared_logistic.WORKSPACE", 1)
    monkeypatch.setattr("probes.estimators.softmax_loss.ROWS", 7)
    parts = SharedLogistic(X, folds, **TIGHT).cross_validate(labels, [1.0, 10.0])
    np.testing.assert_allclose(parts.log_loss, whole.log_loss, atol=1e-6)


def test_a_constant_column_and_collinear_ones_do_no_harm() -> None:
    X, y, _ = rows(60, 6, 3, seed=6)
    X[:, 2] = 5.0
    wide = np.concatenate([X, X[:, :1]], axis=1)
    probe, want = LogisticProbe(**TIGHT).fit(wide, y), peer(wide, y, 1.0)
    np.testing.assert_allclose(probe.predict_proba(wide), want.predict_proba(wide), atol=2e-5)


def test_labels_may_be_words() -> None:
    X, y, _ = rows(40, 4, 3, seed=7)
    words = np.array(["BA", "MC", "US9"])[(y - 1) // 2]
    assert set(LogisticProbe().fit(X, words).predict(X)) <= {"BA", "MC", "US9"}


def test_a_label_never_seen_costs_infinitely_much() -> None:
    X, y, _ = rows(40, 4, 3, seed=8)
    maps = SharedLogistic(X).fit(y, 1.0)
    assert maps.log_loss(X[:1], [99])[0] == np.inf


def test_progress_and_cancel() -> None:
    X, y, folds = rows(40, 4, 3, seed=9)
    shared = SharedLogistic(X, folds)
    seen: list[tuple[int, int]] = []
    shared.cross_validate(y, [1.0, 2.0], progress=lambda *at: seen.append(at))
    assert seen == [(1, 2), (2, 2)]
    stop = Cancel()
    with pytest.raises(Cancelled):
        shared.cross_validate(y, [1.0, 2.0], progress=lambda *_: stop.set(), cancel=stop)
    with pytest.raises(Cancelled):
        shared.fit(y, 1.0, cancel=stop)


def test_bad_input_names_its_remedy() -> None:
    X, y, folds = rows(30, 4, 3, seed=10)
    shared = SharedLogistic(X, folds)
    with pytest.raises(InputError, match=r"1 class.*[Dd]raw problems"):
        shared.fit(np.ones(30), 1.0)
    with pytest.raises(InputError, match="30 rows hold 30 classes"):
        shared.fit(np.arange(30), 1.0)
    with pytest.raises(InputError, match="labels have shape"):
        shared.fit(np.arange(31), 1.0)
    with pytest.raises(InputError, match="label is NaN"):
        shared.fit(np.full(30, np.nan), 1.0)
    with pytest.raises(InputError, match="no folds"):
        SharedLogistic(X).cross_validate(y, [1.0])
    with pytest.raises(InputError, match="at least 0"):
        shared.fit(y, -1.0)
    with pytest.raises(InputError, match="one, or one each"):
        shared.fit(y, [1.0, 2.0])
    with pytest.raises(InputError, match="same site"):
        shared.fit(y, 1.0).predict(X[:, :2])
    rare = np.where(folds == 1, 99, y)
    with pytest.raises(InputError, match=r"99 of target 0 occurs in one fold only.*join it"):
        shared.cross_validate(rare, [1.0])
    with pytest.raises(InputError, match="NaN or infinity"):
        SharedLogistic(np.where(X > 1, np.nan, X))
    with pytest.raises(InputError, match="memory="):
        SharedLogistic(X, memory=10)

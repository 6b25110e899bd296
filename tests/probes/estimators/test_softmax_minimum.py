"""A softmax probe is at its minimum: objective and probabilities, alone and in any batch."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import probes
from interp import engine
from probes.estimators import LogisticProbe, SharedLogistic, SoftmaxMaps
from probes.splits import split

OBJECTIVE, PROBABILITY = 1e-3, 1e-3  # a share of the minimum; of any class in any row


def rows(n: int, d: int, classes: int, apart: float, seed: int) -> tuple[Any, Any]:
    """Features whose spreads differ a thousandfold, and labels that they tell apart (`apart` large)
    or not; the last class is rare.
    """
    rng = np.random.default_rng(seed)
    even = rng.normal(size=(n, d))
    share = np.ones(classes)
    share[-1] = 0.05
    logits = apart * (even @ rng.normal(size=(d, classes))) + np.log(share)
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    y[:classes] = np.arange(classes)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (even * np.logspace(-1.5, 1.5, d)) @ turn + 3.0, y


def minimum(X: Any, y: Any, alpha: float) -> LogisticRegression:
    """scikit-learn's, by Newton's method with the whole Hessian, in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(
            C=1 / alpha, solver="newton-cholesky", tol=1e-10, max_iter=1000
        ).fit(X.astype(np.float64), y)


def objective(log_p: Any, W: Any, y: Any, alpha: float) -> float:
    """Σ −log p(y) + α/2·‖W‖²; of two classes W is their difference."""
    _, codes = np.unique(y, return_inverse=True)
    lost = -log_p[np.arange(len(y)), codes].sum()
    return float(lost + alpha / 2 * ((W[1] - W[0]) ** 2 if len(W) == 2 else W**2).sum())


def logs(maps: SoftmaxMaps, X: Any) -> Any:
    return np.concatenate([block[0].T for _, block in maps.log_probabilities(X)])


def at_its_minimum(maps: SoftmaxMaps, X: Any, y: Any, alpha: float) -> None:
    """One target's map beside the reference."""
    want, exact = minimum(X, y, alpha), X.astype(np.float64)
    mine = logs(maps, X)
    W = want.coef_ if len(want.classes_) > 2 else np.concatenate([0 * want.coef_, want.coef_])
    least = objective(want.predict_log_proba(exact), W, y, alpha)
    found = objective(mine, maps.coef[0], y, alpha)
    assert found <= least * (1 + OBJECTIVE), (found, least)
    assert found - least <= maps.gap[0] + 1e-6 * least
    assert np.abs(np.exp(mine) - want.predict_proba(exact)).max() <= PROBABILITY


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", [1e-7, 1e-4, 1e-2, 10.0])
@pytest.mark.parametrize(("classes", "apart"), [(2, 30.0), (5, 30.0), (2, 0.3), (5, 0.3)])
def test_separable_and_overlapping_classes(
    classes: int, apart: float, penalty: float, kind: type
) -> None:
    X, y = rows(150, 12, classes, apart, seed=classes)
    X = X.astype(kind)
    shared = SharedLogistic(X)
    alpha = penalty * shared.scale
    at_its_minimum(shared.fit(y, alpha), X, y, alpha)


@given(
    others=st.lists(
        st.tuples(
            st.integers(2, 6), st.sampled_from([0.1, 1.0, 30.0]), st.sampled_from([1e-5, 1e-2, 1.0])
        ),
        max_size=5,
    ),
    place=st.integers(0, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_any_batch_gives_what_a_fold_alone_gives(
    others: list[tuple[int, float, float]], place: int, seed: int
) -> None:
    """Whatever shares the batch, easy or hard: the same map, and the same as without folds."""
    X, y = rows(120, 10, 4, 30.0, seed)
    folds = np.arange(120) % 3
    shared = SharedLogistic(X, folds)
    columns = [rows(120, 10, classes, apart, seed)[1] for classes, apart, _ in others]
    columns.insert(place, y)
    alphas = [shared.scale * penalty for *_, penalty in others]
    alphas.insert(place, 1e-4 * shared.scale)
    at = min(place, len(others))
    together = shared.fit(np.stack(columns, axis=1), alphas).of(at)
    alone = shared.fit(y, alphas[at])
    np.testing.assert_allclose(np.exp(logs(together, X)), np.exp(logs(alone, X)), atol=1e-5)
    at_its_minimum(together, X, y, alphas[at])


def test_folds_are_fits_on_their_own_rows() -> None:
    X, y = rows(150, 8, 4, 30.0, seed=5)
    _, other = rows(150, 8, 3, 0.3, seed=5)
    folds = np.arange(150) % 3
    shared = SharedLogistic(X, folds)
    alphas = shared.scale * np.logspace(-5, 1, 4)
    many = shared.cross_validate(np.stack([other, y], axis=1), alphas)
    for fold in range(3):
        out = folds == fold
        for index, alpha in enumerate(alphas):
            want = minimum(X[~out], y[~out], alpha)
            p = want.predict_proba(X[out])[np.arange(out.sum()), y[out]]
            assert many.log_loss[fold, index, 1] == pytest.approx(-np.log(p).mean(), rel=5e-3)
            assert abs(many.accuracy[fold, index, 1] - want.score(X[out], y[out])) < 1.5 / 50


def test_a_residual_stream_whose_carries_are_nearly_separable(add5: Any) -> None:
    """carry[3] at c4 in layer 0: L-BFGS that stopped at a small step had 93.5 % right, or 94.7 %
    beside other targets."""
    problems = add5.task.sample(1500, seed=0)
    read = engine.Read("resid_post", 0, "c4")
    run = engine.run(add5, add5.prompts(problems), reads=[read], logits=None)
    X = run.activations["resid_post", 0][:, 0].numpy()
    target = probes.target(add5.task, "carry[3]", kind="class")
    rows_of = split(problems, "combination", target=target, seed=0)
    y, train, test = problems.column("carry[3]"), rows_of.train, rows_of.test
    shared = SharedLogistic(X[train])
    for penalty in (1e-7, 1e-5, 1e-3):
        alpha = penalty * shared.scale
        maps = shared.fit(y[train], alpha)
        at_its_minimum(maps, X[train], y[train], alpha)
        want = minimum(X[train], y[train], alpha)
        p = np.exp(logs(maps, X[test]))
        assert np.abs(p - want.predict_proba(X[test])).max() <= PROBABILITY
        wrong = abs(maps.accuracy(X[test], y[test])[0] - want.score(X[test], y[test]))
        assert wrong * len(test) < 1.5
        assert want.score(X[test], y[test]) > 0.97


def test_a_sweep_scores_a_target_alike_beside_any_others(add5: Any) -> None:
    options: dict[str, Any] = {
        "sites": ["resid_post"], "layers": [0], "split": "combination", "n": 1500, "controls": [],
    }  # fmt: skip
    alone = probes.probe(add5, "add:5", targets=["carry[3]"], roles=["c4"], **options).frame
    many = probes.probe(add5, "add:5", targets=["carry[3]"], roles=["c4", "c3"], **options).frame
    mine = many[many["role"] == "c4"]
    assert mine["score"].item() == pytest.approx(alone["score"].item(), abs=1e-9)
    assert alone["score"].item() > 0.97


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_without_a_penalty() -> None:
    """Overlapping classes have a minimum; separable ones have none, and are told for certain."""
    X, y = rows(200, 4, 3, 0.3, seed=1)
    probe, want = LogisticProbe(alpha=0.0).fit(X, y), minimum(X, y, 1e-9)
    np.testing.assert_allclose(probe.predict_proba(X), want.predict_proba(X), atol=PROBABILITY)
    apart = np.where(X[:, :1] > 3, X + 5, X)
    label = (X[:, 0] > 3).astype(int)
    sure = LogisticProbe(alpha=0.0).fit(apart, label).predict_proba(apart)
    assert sure[np.arange(len(label)), label].min() > 1 - PROBABILITY


def test_what_is_not_at_its_minimum_is_said() -> None:
    X, y = rows(150, 12, 4, 30.0, seed=2)
    shared = SharedLogistic(X, max_iter=2)
    with pytest.warns(ConvergenceWarning, match=r"1 of 1 softmax fits.*Raise the penalty"):
        maps = shared.fit(y, 1e-4 * shared.scale)
    assert maps.gap[0] > 1


def test_ten_classes_and_a_small_penalty_take_few_passes() -> None:
    """Weights add up to 0 over classes, and so must the preconditioned directions: conjugate
    gradients that left that space took 442 passes."""
    X, y = rows(600, 60, 10, 3.0, seed=0)
    shared = SharedLogistic(X)
    assert shared.fit(y, 1e-5 * shared.scale).evaluations[0] < 100

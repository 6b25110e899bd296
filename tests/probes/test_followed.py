"""An answer that only moves is not one that follows: predictions for other rows, and verdicts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.causal_test import random_edit
from probes.outcomes import Arms, differences, outcomes
from probes.results.causal_test import ProbeUse
from tests.figures import probe_results as made

N = 1500


def _arms(own: Any, wanted: Any, said: Any, random: Any | None = None) -> Arms:
    """One answer digit; the random edits change nothing unless told."""

    def arm(choice: Any) -> Any:
        return np.stack([choice, np.zeros(len(own)), np.zeros(len(own))], axis=-1)[:, None].astype(
            float
        )

    quiet = arm(own if random is None else random)
    return Arms(arm(own), arm(said), quiet[None], wanted[:, None], own[:, None], own[:, None], True)


def _verdict(arms: Arms) -> ProbeUse:
    groups = np.arange(len(arms.wanted))
    return replace(
        made.use(), outcomes=outcomes(arms, ["c1"], groups, 0),
        difference=differences(arms, ["c1"], groups, 0),
    )  # fmt: skip


def _digits(seed: int) -> tuple[np.random.Generator, Any, Any]:
    """The model's own digits, and predictions that differ from them."""
    rng = np.random.default_rng(seed)
    own = rng.integers(10, size=N)
    return rng, own, (own + rng.integers(1, 10, size=N)) % 10


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_mismatched_is_what_a_slow_count_finds(seed: int, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    own, wanted, said = (rng.integers(kinds, size=12) for _ in range(3))
    arms = _arms(own, wanted, said)
    found = arms.of(arms.probe)["mismatched"][:, 0]
    counted = np.flatnonzero(own != wanted)
    for i in counted:
        others = [wanted[j] for j in counted if j != i and wanted[j] != own[i]]
        want = np.mean([said[i] == w for w in others]) if others else float(said[i] == wanted[i])
        assert found[i] == pytest.approx(want)
    told = [any(wanted[j] not in (own[i], wanted[i]) for j in counted) for i in counted]
    assert arms.compared(0) == sum(told)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_answer_that_moves_anywhere_is_not_used(seed: int) -> None:
    """One change in nine falls on the predicted digit, which random edits never reach."""
    rng, own, wanted = _digits(seed)
    moved = rng.random(N) < 0.12
    found = _verdict(_arms(own, wanted, np.where(moved, (own + rng.integers(1, 10, N)) % 10, own)))
    row = found.difference.iloc[0]
    assert row["predicted_low"] > 0, "the random edits alone would call it used"
    assert row["followed_low"] < 0 < row["followed_high"] and row["p"] > 0.01
    assert not found.followed
    assert "but not as predicted" in str(found.conclusion())


def test_an_answer_that_follows_is_used() -> None:
    rng, own, wanted = _digits(3)
    found = _verdict(_arms(own, wanted, np.where(rng.random(N) < 0.1, wanted, own)))
    assert found.followed and found.metrics["p"] < 1e-6
    assert str(found.conclusion()).startswith("The answer uses")
    also = _verdict(_arms(own, wanted, wanted, random=wanted))
    assert not also.followed, "random edits do the same"


def test_an_answer_that_stays_is_not_seen_to_be_used() -> None:
    _, own, wanted = _digits(4)
    found = _verdict(_arms(own, wanted, own))
    assert not found.followed and found.outcome("probe")["mismatched"] == 0
    assert str(found.conclusion()).startswith("The answer is not seen to use")


def test_where_only_one_other_digit_can_be_predicted_nothing_is_told_apart() -> None:
    """A top digit of a sum is 0 or 1: that it changes is all that can be said."""
    own = np.random.default_rng(5).integers(2, size=N)
    found = _verdict(_arms(own, 1 - own, 1 - own))
    assert found.difference["compared"].iloc[0] == 0 and not found.followed
    assert "Whether it follows cannot be told" in str(found.conclusion())


def test_random_steps_lie_where_the_data_vary() -> None:
    rng = np.random.default_rng(6)
    sizes = np.array([10.0, 3.0, 1.0, 0.0, 0.0])
    X = 50 + rng.normal(size=(400, 5)) * sizes
    step = np.outer(rng.normal(size=8), [0, 0, 1.0, 0, 0])
    drawn = [random_edit(step, rng, X) for _ in range(300)]
    for each in drawn[:5]:
        assert np.linalg.norm(each, axis=1) == pytest.approx(np.linalg.norm(step, axis=1))
    shares = np.mean([(each**2).sum(axis=0) / (step**2).sum() for each in drawn], axis=0)
    normal = rng.multivariate_normal(np.zeros(5), np.diag(sizes**2), size=20_000)
    want = (normal**2 / (normal**2).sum(axis=1, keepdims=True)).mean(axis=0)
    assert shares == pytest.approx(want, abs=0.06)  # 300 draws of a share that spreads by 0.3
    anywhere = np.mean([(random_edit(step, rng) ** 2).sum(axis=0) for _ in range(300)], axis=0)
    assert anywhere / (step**2).sum() == pytest.approx(np.full(5, 0.2), abs=0.06)

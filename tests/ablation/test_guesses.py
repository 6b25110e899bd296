"""What can be guessed of an answer token from the true answer before it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.ablation.guesses import guessed


def test_a_token_that_the_answer_before_it_tells_is_guessed() -> None:
    """The second is constant in half of the prompts, and follows from the first in all."""
    labels = np.array([[1, 5]] * 3 + [[2, 7]] * 3)
    right, prompt = np.ones((6, 2), dtype=bool), np.arange(6)
    assert guessed(labels, right, prompt).tolist() == [0.5, 1.0]
    assert guessed(labels, right, prompt, shown=False).tolist() == [0.5, 0.5]


def test_a_prompt_says_nothing_of_itself_and_its_like() -> None:
    """Every answer comes once, but some prompts twice: then what is left is a constant."""
    labels = np.array([[1, 5], [1, 5], [2, 7], [2, 7], [3, 9], [3, 9]])
    right = np.ones((6, 2), dtype=bool)
    assert guessed(labels, right, np.array([0, 0, 1, 1, 2, 2]))[1] == pytest.approx(1 / 3)
    assert guessed(labels, right, np.arange(6))[1] == 1


def test_where_the_token_is_right_nowhere_nothing_is_guessed() -> None:
    labels, right = np.array([[1], [2]]), np.zeros((2, 1), dtype=bool)
    assert np.isnan(guessed(labels, right, np.arange(2))).all()


def slowly(labels: np.ndarray, right: np.ndarray, prompt: np.ndarray, role: int) -> float:
    rows = [row for row in range(len(labels)) if right[row, role] and labels[row, role] >= 0]
    score = 0.0
    for row in rows:
        for length in range(role, -1, -1):
            like = [
                labels[other, role]
                for other in rows
                if prompt[other] != prompt[row]
                and list(labels[other, :length]) == list(labels[row, :length])
            ]
            if like:
                times = Counter(like)
                tied = [token for token, count in times.items() if count == max(times.values())]
                score += (labels[row, role] in tied) / len(tied)
                break
    constant = max(Counter(labels[rows, role]).values())
    return max(score, constant) / len(rows)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_guess_is_that_of_a_slow_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distinct = rng.integers(0, 3, (12, 3))
    distinct[rng.random(12) < 0.2, 0] = -1
    prompt = rng.integers(0, 12, 20)
    labels, right = distinct[prompt], rng.random((20, 3)) < 0.8
    got = guessed(labels, right, prompt)
    for role in range(3):
        assert got[role] == pytest.approx(slowly(labels, right, prompt, role))

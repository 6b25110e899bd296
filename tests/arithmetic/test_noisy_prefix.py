"""Noisy prefixes and the next digit's exact and relaxed accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.arithmetic.formats import format
from interp.arithmetic.tasks import Addition
from interp.errors import InputError
from interp.suites.prefixes import noisy_prefix, score_next_digit


@given(
    st.integers(0, 1000),
    st.sets(st.integers(0, 5), min_size=1),
    st.sampled_from(["random", "precise"]),
)
@settings(deadline=None, max_examples=40)
def test_only_the_named_digits_are_wrong(seed: int, columns: set[int], noise: str) -> None:
    problems = Addition(5).sample(50, seed=seed)
    digits = noisy_prefix(problems, sorted(columns), noise=noise, seed=seed)  # type: ignore[arg-type]
    wrong = digits != problems.answer
    assert wrong.any(axis=0).nonzero()[0].tolist() == sorted(columns)
    assert wrong[:, sorted(columns)].all()
    assert digits.max() <= 9
    if noise == "precise":
        assert (np.abs(digits.astype(int) - problems.answer)[wrong] == 1).all()


def test_random_noise_takes_every_other_digit_alike() -> None:
    problems = Addition(1).problems([2] * 9000, [1] * 9000)
    digits = noisy_prefix(problems, [0], seed=1)[:, 0]
    values, counts = np.unique(digits, return_counts=True)
    assert values.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert (abs(counts - 1000) < 150).all()


def test_the_text_that_a_model_reads() -> None:
    problems = Addition(2).problems([12], [34])
    digits = noisy_prefix(problems, [0], noise="precise", seed=0)
    text = format("reversed").render(problems, answer=digits)[0].text
    assert text in {"21+43=540", "21+43=740"}


def test_next_digit_by_hand() -> None:
    problems = Addition(2).problems([12, 12, 45, 80, 51], [34, 34, 45, 19, 49])
    # digit 1 of 46, again 46, 90, 99, 100 is 4, 4, 9, 9, 0
    row = score_next_digit(problems, 1, [4, 7, 0, 8, -1]).iloc[0]
    assert (row["n"], row["n_distinct"]) == (5, 4)
    assert row["exact"] == 0.25
    assert row["relaxed"] == 0.75
    assert row["relaxed_low"] < 0.75 < row["relaxed_high"]


def test_chance_is_three_digits_in_ten() -> None:
    problems = Addition(4).sample(4000, seed=1)
    random = np.random.default_rng(0).integers(0, 10, 4000)
    row = score_next_digit(problems, 2, random).iloc[0]
    assert row["relaxed"] == pytest.approx(row["relaxed_chance"], abs=0.03)
    assert row["exact"] == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("columns", "noise", "message"),
    [
        ([], "random", r"digits of the answer, 0 to 2, not \[\]"),
        ([3], "random", r"0 to 2, not \[3\]"),
        ([-1], "random", r"0 to 2, not \[-1\]"),
        ([0], "loud", "noise must be 'random' or 'precise', not 'loud'"),
    ],
)
def test_bad_noise(columns: list[int], noise: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        noisy_prefix(Addition(2).problems([1], [2]), columns, noise=noise)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "predicted", "message"),
    [
        (0, [1, 2], "predicted must be 1 whole numbers"),
        (0, [10], "up to 9"),
        (0, [0.5], "not float64"),
        (3, [1], "has answer digits 0 to 2, not 3"),
    ],
)
def test_bad_predictions(column: int, predicted: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_next_digit(Addition(2).problems([1], [2]), column, predicted)

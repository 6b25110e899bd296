"""Samplers: what they balance is balanced, what they leave free is uniform."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from interp.arithmetic import (
    Addition,
    Expression,
    MixedAddition,
    ModularAddition,
    Multiplication,
    Problems,
    Subtraction,
    Task,
    sampler_names,
    task,
)
from interp.errors import InputError


def n_carries(problems: Problems) -> np.ndarray:
    return (problems.worksheet.carry != 0).sum(axis=0)


def reduced_chi2(counts: np.ndarray) -> float:
    expected = counts.mean()
    return float(((counts - expected) ** 2 / expected).sum() / max(1, len(counts) - 1))


def occurrences(problems: Problems, among: Problems) -> np.ndarray:
    """How often each row of `among` occurs in `problems`."""
    counted = Counter(map(bytes, problems.rows))
    return np.array([counted[bytes(row)] for row in among.rows])


@pytest.mark.parametrize("sampler", sampler_names())
def test_same_seed_same_problems(sampler: str) -> None:
    made = Addition(3) if sampler == "propagation" else Multiplication(3, 3)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002  the global state must stay as it is
    first = made.sample(200, seed=5, sampler=sampler)
    assert first == made.sample(200, seed=5, sampler=sampler)
    assert first != made.sample(200, seed=6, sampler=sampler)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    assert first.n == 200


@pytest.mark.parametrize("name", ["mul:1x1", "mod:7", "sub:1", "addsub:1"])
def test_uniform_is_uniform(name: str) -> None:
    made = task(name)
    counts = occurrences(made.sample(60_000, seed=0), made.grid())
    assert counts.sum() == 60_000
    assert 0.6 < reduced_chi2(counts) < 1.6


def test_full_width_has_no_leading_zero() -> None:
    lengths = Multiplication(4, 4).sample(3000, seed=0, full_width=True).lengths
    assert (lengths == 4).all()
    ones = Addition(1).sample(3000, full_width=True)
    assert set(ones.values(0)) == set(range(10))
    modular = ModularAddition(113).sample(3000, full_width=True)
    assert set(modular.values(0)) == set(range(100, 113))


@pytest.mark.parametrize("name", ["add:5", "sub:5", "addsub:4"])
def test_propagation_plants_a_run_in_every_row(name: str) -> None:
    made = task(name)
    problems = made.sample(4000, seed=2, sampler="propagation", share=1.0)
    hands_on = np.where(problems.operators == "-", 0, 9)
    run = problems.columns("column_sum")[:, : made.operand_digits[0]] == hands_on
    assert run.any(axis=1).all()
    assert run.all(axis=1).mean() > 0.15  # the longest run is one of four or five lengths


def test_runs_of_propagation_are_carried_into_about_as_often_as_not() -> None:
    problems = Addition(5).sample(4000, seed=2, sampler="propagation", share=1.0)
    run = problems.columns("column_sum")[:, 1:5] == 9
    carried_into = problems.columns("carry")[:, :4] > 0
    assert 0.2 < carried_into[run].mean() < 0.5
    behind_a_carry = Addition(5).sample(4000, seed=2, sampler="cascades", share=1.0)
    run = behind_a_carry.columns("column_sum")[:, 1:5] == 9
    assert (behind_a_carry.columns("carry")[:, :4] > 0)[run].mean() > 0.85


@pytest.mark.parametrize("name", ["add:5", "add:20", "add:100", "sub:6", "expr:A+B-C:3", "mul:4x4"])
def test_carries_are_balanced(name: str) -> None:
    counts = np.bincount(n_carries(task(name).sample(2101, sampler="carries")))
    assert counts.max() - counts[counts > 0].min() <= 1
    assert len(counts) == (counts > 0).sum()
    longest = {"add:5": 5, "add:20": 20, "add:100": 100, "sub:6": 5, "expr:A+B-C:3": 3}
    assert len(counts) - 1 == longest.get(name, 7)


def test_mixed_rows_are_balanced_by_operator() -> None:
    problems = MixedAddition(4).sample(9000, sampler="carries", seed=2)
    for operator, classes in (("+", 5), ("-", 4)):
        counts = np.bincount(n_carries(problems[problems.operators[:, 0] == operator]))
        assert len(counts) == classes
        assert np.ptp(counts) <= 1


@pytest.mark.parametrize("name", ["add:1", "sub:1", "sub:2", "expr:A-B-C:1", "expr:A+B-C:1"])
def test_problems_with_as_many_carries_are_equally_likely(name: str) -> None:
    made = task(name)
    grid = made.grid()
    counts = occurrences(made.sample(150_000, sampler="carries", seed=1), grid)
    for m in np.unique(n_carries(grid)):
        alike = counts[n_carries(grid) == m]
        assert 0.6 < reduced_chi2(alike) < 1.5, m


@pytest.mark.parametrize(
    ("name", "longest"),
    [("add:5", 5), ("add:20", 20), ("sub:5", 4), ("addsub:4", 4), ("expr:A+B-C:4", 4)],
)
def test_planted_cascades(name: str, longest: int) -> None:
    made = task(name)
    problems = made.sample(1500, sampler="cascades", share=1.0, seed=3)
    found = problems.columns("cascade").max(axis=1)
    assert found.min() == 2
    assert found.max() == longest
    uniform = made.sample(1500, seed=3).columns("cascade").max(axis=1)
    assert found.mean() > 2 * uniform.mean()


def test_the_share_of_cascades_is_a_share() -> None:
    made = Addition(6)
    for share in (0.0, 0.25, 1.0):
        long = made.sample(4000, sampler="cascades", share=share, min_length=6, seed=1)
        full = (long.columns("cascade").max(axis=1) == 6).mean()
        assert full == pytest.approx(share, abs=0.001)


def test_one_digit_factors_with_cascades() -> None:
    problems = Multiplication(5, 1).sample(500, sampler="cascades", share=1, min_length=3)
    assert problems.columns("cascade").max(axis=1).min() >= 3


def test_lengths_as_lee_et_al_balance_them() -> None:
    """All 100 one-digit sums, the rest even over the other combinations of up to 3 digits."""
    problems = Addition(3).sample(10_000, sampler="lengths", seed=0)
    lengths = np.sort(problems.lengths, axis=1)
    counts = {
        pair: int((lengths == pair).all(axis=1).sum())
        for pair in [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]
    }
    assert counts.pop((1, 1)) == 100
    assert set(counts.values()) == {(10_000 - 100) // 5}
    ones = problems[(problems.lengths == 1).all(axis=1)]
    assert ones.n_distinct == 100
    mixed = problems.lengths[lengths[:, 0] != lengths[:, 1]]
    assert 0.45 < (mixed[:, 0] < mixed[:, 1]).mean() < 0.55


@pytest.mark.parametrize("name", ["mul:5x1", "mod:113", "sub:3", "expr:A+B+C:2"])
@pytest.mark.parametrize("n", [1, 7, 500])
def test_lengths_of_other_tasks(name: str, n: int) -> None:
    problems = task(name).sample(n, sampler="lengths")
    assert problems.n == n
    classes = Counter(map(tuple, np.sort(problems.lengths, axis=1).tolist()))
    if name == "mul:5x1" and n == 500:
        assert classes == {(1, k): 100 for k in range(1, 6)}


def test_simple_products() -> None:
    made = Multiplication(4, 4)
    nonzero = (made.sample(4000, sampler="simple", share=1).operands[1] != 0).sum(axis=1)
    assert (nonzero == 1).all()
    half = made.sample(4000, sampler="simple", share=0.5, seed=2)
    simple = half[(half.operands[1] != 0).sum(axis=1) == 1]
    assert 0.5 <= simple.n / 4000 < 0.52  # uniform multipliers have one non-zero digit at 0.4 %
    places = (simple.operands[1] != 0).argmax(axis=1)
    assert reduced_chi2(np.bincount(places)) < 4


@pytest.mark.parametrize("places", [1, 2, 3, 4])
def test_multipliers_with_few_digits(places: int) -> None:
    made = Multiplication(3, 4).sample(6000, sampler="simple", share=1.0, places=places, seed=3)
    b = made.operands[1]
    assert ((b != 0).sum(axis=1) == places).all()
    # Each choice of places is as likely as the others, and each digit in them.
    choices = np.unique(b != 0, axis=0, return_counts=True)[1]
    expected = 6000 / math.comb(4, places)
    assert len(choices) == math.comb(4, places)
    assert np.abs(choices - expected).max() <= 5 * math.sqrt(expected)
    digits = np.bincount(b[b != 0], minlength=10)[1:]
    assert np.abs(digits - digits.mean()).max() <= 5 * math.sqrt(digits.mean())
    assert made.n == 6000 and (made.operands[0].max(axis=0) == 9).all()


@pytest.mark.parametrize(
    ("made", "arguments", "message"),
    [
        (Addition(2), {"n": 0}, "a sample needs n ≥ 1 problems, a whole number, not 0"),
        (Addition(2), {"n": -3}, "not -3"),
        (Addition(2), {"n": 2.5}, "not 2.5"),
        (Addition(2), {"n": True}, "not True"),
        (Addition(2), {"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        (Addition(2), {"seed": "a"}, "seed must be a whole number of at least 0, not 'a'"),
        (Addition(2), {"sampler": "sobol"}, "unknown sampler 'sobol': use one of uniform, carries"),
        (Addition(2), {"share": 0.5}, "sampler 'uniform' has no option 'share'; it has full_width"),
        (Addition(2), {"sampler": "carries", "x": 1}, "has no option 'x'; it has none"),
        (Addition(2), {"sampler": "cascades", "share": 1.5}, "share= must be a number from 0 to 1"),
        (Addition(2), {"sampler": "cascades", "share": -0.1}, "from 0 to 1, not -0.1"),
        (Addition(2), {"sampler": "cascades", "share": "all"}, "from 0 to 1, not 'all'"),
        (Addition(2), {"sampler": "cascades", "min_length": 0}, "min_length= must be a whole"),
        (
            Subtraction(3),
            {"sampler": "cascades", "min_length": 3},
            "sub:3 has no carry cascade of length 3, the longest has 2: lower min_length=",
        ),
        (ModularAddition(7), {"sampler": "carries"}, "mod:7 has no carries to balance"),
        (ModularAddition(7), {"sampler": "cascades"}, "mod:7 has no carry cascades"),
        (Multiplication(2, 2), {"sampler": "propagation"}, "mul:2x2 has no propagating columns"),
        (Addition(2), {"sampler": "simple"}, "needs a multiplier, and add:2 has none"),
        (Multiplication(2, 2), {"sampler": "simple", "share": 2}, "from 0 to 1, not 2"),
        (Multiplication(2, 2), {"sampler": "simple", "places": 3}, "of mul:2x2 1 to 2 digits"),
        (Multiplication(2, 2), {"sampler": "simple", "places": 0}, "places=0: of the multiplier"),
        (Multiplication(2, 2), {"sampler": "simple", "places": 1.5}, "places=1.5"),
        (
            Expression("A+B+C+D+E", 20),
            {"sampler": "lengths"},
            "too many combinations of operand lengths",
        ),
    ],
)
def test_bad_samples(made: Task, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        made.sample(**{"n": 10, **arguments})

"""The columns that tell operands and print apart; bad input; a Result that is made again."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import interp
from interp.errors import InputError
from interp.heads._carry import _check_layout
from interp.heads.nines import Columns, Sums, control_columns, longest_runs, with_runs
from interp.results.result import Result
from tests import tiny

ADD5 = interp.task("add:5")


@pytest.fixture(scope="module")
def add5():
    return interp.load("add5")


def by_hand(a: int, b: int) -> tuple[list[int], list[int]]:
    """Column sums and carries in, by longhand addition."""
    sums = [a // 10**k % 10 + b // 10**k % 10 for k in range(6)]
    carries = [0]
    for total in sums:
        carries.append(int(total + carries[-1] >= 10))
    return sums, carries


def test_longest_runs_by_hand() -> None:
    #                  99990+00009: columns 0 … 4 all nine; 12345+87651: 0 is 6, 1 … 4 nine
    found = longest_runs(ADD5.problems([99990, 12345, 11111], [9, 87651, 11111]))
    assert found.row.tolist() == [0, 1]
    assert found.upper.tolist() == [5, 5] and found.length.tolist() == [5, 4]


def test_runs_have_every_place_length_and_carry_equally_often() -> None:
    base = ADD5.sample(2500, seed=0)
    made = with_runs(base, None, seed=1)
    wanted: dict[tuple[int, int, int], int] = {}
    for a, b in zip(made.values(0), made.values(1), strict=True):
        sums, carries = by_hand(int(a), int(b))
        for k in range(1, 6):
            length = next((i for i in range(k) if sums[k - 1 - i] != 9), k)
            if length:
                key = (k, length, carries[k])
                wanted[key] = wanted.get(key, 0) + 1
    assert len(wanted) == 25  # a run down to column 0 has no carry into it
    assert min(wanted.values()) >= 100
    kept = with_runs(base, lambda some: some.answers() % 3 == 0, seed=1)
    assert (kept.answers() % 3 == 0).all()
    with pytest.raises(InputError, match=r"not held out .* longer task"):
        with_runs(base[:5], lambda some: np.zeros(len(some), dtype=bool), seed=1)


def test_forced_digits_by_hand() -> None:
    # 41935 + 18067 = 60002: columns 1, 2, 3 sum to nine; 12345 + 87651 = 99996: 1, 2, 3, 4
    problems = ADD5.problems([41935, 12345], [18067, 87651])
    at, sums = longest_runs(problems), Sums.of(problems)
    assert at.upper.tolist() == [4, 5] and at.length.tolist() == [3, 4]
    near, longer = sums.forced(at, least_first=True, run=False)
    every, _ = sums.forced(at, least_first=True, run=True)
    assert near.tolist() == [[2, 0, 0, 9, 6, 0], [6, 9, 9, 9, 0, 0]]
    assert every.tolist() == [[2, 9, 9, 9, 6, 0], [6, 0, 0, 0, 0, 0]]
    assert longer.tolist() == [True, True]
    inside = Columns(np.array([0]), np.array([2]), np.array([1]))
    near, longer = sums.forced(inside, least_first=False, run=False)
    every, _ = sums.forced(inside, least_first=False, run=True)
    assert near.tolist() == [[2, 0, 9, 0, 6, 0]] and longer.tolist() == [True]
    assert every.tolist() == [[2, 0, 9, 9, 5, 0]]


def test_controls_do_not_sum_to_nine() -> None:
    problems = ADD5.sample(300, seed=2, sampler="propagation", share=1.0)
    at = control_columns(problems, 0)
    sums = problems.columns("column_sum")
    assert (sums[at.row, at.upper - 1] != 9).all()
    assert set(at.upper) == {1, 2, 3, 4, 5}


def test_from_the_highest_digit_it_says_so(add5) -> None:
    found = interp.heads.carry(add5, "add:5", n=60)
    assert found.kind == "by construction" and not found.least_first
    assert "look-ahead by construction" in found.conclusion()
    scored = found.rows[found.rows["forced"] == "neighbour"]
    below = [int(f[1:]) - int(d[1:]) for f, d in zip(scored["forced_digit"], scored["digit"],
                                                   strict=True)]  # fmt: skip
    assert set(below) == {1}
    assert found.settings["held_out"] == "training"
    split = add5.split
    for row in scored.itertuples():
        a, b = map(int, row.problem.split("+"))
        assert split.keeps(ADD5.problems([a], [b]), "test").all()
        assert row.operands == by_hand(a, b)[1][int(row.digit[1:])]


def test_mixed_tasks_are_asked_for_sums() -> None:
    model = interp.load("addsub5")
    found = interp.heads.carry(model, "addsub:5", n=40)
    assert found.rows["problem"].str.contains(r"\+").all()
    drawn = interp.task("addsub:5").sample(80, seed=0, sampler="propagation", share=1.0)
    asked = interp.heads.carry(model, drawn, runs="asked")
    assert asked.settings["left_out"] >= (drawn.operators == "-").sum()
    assert set(asked.rows["problem"]) <= {drawn.text(i) for i in range(80)}


def test_it_is_saved_and_made_again(add5, tmp_path) -> None:
    found = interp.heads.carry(add5, "add:5", n=32, seed=1)
    assert Result.load(found.save(tmp_path / "carry")) == found
    names: dict[str, object] = {}
    exec(found.code, names)
    assert names["result"] == found
    assert found.figure().layout.title.text.startswith("Does the carry")


def test_bad_input(add5) -> None:
    for name, task in (("mul5x1-reversed", "mul:5x1"), ("mod113", "mod:113")):
        with pytest.raises(InputError, match=r"no addition of two numbers.*'add:5'"):
            interp.heads.carry(interp.load(name), task)
    with pytest.raises(InputError, match="runs='plnted': use 'planted' or 'asked'"):
        interp.heads.carry(add5, "add:5", n=4, runs="plnted")
    with pytest.raises(InputError, match="no column of these sums adds up to nine"):
        interp.heads.carry(add5, ADD5.problems([11111], [11111]), runs="asked")
    subtractions = interp.task("addsub:5").problems([5], [3], operators=["-"])
    with pytest.raises(InputError, match="all differences"):
        interp.heads.carry(interp.load("addsub5"), subtractions, runs="asked")


def test_a_forced_digit_must_not_move_tokens(tmp_path) -> None:
    model = interp.load(str(tiny.save("gpt2", tmp_path / "tiny")))
    with pytest.raises(InputError, match=r"has other positions than .* fixed width"):
        interp.heads.carry(model, "add:2", n=30, format="plain")


def test_the_answer_alone_may_tell_the_carry() -> None:
    def batch(answer: tuple[str, ...], *others: str) -> SimpleNamespace:
        roles = (*others, *answer)
        return SimpleNamespace(
            problems=interp.task("add:1").problems([1], [2]),
            answer_roles=answer,
            roles=roles,
            format="some",
        )

    _check_layout(batch(("c0", "c1"), "a0", "b0"))
    with pytest.raises(InputError, match="works the sum out before it answers"):
        _check_layout(batch(("c0", "c1"), "a0", "b0", "t0"))
    with pytest.raises(InputError, match="writes no token of its own for c0, c1"):
        _check_layout(batch(("c[0:2]",), "a0", "b0"))

"""Tasks, their names, and problems made from what people have at hand."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.arithmetic import (
    Addition,
    Expression,
    MixedAddition,
    ModularAddition,
    Multiplication,
    Problems,
    Subtraction,
    Task,
    task,
)
from interp.errors import ArithmoscopeError, InputError

TASKS = [
    (Addition(5), "add:5", 6, False),
    (Subtraction(5), "sub:5", 5, True),
    (MixedAddition(5), "addsub:5", 6, True),
    (Multiplication(4, 4), "mul:4x4", 8, False),
    (Multiplication(5, 1), "mul:5x1", 6, False),
    (ModularAddition(113), "mod:113", 3, False),
    (ModularAddition(10), "mod:10", 1, False),
    (Expression("A+B-C"), "expr:A+B-C:2", 3, True),
    (Expression("A-B-C-D", 1), "expr:A-B-C-D:1", 2, True),
    (Expression("A±B+C", 3), "expr:A±B+C:3", 4, True),
]


@pytest.mark.parametrize(("made", "name", "answer_digits", "signed"), TASKS, ids=lambda x: str(x))
def test_a_name_and_its_inverse(made: Task, name: str, answer_digits: int, signed: bool) -> None:
    assert made.name == name
    assert task(name) == made
    assert hash(task(name)) == hash(made)
    assert pickle.loads(pickle.dumps(made)) == made
    assert (made.answer_digits, made.signed) == (answer_digits, signed)


@pytest.mark.parametrize(("made", "name", "answer_digits", "signed"), TASKS, ids=lambda x: str(x))
def test_answer_digits_are_just_enough(
    made: Task, name: str, answer_digits: int, signed: bool
) -> None:
    extremes = [limit - 1 for limit in made.operand_limits]
    largest = 0
    for operators in np.array(np.meshgrid(*made.operators)).reshape(len(made.operators), -1).T:
        for first in (0, extremes[0]):
            rest = [
                0 if (first == 0) == (operator == "+") else most
                for operator, most in zip(operators, extremes[1:], strict=True)
            ]
            if made.arithmetic == "product":
                rest = extremes[1:]
            problems = made.problems(first, *rest, operators="".join(operators))
            largest = max(largest, abs(problems.answers()[0]))
    if made.arithmetic != "modular":
        assert len(str(largest)) == answer_digits


def test_expressions_name_more_operands() -> None:
    made = Expression("A + B - C + D")
    assert made == task("expr:A+B-C+D")
    assert made.operand_names == ("a", "b", "d", "e")
    problems = made.problems(10, 20, 45, 3)
    assert problems.answers().tolist() == [-12]
    assert problems.truth["d[0]"].tolist() == [5]
    assert problems.text(0) == "10+20-45+3"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("div:5", "unknown task 'div:5': write one such as "),
        ("add", "cannot read task 'add': write it as add:5"),
        ("add:five", "cannot read task 'add:five': write it as add:5"),
        ("mul:4", "cannot read task 'mul:4': write it as mul:4x4"),
        ("mul:4x4x4", "write it as mul:4x4"),
        ("add:0", "Addition's number of digits must be between 1 and 100, not 0"),
        ("add:101", "between 1 and 100, not 101"),
        ("mul:4x0", "Multiplication's n (digits of b) must be between 1 and 100"),
        ("mod:1", "ModularAddition's p must be between 2 and 10**18, not 1"),
        ("expr:A*B", "for products use Multiplication(m, n)"),
        ("expr:A+C", "must name its operands A, B, C, … in order"),
        ("expr:A", "'A' is not an expression this task knows"),
        ("expr:A+B+C+D+E+F+G+H+I", "8 at most"),
        (5, "a task's name is a string such as 'add:5', not 5"),
    ],
)
def test_bad_names(name: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        task(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Addition(2.0), "must be a whole number, not 2.0"),  # type: ignore[arg-type]
        (lambda: Addition(True), "must be a whole number, not True"),
        (lambda: ModularAddition("113"), "must be a whole number"),  # type: ignore[arg-type]
        (lambda: Expression("A+B", 0), "between 1 and 100, not 0"),
        (lambda: Expression("a+b"), "join capital letters with +, - or ±"),
    ],
)
def test_bad_tasks(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        make()


@given(a=st.integers(0, 10**20 - 1), b=st.integers(0, 10**20 - 1))
def test_integers_lists_and_digits_give_the_same_problems(a: int, b: int) -> None:
    made = Addition(20)
    digits = [np.array([[int(d) for d in reversed(str(x))]]) for x in (a, b)]
    expected = made.problems(a, b)
    assert made.problems([a], [b]) == expected
    assert made.problems(*digits) == expected
    assert made.problems(np.array([a], dtype=object), b) == expected
    assert expected.values(0).tolist() == [a]
    assert expected.lengths.tolist() == [[len(str(a)), len(str(b))]]


def test_a_single_integer_stands_for_every_row() -> None:
    problems = Subtraction(2).problems([1, 2, 3], 10)
    assert problems.answers().tolist() == [-9, -8, -7]
    assert repr(problems) == "<3 problems of sub:2: 1-10, 2-10, 3-10>"


def test_operators_in_every_form() -> None:
    made = Expression("A±B±C", 1)
    expected = [6 + 2 - 1, 6 - 2 + 1]
    for operators in (["+-", "-+"], np.array([["+", "-"], ["-", "+"]]), [("+-"), ("-+")]):
        assert made.problems(6, 2, [1, 1], operators=operators).answers().tolist() == expected
    assert made.problems(6, 2, [1, 1], operators="--").answers().tolist() == [3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "there are no problems of add:2 here: give at least one"),
        ((1,), "add:2 takes 2 operands, not 1"),
        (([1, 2], [1, 2, 3]), "operands differ in length: [2, 3] rows"),
        ((100, 1), "operand 0 of add:2 cannot be 100: it must be between 0 and 99"),
        ((1, -1), "operand 1 of add:2 cannot be -1: it must be between 0 and 99"),
        ((1, 10**30), "it must be between 0 and 99"),
        ((np.array([2**64 - 1], dtype=np.uint64), 1), "cannot be 18446744073709551615"),
        ((1.5, 1), "operand 0 of add:2 holds 1.5; give whole numbers"),
        (([True], 1), "operand 0 of add:2 holds True"),
        (("12", 1), "holds '12'; give whole numbers"),
        ((np.array([[1, 2, 3]]), 1), "has 2 digits, too few for an array of 3 columns"),
        ((np.array([[1, 12]]), 1), "a digit array holds digits from 0 to 9"),
        ((np.array([[1.0, 2.0]]), 1), "digit arrays hold whole numbers, not float64"),
        ((np.zeros((0, 2), dtype=np.uint8), []), "there are no problems of add:2"),
    ],
)
def test_bad_operands(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Addition(2).problems(*arguments)


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        (None, "addsub:2 leaves the operator open: pass operators=, such as '-'"),
        ("*", "addsub:2 has no operator '*' at gap 0; it allows +, -"),
        ("+-", "operators= must give 1 for each of 3 problems"),
        (["+", "-"], "operators= must give 1 for each of 3 problems"),
    ],
)
def test_bad_operators(operators: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        MixedAddition(2).problems([1, 2, 3], 4, operators=operators)


def test_modular_operands_stay_below_p() -> None:
    with pytest.raises(InputError, match="must be between 0 and 112"):
        ModularAddition(113).problems(113, 0)
    with pytest.raises(InputError, match="operands of mod:113 must be below 113"):
        ModularAddition(113).problems(np.array([[3, 1, 1]]), 0)


def test_a_grid_has_every_problem_once() -> None:
    grid = MixedAddition(1).grid()
    assert grid.n == grid.n_distinct == 200
    assert set(zip(grid.values(0), grid.values(1), strict=True)) == {
        (a, b) for a in range(10) for b in range(10)
    }
    assert ModularAddition(7).grid().answers().sum() == 7 * sum(range(7))
    assert Multiplication(2, 1).grid().n == 1000


def test_a_grid_that_is_too_large() -> None:
    with pytest.raises(InputError, match=r"mul:4x4 has 100,000,000 problems, .* draw a sample"):
        Multiplication(4, 4).grid()


def test_rows_are_chosen_like_rows_of_an_array() -> None:
    problems = Addition(2).problems(range(10), range(10, 20))
    sums = problems.answers()
    mask = sums % 4 == 0
    for rows in (slice(2, 7, 2), mask, np.array([3, 3, -1]), [0, 5]):
        assert problems[rows].answers().tolist() == sums[rows].tolist()
    assert problems[4].answers().tolist() == [sums[4]]
    assert problems[-1].n == 1
    assert [row.answers()[0] for row in problems] == sums.tolist()
    with pytest.raises(IndexError):
        problems[10]


@pytest.mark.parametrize("rows", [slice(0, 0), np.zeros(3, dtype=bool), [], np.array([], int)])
def test_an_empty_selection_is_refused(rows: Any) -> None:
    with pytest.raises(InputError, match="the selection leaves none of 3 problems"):
        Addition(2).problems([1, 2, 3], 4)[rows]


def test_concatenation() -> None:
    first, second = Addition(2).problems([1, 2], 3), Addition(2).problems(4, 5)
    assert Problems.concat([first, second]) == Addition(2).problems([1, 2, 4], [3, 3, 5])
    with pytest.raises(InputError, match="of different tasks cannot be concatenated: add:2, add:3"):
        Problems.concat([first, Addition(3).problems(1, 1)])
    with pytest.raises(InputError, match="nothing to concatenate"):
        Problems.concat([])


def test_distinct_problems_are_counted_once() -> None:
    problems = MixedAddition(2).problems([1, 1, 2, 1], [2, 2, 1, 2], operators=["+", "+", "+", "-"])
    assert (problems.n, problems.n_distinct) == (4, 3)
    assert problems != problems[:2]
    assert problems != "1+2"


def test_digits_above_nine_are_refused() -> None:
    digits = np.array([[1, 10]], dtype=np.uint8)
    with pytest.raises(InputError, match="operand 0 has the digit 10"):
        Problems(Addition(2), [digits, digits], np.array([["+"]]))
    with pytest.raises(InputError, match="must be a uint8 array of shape"):
        Problems(Addition(2), [digits[:, :1], digits], np.array([["+"]]))


def test_all_refusals_are_of_one_family() -> None:
    with pytest.raises(ArithmoscopeError):
        task("nothing")
    with pytest.raises(ValueError, match="unknown task"):
        task("nothing")

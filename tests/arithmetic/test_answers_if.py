"""The answer that follows from another intermediate, against schoolbook work in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
from interp.arithmetic.answers_if import (
    answer_follows,
    answer_if,
    keeps_sign,
    named_digit,
    value_range,
)
from interp.errors import InputError


def _by_hand(a: list[int], b: list[int], columns: int, name: str, value: int) -> list[int]:
    """Digits of a·b, least significant first, with one intermediate given."""
    out, carry = [], 0
    for k in range(columns):
        total = 0
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                if i + j == k:
                    total += value if name == f"product[{i},{j}]" else x * y
        if name == f"column_sum[{k}]":
            total = value
        running = value if name == f"running_sum[{k}]" else total + carry
        out.append(value if name == f"c[{k}]" else running % 10)
        carry = value if name == f"carry[{k}]" else running // 10
    return out


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.integers(0, 99), st.data())
def test_products(a: int, b: int, data: st.DataObject) -> None:
    task = interp.Multiplication(3, 2)
    problems = task.problems([a], [b])
    name = data.draw(st.sampled_from(
        ["product[2,1]", "product[0,0]", "column_sum[1]", "running_sum[2]", "carry[0]", "c[3]"]
    ))  # fmt: skip
    value = data.draw(st.integers(0, 9 if name.startswith("c[") else 80))
    digits = [[int(d) for d in f"{x:0{w}d}"[::-1]] for x, w in ((a, 3), (b, 2))]
    want = _by_hand(*digits, task.answer_digits, name, value)
    assert answer_if(problems, name, np.array([value]))[0].tolist() == want


def _subtract_by_hand(a: int, b: int, name: str, value: int) -> tuple[list[int], bool]:
    """Digits of |a - b|, least significant first, larger above smaller, with one intermediate
    given; and whether the borrowing came out even."""
    upper, lower = ([int(d) for d in f"{x:03d}"[::-1]] for x in (max(a, b), min(a, b)))
    out, owed = [], False
    for k, (x, y) in enumerate(zip(upper, lower, strict=True)):
        difference = value if name == f"column_sum[{k}]" else x - y
        left = value if name == f"running_sum[{k}]" else difference - (1 if owed else 0)
        owed = left < 0
        while left < 0:
            left += 10
        out.append(value if name == f"c[{k}]" else left % 10)
        if name == f"borrow[{k}]":
            owed = bool(value)
    return out, not owed


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 999), st.integers(0, 999), st.sampled_from(["sub:3", "addsub:3"]), st.data())
def test_differences(a: int, b: int, name: str, data: st.DataObject) -> None:
    task = interp.task(name)
    problems = task.problems([a], [b], operators="-")
    column, least, most = data.draw(st.sampled_from([
        ("borrow[0]", 0, 1), ("borrow[1]", 0, 1), ("c[0]", 0, 9), ("c[2]", 0, 9),
        ("column_sum[1]", -9, 9), ("running_sum[0]", -9, 9), ("running_sum[1]", -10, 9),
    ]))  # fmt: skip
    value = data.draw(st.integers(least, most))
    want, even = _subtract_by_hand(a, b, column, value)
    new = np.array([float(value)])
    keeps = bool(keeps_sign(problems, column, new)[0])
    assert keeps == (even and (any(want) or a >= b))
    if keeps:
        got = answer_if(problems, column, new)[0].tolist()
        assert got == want + [0] * (task.answer_digits - 3)


def test_the_sums_of_a_mixed_task_carry() -> None:
    problems = interp.task("addsub:2").problems([17, 17], [5, 25], operators=["+", "-"])
    got = answer_if(problems, "carry[0]", np.array([0.0, 0.0]))
    assert got.tolist() == [[2, 1, 0], [8, 0, 0]]
    assert named_digit("borrow[0]") == "c1"


def test_an_operand_that_turns_the_sign_round_is_left_out() -> None:
    problems = interp.task("sub:2").problems([52, 52], [41, 41])
    assert keeps_sign(problems, "b[1]", np.array([4.0, 6.0])).tolist() == [True, False]


def test_the_true_value_leaves_the_answer() -> None:
    shared = ("running_sum[2]", "column_sum[0]", "a[1]", "c[2]")
    for name, own in (("add:3", "carry[1]"), ("mul:2x2", "carry[1]"), ("sub:3", "borrow[1]"),
                      ("addsub:3", "borrow[0]"), ("addsub:3", "carry[1]")):  # fmt: skip
        problems = interp.task(name).sample(50, seed=3)
        for column in (*shared, own):
            true = problems.column(column).astype(float)
            assert (answer_if(problems, column, true) == problems.answer).all(), column
            assert keeps_sign(problems, column, true).all(), column


def test_residues_and_names() -> None:
    problems = interp.ModularAddition(13).problems([5], [9])
    assert answer_if(problems, "a_value", np.array([8.0]))[0].tolist() == [4, 0]
    assert answer_if(problems, "c_value", np.array([12.0]))[0].tolist() == [2, 1]
    assert named_digit("carry[1]") == "c2" and named_digit("product[1,2]") == "c3"
    assert named_digit("parity(a)") is None


@pytest.mark.parametrize(
    "name",
    ["add:2", "mul:2x2", "mul:1x2", "mod:7", "sub:1", "sub:2", "addsub:2", "expr:A-B+C:1",
     "expr:A-B-C:1"],
)  # fmt: skip
def test_the_range_is_that_of_every_problem(name: str) -> None:
    task = interp.task(name)
    problems = task.grid()
    residues = ("a_value", "b_value", "c_value", "sum")
    columns = ("carry", "borrow", "running_sum", "column_sum", "c", "product")
    families = residues if name.startswith("mod") else columns
    asked = [x for x in problems.truth.columns if x.split("[")[0] in families]
    assert len(asked) > 3
    for each in asked:
        column = problems.column(each)
        assert value_range(task, each) == (column.min(), column.max()), each


@pytest.mark.parametrize(
    ("task", "name"),
    [("sub:2", "sign[0]"), ("add:2", "parity(a)"), ("mul:2x2", "magnitude(c)"),
     ("sub:2", "near(a,5)"), ("mod:7", "wrap")],
)  # fmt: skip
def test_where_no_answer_follows(task: str, name: str) -> None:
    problems = interp.task(task).sample(5)
    assert not answer_follows(problems.task, name)
    with pytest.raises(InputError, match=r"no answer follows .* mode='remove'"):
        answer_if(problems, name, np.zeros(5))

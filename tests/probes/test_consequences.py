"""The answer that follows from another intermediate, against schoolbook work in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
from interp.errors import InputError
from probes.consequences import answer_if, largest_value, named_digit


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


def test_the_true_value_leaves_the_answer() -> None:
    for name in ("add:3", "mul:2x2"):
        problems = interp.task(name).sample(50, seed=3)
        for column in ("carry[1]", "running_sum[2]", "column_sum[0]", "a[1]", "c[2]"):
            same = answer_if(problems, column, problems.column(column).astype(float))
            assert (same == problems.answer).all(), column


def test_residues_and_names() -> None:
    problems = interp.ModularAddition(13).problems([5], [9])
    assert answer_if(problems, "a_value", np.array([8.0]))[0].tolist() == [4, 0]
    assert answer_if(problems, "c_value", np.array([12.0]))[0].tolist() == [2, 1]
    assert named_digit("carry[1]") == "c2" and named_digit("product[1,2]") == "c3"
    assert named_digit("parity(a)") is None


@pytest.mark.parametrize("name", ["add:2", "mul:2x2", "mul:1x2", "mod:7"])
def test_the_largest_value_is_that_of_every_problem(name: str) -> None:
    task = interp.task(name)
    problems = task.grid()
    residues = ("a_value", "b_value", "c_value", "sum")
    columns = ("carry", "running_sum", "column_sum", "c", "product")
    families = residues if name.startswith("mod") else columns
    asked = [x for x in problems.truth.columns if x.split("[")[0] in families]
    assert len(asked) > 3
    for each in asked:
        assert largest_value(task, each) == problems.column(each).max(), each


@pytest.mark.parametrize(("task", "name"), [("sub:2", "borrow[0]"), ("add:2", "parity(a)")])
def test_where_no_answer_follows(task: str, name: str) -> None:
    problems = interp.task(task).sample(5)
    with pytest.raises(InputError, match="mode='remove'"):
        answer_if(problems, name, np.zeros(5))

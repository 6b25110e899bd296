"""Targets: their values, what they need, and where arithmetic can know them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
import probes
from interp.errors import InputError
from probes.needs import column_needs, own_digits
from probes.places import digits_seen, predicted_role, roles_at
from tests import tiny

TASKS = ("add:2", "sub:2", "addsub:2", "mul:2x3", "mod:13", "expr:A+B-C:2")


@pytest.mark.parametrize("name", TASKS)
def test_every_named_target_has_finite_values(name: str) -> None:
    task = interp.task(name)
    problems = task.sample(40, seed=1)
    for each in probes.target_names(task):
        values = probes.target(task, each).values(problems)
        assert values.shape == (40,) and np.isfinite(values).all(), each


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(TASKS), st.integers(0, 10**6))
def test_a_target_is_a_function_of_what_it_needs(name: str, seed: int) -> None:
    """Problems that agree in the digits needed agree in the target."""
    task = interp.task(name)
    problems = task.sample(1500, seed=seed)
    names = probes.target_names(task)
    for each in np.random.default_rng(seed).choice(names, 8, replace=False):
        needs = sorted(column_needs(task, each))
        columns = [_digit(problems, need) for need in needs]
        keys = np.stack(columns, axis=1) if columns else np.zeros((len(problems), 1))
        of = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
        values = probes.target(task, each).values(problems)
        order = np.argsort(of, kind="stable")
        same = of[order][1:] == of[order][:-1]
        assert (values[order][1:][same] == values[order][:-1][same]).all(), each


def _digit(problems: Any, need: str) -> Any:
    if need.startswith("op"):
        return (problems.operators[:, int(need[2:] or 1) - 1] == "-").astype(int)
    return problems.operands[problems.task.operand_names.index(need[0])][:, int(need[1:])]


def test_whole_numbers_by_hand() -> None:
    task = interp.Addition(3)
    problems = task.problems([0, 14, 999], [1, 6, 1])
    by_hand = {
        "magnitude(a)": [0.0, np.log10(15), 3.0],
        "parity(a)": [0, 0, 1],
        "residue(a,7)": [0, 0, 5],
        "near(a,5)": [1, 1, 1],
        "near(a,10)": [1, 0, 1],
        "near(a,3)": [1, 0, 1],
        "parity(c)": [1, 0, 0],
    }
    for name, want in by_hand.items():
        assert probes.target(task, name).values(problems) == pytest.approx(want), name


def test_a_task_goes_by_its_name() -> None:
    task = interp.task("mul:2x2")
    assert interp.task(task) is task
    assert probes.target_names("mul:2x2") == probes.target_names(task)
    assert probes.target("mul:2x2", "carry[1]") == probes.target(task, "carry[1]")


def test_kinds() -> None:
    task = interp.Multiplication(2, 2)
    assert probes.target(task, "carry[1]").kind == "real"
    assert probes.target(interp.Addition(2), "carry[1]").kind == "class"
    assert probes.target(task, "residue(a,7)").modulus == 7
    assert probes.target(task, "product_last[0,1]:angle").modulus == 10
    assert probes.target(task, "carry[1]:class").spec(task) == "carry[1]:class"
    assert own_digits(task, "product[1,0]") == ("a1", "b0")


def test_what_was_seen(add5: Any) -> None:
    batch = add5.prompts(add5.task.sample(6, seed=0))
    carry, digit = (probes.target(add5.task, name) for name in ("carry[1]", "a[3]"))
    assert [carry.known_at(batch, role) for role in ("a0", "b2", "b0", "last", "c4")] == [
        False, False, True, True, True,
    ]  # fmt: skip
    assert digit.known_at(batch, "a3") and not digit.known_at(batch, "a4")
    running = probes.target(add5.task, "running_sum[2]")
    assert running.visible_at(batch, "c2") == "mod 10" and running.visible_at(batch, "c3") == ""
    assert digit.visible_at(batch, "a3") == "whole"
    assert digit.copied and not carry.copied
    assert (roles_at(batch, "predicts(c4)") == "c5").all()
    assert predicted_role(batch, "last") == "c5"


def test_digits_that_a_short_number_lacks_are_known_once_it_ends(tmp_path: Path) -> None:
    model = interp.load(str(tiny.save("gpt2", tmp_path / "tiny")))
    problems = interp.Addition(2).problems([5, 15], [3, 20])
    batch = model.prompts(problems, format="plain")
    seen = digits_seen(batch, "op")
    assert seen["a1"].all() and seen["a0"].all() and "b0" not in seen
    assert digits_seen(batch, "a0")["a1"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("carry[9]", "carry goes from"),
        ("nonsense", "families are"),
        ("near(a)", "K of 2 or more"),
        ("parity(z)", "no truth column"),
        ("parity(d)", "no number 'd'"),
        ("carry[0]:angle", "no residue"),
        ("carry[0]:round", "unknown kind"),
        ("class[0]:real", "names for values"),
    ],
)
def test_names_that_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        probes.target(interp.Addition(2), name)

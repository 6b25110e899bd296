"""Splits share no value; designs refuse targets that cannot be learnt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
import probes
from interp.arithmetic.problems import as_keys
from interp.errors import InputError
from probes.design import Scheme, designs_of
from probes.splits import digit_values


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["operand", "operand:a", "problem", "combination"]), st.integers(0, 99))
def test_training_and_held_out_share_nothing(by: str, seed: int) -> None:
    task = interp.Multiplication(2, 2)
    problems = task.sample(600, seed=seed)
    target = probes.target(task, "product[0,1]")
    found = probes.split(problems, by, target=target, seed=seed)
    assert sorted([*found.train, *found.test]) == list(range(600))
    values = {
        "operand": problems.operands[1],
        "operand:a": problems.operands[0],
        "combination": digit_values(problems, ("a0", "b1")),
    }.get(by)
    if values is None:
        pairs = np.sort(np.stack([problems.values(0), problems.values(1)]).astype(int), axis=0)
        values = np.ascontiguousarray(pairs.T.astype(np.uint8))
    keys = as_keys(np.ascontiguousarray(values))
    assert not set(keys[found.train].tolist()) & set(keys[found.test].tolist())
    for key in np.unique(keys[found.train]):  # and no fold shares one with another
        assert len(np.unique(found.fold[keys[found.train] == key])) == 1


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from([0.25, 1 / 3, 0.2]), st.sampled_from(["operand", "problem"]), st.integers(0, 9)
)
def test_in_turns_every_value_is_held_out_once(test: float, by: str, seed: int) -> None:
    problems = interp.Addition(2).sample(300, seed=seed)
    turns = round(1 / test)
    every = [probes.split(problems, by, test=test, seed=seed, turn=turn) for turn in range(turns)]
    assert sorted(np.concatenate([one.test for one in every])) == list(range(300))
    for one in every:
        assert sorted([*one.train, *one.test]) == list(range(300))
        if by == "operand":
            b = problems.values(1).astype(int)
            assert not set(b[one.train]) & set(b[one.test])
        assert sorted(set(one.fold)) == list(range(5))
    with pytest.raises(InputError, match=f"{turns} turns"):
        probes.split(problems, by, test=test, seed=seed, turn=turns)
    with pytest.raises(InputError, match="its own rows"):
        probes.split(problems, every[0], turn=1)


def test_a_number_is_held_out_where_a_target_is_about_it() -> None:
    task = interp.Addition(2)
    problems = task.sample(500, seed=0)
    split = probes.split(problems, target=probes.target(task, "near(a,5)"))
    a = problems.values(0).astype(int)
    assert not set(a[split.train]) & set(a[split.test])


def test_the_control_task_is_a_function_of_the_input_type() -> None:
    task = interp.Multiplication(2, 2)
    problems = task.sample(800, seed=0)
    (design,) = designs_of(problems, [probes.target(task, "product[1,0]")], Scheme("problem"))
    labels = design.wrong["control_task"][:, 0]
    types = digit_values(problems, ("a1", "b0")) @ [10, 1]
    for kind in np.unique(types):
        assert len(np.unique(labels[types == kind])) == 1
    assert np.corrcoef(labels, design.values[:, 0])[0, 1] < 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "sideways"}, "unknown split"),
        ({"by": "operand:q"}, "unknown split"),
        ({"test": 1.5}, "between 0 and 1"),
        ({"folds": 1}, "at least 2"),
        ({"folds": 500}, "too few"),
        ({"by": "combination"}, "no one or two digits"),
    ],
)
def test_splits_that_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        probes.split(interp.Addition(2).sample(100), **options)  # type: ignore[arg-type]


def test_own_rows() -> None:
    problems = interp.Addition(2).sample(100)
    with pytest.raises(InputError, match="both halves"):
        probes.Split("mine", np.arange(50), np.arange(49, 60), np.zeros(50))
    far = probes.Split("mine", np.arange(50), np.arange(50, 101), np.arange(50) % 5)
    with pytest.raises(InputError, match="names row 100"):
        probes.split(problems, far)


def test_what_cannot_be_learnt_is_refused() -> None:
    task = interp.Addition(2)
    problems = task.problems(list(range(30)), [1] * 30)
    with pytest.raises(InputError, match=r"b\[0\] is always 1"):
        designs_of(problems, [probes.target(task, "b[0]")], Scheme("operand:a"))
    few = task.problems(list(range(12)), list(range(12)))
    with pytest.raises(InputError, match=r"too few for the .* classes"):
        designs_of(few, [probes.target(task, "a[0]")], Scheme("problem", folds=2))

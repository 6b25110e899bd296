"""Which targets the prompts at a place can judge: folds by class, reasons, working remedies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
import probes
from interp.errors import InputError
from probes.design import LeftOut, Scheme, designs_of
from probes.fitting import fit_design
from probes.results.sweep import ProbeSweep
from probes.splits import Split, spread
from tests import tiny


def _split(unit: list[int], fold: list[int]) -> Split:
    rows = np.arange(len(unit))
    return Split("mine", rows, np.array([len(unit)]), np.array(fold), np.array(unit))


def test_a_class_of_two_values_in_one_fold_is_spread_over_two() -> None:
    """Values 0 and 1 alone have class 7 and share fold 0: one of them changes place."""
    mine = _split([0, 0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 2, 2])
    labels = np.array([7.0, 1, 7, 1, 1, 1, 1, 1])
    found = spread(mine, labels)
    assert len(set(found.fold[labels[:-1] == 7])) == 2
    assert found.fold[0] == found.fold[1]  # a value stays whole
    assert sorted(np.bincount(found.fold[1:])) == [2, 2, 2]  # values a fold
    np.testing.assert_array_equal(found.test, mine.test)
    assert spread(found, labels) is found


def test_what_one_value_has_alone_and_given_folds_stay() -> None:
    alone = _split([0, 1, 2, 3], [0, 0, 1, 1])
    labels = np.array([7.0, 1, 1, 1, 1])
    assert spread(alone, labels) is alone
    given = Split("mine", np.arange(4), np.array([4]), np.array([0, 0, 1, 1]))
    assert spread(given, np.array([7.0, 7, 1, 1, 1])) is given
    one_fold = spread(_split([0, 0, 1], [3, 3, 3]), np.zeros(4))
    assert one_fold.fold.tolist() == [0, 0, 1]
    one_value = _split([0, 0], [3, 3])
    assert spread(one_value, np.zeros(3)) is one_value


@pytest.mark.parametrize("seed", range(20))
def test_every_class_that_two_values_have_stands_in_two_folds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(24), 3)
    labels = rng.choice(12, size=72, p=rng.dirichlet(np.full(12, 0.4))).astype(float)
    fold = rng.permutation(24)[unit] % 5
    found = spread(_split(unit.tolist(), fold.tolist()), np.append(labels, 0.0))
    for value in np.unique(labels):
        at = labels == value
        assert len(set(found.fold[at])) >= min(2, len(set(unit[at]))), value


def _with_tens() -> tuple[Any, Any]:
    """All sums of two digits, and those whose answer has two; 9 + 9 alone ends in 8 among these."""
    problems = interp.Addition(1).grid()
    return problems, problems.column("carry[0]") == 1


def test_a_digit_that_one_prompt_alone_has_is_left_out_with_a_remedy_that_works() -> None:
    problems, here = _with_tens()
    targets = [probes.target(problems.task, name) for name in ("c[0]", "running_sum[0]")]
    left_out: LeftOut = {}
    scheme = Scheme("operand")
    (kept,) = designs_of(problems, targets, scheme, "c1", here, left_out)
    assert [target.name for target in kept.targets] == ["running_sum[0]"]
    why = left_out["c[0]"]["c1"]
    assert "c[0] is 8 in one fold of the training prompts only" in why
    assert "larger task (add:1 has 100 problems in all)" in why and "'c[0]:real'" in why
    assert "draw more" not in why
    (mended,) = designs_of(
        problems, [probes.target(problems.task, "c[0]:real")], scheme, "c1", here
    )
    assert len(mended.test)
    larger = interp.Addition(2).sample(600, seed=0)
    wide = larger.column("carry[1]") == 1
    assert designs_of(larger, [probes.target(larger.task, "c[0]")], scheme, "c2", wide)


def test_folds_of_a_target_do_not_depend_on_the_others() -> None:
    """`probes.fit` of one cell finds the folds of the sweep."""
    problems = interp.Addition(1).grid()
    names = ("c[0]", "carry[0]", "running_sum[0]")
    every = [probes.target(problems.task, name) for name in names]
    for seed in range(6):
        scheme = Scheme("operand", seed=seed, wrong=())
        together = designs_of(problems, every, scheme, "last", None, {})
        for target in every:
            (alone,) = designs_of(problems, [target], scheme, "last")
            (mine,) = [design for design in together if target in design.targets]
            np.testing.assert_array_equal(alone.split.fold, mine.split.fold)
            np.testing.assert_array_equal(alone.test, mine.test)


def test_a_sweep_goes_on_without_what_cannot_be_judged(tmp_path: Path) -> None:
    model = interp.load(str(tiny.save("gpt2", tmp_path / "model")))
    options: dict[str, Any] = {"layers": [0], "controls": ["shuffled"], "format": "plain"}
    found = probes.probe(model, "add:1", **options)
    assert found.n == 100 and set(found.names) > {"c[0]", "carry[0]"}
    assert set(found.left_out) == {"c[0]"} and "c1" in found.left_out["c[0]"]
    where = set(found.frame.query("target == 'c[0]'")["role"])
    assert where and not where & set(found.left_out["c[0]"])
    assert "Not probed: c[0] at " in str(found.conclusion())
    again = ProbeSweep.load(found.save(tmp_path / "found"))
    assert again.left_out == found.left_out
    with pytest.raises(InputError, match=r"one fold .* 'c\[0\]:real'"):
        probes.probe(model, "add:1", targets=["c[0]"], roles=["c1"], **options)
    real = probes.probe(model, "add:1", targets=["c[0]:real"], roles=["c1"], **options)
    assert len(real.frame) == 1


def test_a_modular_sum_is_probed_with_defaults() -> None:
    model = interp.load("mod113")
    found = probes.probe(model, "mod:113", n=120, layers=[0], roles=["last"], controls=["shuffled"])
    assert len(found.frame) == len(found.names) >= 1
    assert not set(found.names) & set(found.left_out)


def test_wrong_labels_of_one_class_are_a_constant() -> None:
    """A rare class that shuffling puts into the held-out rows alone leaves a constant probe."""
    problems = interp.Addition(2).sample(200, seed=0)
    target = probes.target(problems.task, "carry[1]")
    (design,) = designs_of(problems, [target], Scheme("problem", wrong=("shuffled",)))
    design.wrong["shuffled"][design.split.train] = 1.0
    X = np.random.default_rng(0).normal(size=(200, 4))
    (found,) = fit_design(X, design)
    assert (found.wrong["shuffled"] == 1.0).all() and len(np.unique(found.predicted)) == 2

"""A trained model is asked what its training never saw, unless problems are given."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from app import cli
from interp.arithmetic.held_out import Split
from interp.errors import InputError
from interp.models.asking import sample
from interp.results.result import Result


@pytest.fixture(scope="module")
def add5() -> Any:
    return interp.load("add5")


def parts(model: Any, problems: Any) -> set[str]:
    """On which sides of the split that the card tells the problems are."""
    return set(Split(**model.card["data"]["held_out"]).part(problems).tolist())


def test_of_a_task_only_what_training_never_saw(add5: Any) -> None:
    drawn = sample(add5, "add:5", n=300, seed=3)
    assert parts(add5, drawn.problems) == {"test"}
    assert (len(drawn.problems), drawn.problems.n_distinct) == (300, 300)
    assert drawn.settings == {
        "problems": "model.held_out(300, seed=3)",
        "held_out": "training",
        "draws_from": {"task": "add:5", "n": 300, "held_out": True},
        "starting_with": None,
    }
    made = eval(drawn.settings["problems"], {"model": add5})
    assert made.distinct() == drawn.problems
    assert sample(add5, "add:5", n=300, seed=4).problems != drawn.problems


def test_another_task_is_held_out_by_the_same_pairs(add5: Any) -> None:
    """12 + 34 is held out as 00012 + 00034 of five digits is."""
    drawn = sample(add5, interp.Addition(2), n=10**4, seed=0)
    assert parts(add5, drawn.problems) == {"test"}
    wide = interp.Addition(5).problems(*(drawn.problems.values(i) for i in range(2)))
    assert parts(add5, wide) == {"test"}
    assert drawn.settings["problems"] == "model.held_out(10000, task='add:2', seed=0)"
    assert eval(drawn.settings["problems"], {"model": add5}) == drawn.problems


def test_held_out_without_leading_zeros_and_the_call_says_so(add5: Any) -> None:
    given = add5.held_out(400, seed=2, full_width=True)
    assert parts(add5, given) == {"test"}
    assert all((digits[:, -1] > 0).all() for digits in given.operands)  # the highest digit
    drawn = sample(add5, given, n=7, seed=2)
    assert drawn.settings["problems"] == "model.held_out(400, seed=2, full_width=True)"
    assert eval(drawn.settings["problems"], {"model": add5}) == drawn.problems == given
    assert given != add5.held_out(400, seed=2)
    assert drawn.settings["draws_from"] is None  # a task's name draws leading zeros too


def test_given_problems_are_asked_as_they_are(add5: Any) -> None:
    given = interp.Addition(5).sample(400, seed=1)
    drawn = sample(add5, given, n=7, seed=1)
    assert drawn.problems == given.distinct()
    assert parts(add5, given) > {"test"}
    call = "interp.task('add:5').sample(400, seed=1)"
    assert (drawn.settings["problems"], drawn.settings["held_out"]) == (call, None)


def test_a_model_without_a_card_is_asked_anything(llama: Any) -> None:
    drawn = sample(llama, "add:1", n=1000, seed=0)
    assert drawn.problems == interp.Addition(1).grid()
    assert drawn.settings["held_out"] is None
    with pytest.raises(InputError, match=r"no card of this trainer.*interp.task\('add:2'\)"):
        llama.held_out(10, task="add:1")


@pytest.mark.parametrize(
    "data",
    [None, "x", [], {"held_out": None}, {"held_out": [0.1, 0.1]}, {"held_out": {"test": 0.1}},
     {"held_out": {"test": 0.1, "validation": 0.1, "seed": 0, "by": "hand"}}],
)  # fmt: skip
def test_a_card_of_another_shape_tells_nothing(add5: Any, data: Any) -> None:
    other = replace(add5, card={"task": "add:5", "format": "padded", "data": data})
    assert other.split is None
    assert sample(other, "add:5", n=20, seed=0).problems == interp.Addition(5).sample(20, seed=0)


def test_an_adapters_base_may_have_read_anything(add5: Any) -> None:
    adapted = replace(add5, card={**add5.card, "base": "smollm2"})
    assert sample(adapted, "add:5", n=20, seed=0).settings["held_out"] == "fine-tuning"


def test_bad_sizes_and_seeds_are_refused(add5: Any) -> None:
    for n in (0, -1, 2.5, True, "5", None):
        with pytest.raises(InputError, match="n ≥ 1 problems, a whole number"):
            add5.held_out(n)
    for task in ("add:2", "add:5"):  # listed, and drawn
        for seed in (-1, 1.5, None, True):
            with pytest.raises(InputError, match="seed must be a whole number of at least 0"):
                add5.held_out(5, task=task, seed=seed)


def test_a_task_of_which_nothing_was_held_out(add5: Any) -> None:
    none = Split(test=1e-9, validation=0.1)
    with pytest.raises(InputError, match=r"none of the 100 problems of add:1 is a test problem.*"
                       r"--sampler uniform, or interp.task\('add:1'\).sample\(10"):  # fmt: skip
        none.sample(interp.Addition(1), "test", 10, 0)


def test_its_code_makes_a_result_again_with_all_it_says(add5: Any) -> None:
    for problems, seed in (("add:5", 3), ("add:2", 0), (interp.Addition(5).sample(50, seed=3), 3)):
        first = interp.behaviour.accuracy(add5, problems, n=50, seed=seed)
        space: dict[str, Any] = {}
        exec(first.code, space)
        again = space["result"]
        assert again.frame.equals(first.frame)
        assert (again.caption, again.code) == (first.caption, first.code)


def test_checkpoints_know_what_was_held_out() -> None:
    """Or the curve over them would be of training pairs, and its end of others."""
    found = interp.checkpoints("mod113")
    split = interp.load("mod113").split
    assert {found.load(step).split for step in found.steps} == {split}
    over = interp.over_checkpoints(
        found, interp.behaviour.accuracy, "mod:113", steps=[500, 4000], n=400
    )
    exact = over.values.query("metric == 'exact_accuracy'").set_index("step")["value"]
    assert exact[500] < 0.1  # of the training pairs it has nearly all by then
    assert exact[4000] == 1
    sample = found.load(500).held_out(400)
    given = interp.over_checkpoints(found, interp.behaviour.accuracy, sample, steps=[500, 4000])
    assert given.values.equals(over.values)
    assert "interp.load('mod113').held_out(400, seed=0)" in given.code


def test_models_are_compared_on_the_same_problems(add5: Any) -> None:
    other = interp.load("addsub5")
    other.card = {**(other.card or {}), "data": {}}
    with pytest.raises(InputError, match=r"not the same for all. Give them the same problems"):
        interp.over_seeds([add5, other], interp.behaviour.accuracy, "add:5", n=20)
    same = interp.over_seeds([add5, "add5-s1"], interp.behaviour.accuracy, "add:5", n=20)
    assert same.n == 20


def test_the_command_asks_what_the_library_asks(
    add5: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And `--sampler` asks the whole task."""

    def asked(*flags: str) -> Result:
        out = tmp_path / "-".join(("out", *flags))
        line = ["behaviour", "-m", "add5", "-n", "40", "--seed", "2", "-o", str(out), *flags]
        monkeypatch.setattr(sys, "argv", ["arithmoscope", *line])
        monkeypatch.setattr("interp.figures.export.browser", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        assert json.loads((out / "result.json").read_text())["n"] == 40
        return Result.load(out)

    by_default, uniform = asked(), asked("--sampler", "uniform")
    assert by_default.frame.equals(interp.behaviour.accuracy(add5, "add:5", n=40, seed=2).frame)
    assert "held out from training" in by_default.caption
    assert "held out" not in uniform.caption
    whole = interp.task("add:5").sample(40, seed=2)
    texts = [whole.text(row) for row in range(40)]
    assert np.array_equal(uniform.answers["problem"], texts)
    assert parts(add5, whole) > {"test"}

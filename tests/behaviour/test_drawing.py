"""A trained model is asked what its training never saw, unless problems are given."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from app import cli
from interp.arithmetic.held_out import Split
from interp.behaviour.drawing import draw
from interp.errors import InputError
from interp.results import Result


@pytest.fixture(scope="module")
def add5() -> Any:
    return interp.load("add5")


def parts(model: Any, problems: Any) -> set[str]:
    """On which sides of the split that the card tells the problems are."""
    return set(Split(**model.card["data"]["held_out"]).part(problems).tolist())


def test_of_a_task_only_what_training_never_saw(add5: Any) -> None:
    drawn = draw(add5, "add:5", 300, 3)
    assert parts(add5, drawn.problems) == {"test"}
    assert (len(drawn.problems), drawn.problems.n_distinct) == (300, 300)
    assert drawn.settings == {"problems": "model.held_out(300, seed=3)", "held_out": True}
    made = eval(drawn.settings["problems"], {"model": add5})
    assert made.distinct() == drawn.problems
    assert draw(add5, "add:5", 300, 4).problems != drawn.problems


def test_another_task_is_held_out_by_the_same_pairs(add5: Any) -> None:
    """12 + 34 is held out as 00012 + 00034 of five digits is."""
    drawn = draw(add5, interp.Addition(2), 10**4, 0)
    assert parts(add5, drawn.problems) == {"test"}
    wide = interp.Addition(5).problems(*(drawn.problems.values(i) for i in range(2)))
    assert parts(add5, wide) == {"test"}
    assert drawn.settings["problems"] == "model.held_out(10000, task='add:2', seed=0)"
    assert eval(drawn.settings["problems"], {"model": add5}) == drawn.problems


def test_given_problems_are_asked_as_they_are(add5: Any) -> None:
    given = interp.Addition(5).sample(400, seed=1)
    drawn = draw(add5, given, 7, 1)
    assert drawn.problems == given.distinct()
    assert parts(add5, given) > {"test"}
    call = "interp.task('add:5').sample(400, seed=1)"
    assert drawn.settings == {"problems": call, "held_out": False}


def test_a_model_without_a_card_is_asked_anything(llama: Any) -> None:
    drawn = draw(llama, "add:1", 1000, 0)
    assert drawn.problems == interp.Addition(1).grid()
    assert not drawn.settings["held_out"]
    with pytest.raises(InputError, match=r"no card of this trainer.*interp.task\('add:2'\)"):
        llama.held_out(10, task="add:1")


def test_too_few_and_none_are_said(add5: Any) -> None:
    with pytest.raises(InputError, match="at least one problem"):
        add5.held_out(0)
    none = Split(test=1e-9, validation=0.1)
    with pytest.raises(InputError, match="none of the 100 problems of add:1 is a test problem"):
        none.sample(interp.Addition(1), "test", 10, 0)


def test_the_three_doors_ask_the_same(
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

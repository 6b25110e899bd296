"""A series of checkpoints: which there are, and any analysis over them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import interp
from interp import checkpoints, over_checkpoints
from interp.errors import InputError, ModelError
from interp.results.result import Result
from tests.series.conftest import STEPS


def test_what_was_kept(trained: tuple[Path, ...]) -> None:
    found = checkpoints(trained[0])
    assert found.steps == STEPS
    assert list(found) == list(STEPS)
    assert len(found) == 3
    assert found.load(12).hash == interp.load(str(trained[0])).hash  # the last step is the model
    assert found.load(0).hash != found.load(4).hash
    assert str(found.load(4).task) == str(interp.task("add:2"))  # and knows what it was asked
    assert found.load(4).formats == interp.load(str(trained[0])).formats
    with pytest.raises(InputError, match=r"no checkpoint of .* at step 5; there are 0, 4, 12"):
        found.load(5)


def test_checkpoints_of_two_trainings_are_not_one_series(
    trained: tuple[Path, ...], tmp_path: Path
) -> None:
    mixed = Path(shutil.copytree(trained[0], tmp_path / "mixed"))
    shutil.copytree(trained[1] / "series" / "step-00000004", mixed / "series" / "step-00000005")
    with pytest.raises(
        ModelError, match=r"step-00000000 is of tiny, seed 0, step-00000005 of tiny, seed 1. Delete"
    ):
        checkpoints(mixed)
    other = Path(shutil.copytree(trained[0], tmp_path / "other"))
    shutil.rmtree(other / "series")
    shutil.copytree(trained[1] / "series", other / "series")
    with pytest.raises(ModelError, match=r"is of tiny, seed 1, other of tiny, seed 0"):
        checkpoints(other)
    swapped = Path(shutil.copytree(trained[0], tmp_path / "swapped"))
    places = [swapped / "series" / f"step-{step:08}" / "model.safetensors" for step in (4, 12)]
    places[0].write_bytes(places[1].read_bytes())
    assert checkpoints(swapped).load(12).hash
    with pytest.raises(ModelError, match=r"step-00000004.* is not what its card describes"):
        checkpoints(swapped).load(4)


def test_an_analysis_over_it(trained: tuple[Path, ...], tmp_path: Path) -> None:
    problems = interp.task("add:2").sample(40, seed=2)
    calls: list[tuple[int, int]] = []
    result = over_checkpoints(
        trained[0],
        interp.attribution.logit_lens,
        problems,
        seed=1,
        progress=lambda *done: calls.append(done),
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]
    for step in STEPS:
        model = checkpoints(trained[0]).load(step)
        alone = interp.attribution.logit_lens(model, model.prompts(problems), seed=1)
        found = result.metric("final_probability")[step]
        assert found == pytest.approx(alone.metrics["final_probability"])
    assert result.model is not None
    assert result.hashes[-1] == result.model.hash == interp.load(str(trained[0])).hash
    assert Result.load(result.save(tmp_path / "saved")) == result
    panel = result.figure().data[result.names.index("final_probability")]
    assert list(panel.x) == list(STEPS)
    assert list(panel.y) == list(result.metric("final_probability"))
    assert "3 checkpoints" in result.caption
    again: dict[str, Any] = {}
    exec(result.code, again)
    assert again["result"] == result


def test_some_steps_only(trained: tuple[Path, ...]) -> None:
    result = over_checkpoints(
        checkpoints(trained[1]),
        interp.behaviour.accuracy,
        "add:2",
        steps=[12, 0],
        n=10,
        strict=False,
    )
    assert result.steps == (0, 12)
    assert "steps=[0, 12]" in result.code
    assert set(result.metric("exact_accuracy").index) == {0, 12}


def test_bad_input(trained: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no checkpoint series.* --set series="):
        checkpoints(tmp_path)
    with pytest.raises(ModelError, match="add5 has no checkpoint series"):
        over_checkpoints("add5", interp.behaviour.accuracy, "add:5")
    with pytest.raises(InputError, match=r"no checkpoint of .* at step 3"):
        over_checkpoints(trained[0], interp.behaviour.accuracy, "add:2", steps=[3])
    with pytest.raises(InputError, match="no step was asked for"):
        over_checkpoints(trained[0], interp.behaviour.accuracy, "add:2", steps=[])


def test_a_shipped_checkpoint_has_a_name_that_its_result_and_its_call_carry() -> None:
    series = checkpoints("mod113")
    step = series.steps[1]
    model = interp.load(f"mod113@{step}")
    assert model.name == series.named(step) == f"mod113@{step}"
    assert model.hash == series.load(step).hash != interp.load("mod113").hash
    result = interp.behaviour.accuracy(model, "mod:113", n=8)
    assert f"mod113@{step}" in result.caption and f"interp.load('mod113@{step}')" in result.code
    with pytest.raises(ModelError, match=rf"mod113 has no checkpoint '7'; .* {step},"):
        interp.load("mod113@7")

"""On which problems digits count as learnt, and when two totals may be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from interp.errors import InputError
from interp.training import Draw, Recipe, digit_losses, dynamics, recipe
from interp.training.objectives import AnswerLoss
from tests.training.logs_by_hand import LOSSES, learnt, legends, log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "training_log.parquet"
    log().to_parquet(file, index=False)
    return file


def small(name: str, **changes: Any) -> Recipe:
    """A shipped recipe of a small model, changed."""
    made = recipe(name, **changes)
    assert isinstance(made, Recipe)
    return made


def folder_of(made: Recipe, frame: pd.DataFrame, folder: Path) -> Path:
    """A finished model's folder without the model: its log, and a card with its recipe."""
    folder.mkdir()
    frame.to_parquet(folder / "training_log.parquet", index=False)
    card = {"name": made.name, "recipe": made.to_json()}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def both_splits(losses: Mapping[str, tuple[float, ...]] = LOSSES) -> pd.DataFrame:
    """Training learns everything at step 10, held-out problems at 30."""
    frame = log(losses)
    total = frame["group"] == "total"
    held_out = frame[total].assign(
        split="validation", loss=[3.0, 3.0, 2.0, 0.5, 0.1], accuracy=[0, 0, 0.2, 0.9, 1.0], n=2000
    )
    late = {"c0": (2.3, 2.3, 2.3, 0.5, 0.1), "c1": (2.3, 2.3, 2.3, 2.2, 0.1)}
    digits = log(late).query("group != 'total'").assign(split="validation")
    frame.loc[total, "loss"] = [2.0, 0.5, 0.1, 0.01, 0.01]
    return pd.concat([frame, held_out, digits])


def test_the_delay_between_training_and_held_out(tmp_path: Path) -> None:
    """Where all training problems are learnt from by the answer alone, as in modular addition."""
    folder = folder_of(small("mod113"), both_splits(), tmp_path / "grokked")
    result = dynamics(folder)
    assert result.metrics["learnt_at_train"] == 10
    assert result.metrics["learnt_at_validation"] == 30
    assert result.metrics["delay"] == 20
    lines = {trace.name: trace for trace in result.figure().data}
    assert list(lines["training"].y) == [2.0, 0.5, 0.1, 0.01, 0.01]
    assert list(lines["held out"].y) == [3.0, 3.0, 2.0, 0.5, 0.1]
    assert list(lines["training"].marker.size) == [0, 11, 0, 0, 0]
    assert list(lines["held out"].marker.size) == [0, 0, 0, 11, 0]
    by_accuracy = dynamics(folder, measure="accuracy", threshold=1.0)
    assert by_accuracy.metrics["learnt_at_validation"] == 40
    assert np.isnan(by_accuracy.metrics["learnt_at_train"])
    assert np.isnan(by_accuracy.metrics["delay"])


def one_token() -> pd.DataFrame:
    """The same where the answer is one token, so that its digit is the whole."""
    frame = both_splits()
    held_out = frame[(frame["group"] == "total") & (frame["split"] == "validation")]
    return pd.concat([frame.query("group not in ('c0', 'c1', 'c2')"), *(
        rows.assign(group="c[0:3]")
        for rows in (held_out, frame[(frame["group"] == "total") & (frame["split"] == "train")])
    )])  # fmt: skip


def test_where_the_answer_is_one_token_the_delay_is_what_is_told(tmp_path: Path) -> None:
    result = dynamics(folder_of(small("mod113"), one_token(), tmp_path / "grokked"))
    assert result.conclusion() == (
        "The training problems are learnt at step 10, those held out at step 30."
    )
    figure = result.figure()
    assert figure.layout.title.text.startswith("When was it learnt, and when did it generalise?")
    held_out = [list(trace.y) for trace in figure.data if trace.name == "held out"]
    assert held_out == [[0, 0, 0.2, 0.9, 1.0], [3.0, 3.0, 2.0, 0.5, 0.1]]
    assert not any(trace.name == "c[0:3]" for trace in figure.data)
    never = dynamics(folder_of(small("mod113"), one_token(), tmp_path / "never"), threshold=0.05)
    assert never.conclusion() == (
        "The training problems are learnt at step 30, those held out at no logged step."
    )
    nothing = dynamics(folder_of(small("mod113"), one_token(), tmp_path / "none"), threshold=0.001)
    assert nothing.conclusion() == (
        "The training problems are learnt at no logged step, those held out at no logged step."
    )


UNIFORM: dict[str, Any] = {"mix": (Draw(),)}


@pytest.mark.parametrize(
    "made",
    [
        small("mul5x1-reversed"),  # fresh batches: what is learnt from was never seen either
        small("mul3x3-aux", **UNIFORM),  # λ · error is in the training total
        small("mul3x3-icot", **UNIFORM),  # so are the tokens of the chain
        small("mul3x3-aux", objective=AnswerLoss()),  # other problems than the held-out ones
    ],
)
def test_no_delay_between_totals_that_are_different_quantities(
    made: Recipe, tmp_path: Path
) -> None:
    result = dynamics(folder_of(made, both_splits(), tmp_path / "other"))
    assert not {"learnt_at_train", "delay"} & set(result.metrics)
    assert result.metrics["learnt_at_validation"] == 30
    lines = {trace.name: trace for trace in result.figure().data}
    assert list(lines["training"].marker.size) == [0] * 5


@pytest.mark.parametrize(
    ("made", "split"),
    [
        (small("mul5x1-reversed"), "train"),
        (small("mod113"), "train"),
        (small("mul3x3-sft"), "validation"),  # half of the rows are easier
        (small("mul3x3-icot", **UNIFORM), "validation"),  # a chain gives digits away
    ],
)
def test_digits_are_told_on_what_the_model_is_asked_in_the_end(
    made: Recipe, split: str, tmp_path: Path
) -> None:
    folder = folder_of(made, both_splits(), tmp_path / "model")
    result = dynamics(folder)
    late = {"train": {"c0": 10, "c1": 30, "c2": 10}, "validation": {"c0": 30, "c1": 40}}
    assert learnt(result) == late[split]
    problems = {"train": "training batches", "validation": "held-out problems"}[split]
    assert str(result.conclusion()).startswith(f"On {problems} the digits are learnt")
    assert f"told on {problems}" in result.caption
    # What only training batches are logged by is there all the same, and says where it is from.
    assert result.split_of("class") == "train"
    assert result.order.set_index("group")["split"]["class:UC"] == "train"
    assert list(result.wide("grad_norm", "digit")["c1"]) == [5, 6, 7, 8, 9]
    titles = legends(result)
    assert f"answer digit<br>({'training' if split == 'train' else 'held out'})" in titles
    assert "subtask<br>(training)" in titles
    assert learnt(dynamics(folder, split="train")) == late["train"]
    again: dict[str, Any] = {}
    exec(result.code, again)
    assert again["result"] == result


def test_models_side_by_side_are_told_on_the_same_problems(path: Path, tmp_path: Path) -> None:
    plain = folder_of(small("mul5x1-reversed"), both_splits(), tmp_path / "plain")
    mixed = folder_of(small("mul3x3-sft"), both_splits(), tmp_path / "mixed")
    assert digit_losses([plain, path]).splits == ("train", "train")
    result = digit_losses([plain, mixed])
    assert result.splits == ("validation", "validation")
    assert set(result.order["learnt_at"]) == {30, 40}
    assert "told on held-out problems" in result.caption
    assert "on held-out problems and by this threshold" in str(result.conclusion())
    torn = digit_losses([mixed, path])  # a log without held-out problems has only its batches
    assert torn.splits == ("validation", "train")
    assert "held-out problems (mul3x3-sft), training batches (training_log)" in torn.caption


def test_seeds_of_one_recipe_are_told_apart(path: Path, tmp_path: Path) -> None:
    """`train X --seed 1 --out a`, `--seed 2 --out b`: both cards say X."""
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (1, 2, 2), strict=True):
        folder_of(small("mul5x1-reversed", seed=seed), both_splits(), folder)
        card = json.loads((folder / "card.json").read_text()) | {"seed": seed}
        (folder / "card.json").write_text(json.dumps(card))
    two = digit_losses(folders[:2])
    assert two.models == ("mul5x1-reversed, seed 1", "mul5x1-reversed, seed 2")
    assert set(two.order["model"]) == set(two.models)
    three = digit_losses([*folders, path])
    assert three.models == (two.models[0], *map(str, folders[1:]), "training_log")
    with pytest.raises(InputError, match="a model is named twice"):
        digit_losses([folders[0], folders[0] / "training_log.parquet"])

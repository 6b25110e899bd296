"""The variants that the papers name: positions, padding, random spaces, short numbers first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
from app.commands import train as train_command
from interp.arithmetic.formats import format, format_names
from interp.arithmetic.tasks import task
from interp.errors import FormatError, InputError
from interp.training import Recipe, Validation, build_tokenizer, draw, train
from interp.training.rows import Encoder
from interp.training.run_state import TrainingRun
from interp.training.stream import Stream

LLAMA = {"family": "llama", "positions": "rotary", "activation": "silu"}
POSITIONS: dict[str, dict[str, Any]] = {
    "learned": {},
    "none": {"positions": "none"},
    "random-offset": {"positions": "random-offset", "n_ctx": 24},
    "rotary": LLAMA,
}


@pytest.mark.parametrize("kind", POSITIONS)
def test_every_kind_of_positions_trains_resumes_and_loads(
    tiny: Recipe, tmp_path: Path, kind: str
) -> None:
    recipe = replace(tiny, **POSITIONS[kind])
    train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "broken", budget_seconds=1e-9)
    train(recipe, tmp_path / "broken")
    whole, broken = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken")
    )
    assert whole == broken
    model = interp.load(str(tmp_path / "whole"))
    assert interp.behaviour.accuracy(model, "add:2", n=20, strict=False).n == 20


def test_what_a_position_means_to_each() -> None:
    """Equal tokens in front: only a model without positions cannot tell how many there are."""
    tokens = torch.full((1, 6), 7)
    spread = {}
    for kind, changes in POSITIONS.items():
        run = TrainingRun.start(
            Recipe(name="x", task="add:2", n_layers=1, n_heads=2, d_model=16, seed=1, **changes)
        )
        logits = run.model(tokens).logits[0]
        spread[kind] = float((logits[1:] - logits[:1]).abs().max().detach())
    assert spread["none"] < 1e-5
    assert spread["rotary"] < 1e-5  # relative positions, of keys that are all the same
    assert min(spread["learned"], spread["random-offset"]) > 1e-3


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["add:3", "sub:4", "addsub:5", "mul:4x3", "expr:A+B-C:3"]),
    st.integers(0, 2**31),
)
def test_random_spaces_both_ways(name: str, seed: int) -> None:
    """Without its blanks the text is the padded one; half of each operand's gaps hold one."""
    problems = task(name).sample(8, seed=seed)
    form = format("random-spaces")
    written, padded = form.render(problems), format("padded").render(problems)
    for one, closed in zip(written, padded, strict=True):
        assert one.text.replace(" ", "") == closed.text
        assert "".join(one.text[start:stop] for _, start, stop in one.spans) == one.text
        roles = {role: one.text[start:stop] for role, start, stop in one.spans}
        assert roles.items() >= {
            (role, closed.text[start:stop]) for role, start, stop in closed.spans
        }
        blanks = [role for role, text in roles.items() if text == " "]
        assert len(blanks) == sum((w - 1) // 2 for w in problems.task.operand_digits)
        assert " " not in one.text[one.answer_start :]
        assert one.text[: one.answer_start].replace(" ", "") == closed.text[: closed.answer_start]
    assert form.parse_many([one.text for one in written], problems.task) == problems


def test_spaces_lie_in_every_gap_alike() -> None:
    problems = task("add:5").sample(3000, seed=0)
    texts = [one.prompt for one in format("random-spaces").render(problems)]
    gaps = np.array(
        [["01234".index(str(k)) for k in _gaps_of(text.partition("+")[0])] for text in texts]
    )
    counts = np.bincount(gaps.ravel(), minlength=4)
    assert counts.sum() == 6000
    assert (np.abs(counts - 1500) < 5 * np.sqrt(1500 * 0.5)).all()


def _gaps_of(number: str) -> list[int]:
    """After how many digits each blank comes, less one."""
    return [number[:at].replace(" ", "").__len__() - 1 for at, ch in enumerate(number) if ch == " "]


def test_misplaced_spaces_and_short_numbers_are_refused() -> None:
    form, the_task = format("random-spaces"), task("add:3")
    right = form.render(the_task.problems([123], [456]))[0].text
    moved = right.replace(" ", "", 1)
    with pytest.raises(FormatError, match="random-spaces"):
        form.parse(moved, the_task)
    assert "random-spaces" not in format_names(task("add:2"))  # two digits leave no gap to choose
    with pytest.raises(InputError, match="format 'random-spaces' cannot write 'add:2'"):
        form.render(task("add:2").sample(2, seed=0))


def test_a_model_trained_on_random_spaces_sees_them(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, task="add:3", format="random-spaces", card_n=40)
    tokenizer = build_tokenizer(recipe)
    assert " " in tokenizer.get_vocab()
    encoder = Encoder(tokenizer, task("add:3"), "random-spaces")
    problems = task("add:3").sample(6, seed=1)
    rows = encoder(problems)
    texts = [one.text for one in format("random-spaces").render(problems)]
    assert tokenizer.batch_decode(rows.tokens) == texts
    for row, one in enumerate(texts):
        assert rows.tokens[row].tolist() == tokenizer(one)["input_ids"]
        start = int(rows.digits[row].min())
        assert one[start:] == one.partition("=")[2]
    train(recipe, tmp_path)
    model = interp.load(str(tmp_path))
    found = interp.behaviour.accuracy(model, "add:3", n=10, strict=False)
    assert found.format == "random-spaces"
    batch = model.prompts(problems)
    assert batch.texts == tuple(texts)


def test_short_numbers_first() -> None:
    """A curriculum is draws with windows: two digits at most for the first half, then all."""
    recipe = Recipe(
        name="x",
        task="mul:4x4",
        format="reversed",
        batch=64,
        steps=100,
        mix=(draw("lengths", stop=0.5, longest=2), draw("uniform", start=0.5)),
    )
    stream = Stream(recipe)
    early, late = stream.training(49), stream.training(50)
    assert early.lengths.max() == 2
    assert set(map(tuple, early.lengths.tolist())) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert (late.lengths == 4).mean() > 0.8
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_longest_of_one_digit_and_bad_ones() -> None:
    ones = task("add:5").sample(500, seed=0, sampler="lengths", longest=1)
    assert ones.lengths.max() == 1
    assert 90 < ones.n_distinct <= 100
    whole = task("add:3").sample(200, seed=0, sampler="lengths", longest=7)
    assert whole == task("add:3").sample(200, seed=0, sampler="lengths")
    with pytest.raises(InputError, match="longest=0: operands have at least 1 digit"):
        task("add:3").sample(5, seed=0, sampler="lengths", longest=0)


def test_progress_tells_every_digit() -> None:
    standing = train_command.standing(Validation(500, 0.7, 0.875, {"c0": 1.0, "c1": 0.876}))
    assert standing == "87.50% exact (c0 100% c1 88%)"

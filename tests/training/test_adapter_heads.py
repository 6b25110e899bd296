"""Only chosen heads of a language model: exactly their slices move, and any tool opens them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import interp
from interp.engine import Read, Replace, Rows, run
from interp.errors import InputError, ModelError
from interp.models import load_model
from interp.models.loading import open_module
from interp.models.sources import resolve
from interp.training import AdapterRecipe, Recipe, train
from interp.training.adapters.head_scores import answer_loss, head_scores, prompt_scores
from interp.training.adapters.run import AdapterRun
from interp.training.heads import head_slices
from interp.training.run_state import TrainingRun

HEADS = ((0, 1), (1, 0), (1, 1), (1, 2))  # 0 and 1 share keys, 2 and 3 do
GROUPS = {(1, 0), (1, 1)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("base")
    recipe = Recipe(
        name="base", task="addsub:2", format="plain", family="llama", positions="rotary",
        activation="silu", d_model=16, n_heads=4, n_kv_heads=2, n_ctx=2048, initializer_range=0.3,
    )  # fmt: skip
    TrainingRun.start(recipe).save_model(folder)
    return folder


@pytest.fixture
def small(base: Path) -> AdapterRecipe:
    return AdapterRecipe(
        name="small", base=str(base), tasks=(("add:2", 2.0), ("sub:2", 1.0)),
        styles=(("plain", 2.0), ("calculate", 1.0)), heads=HEADS, batch=9, prose_tokens=8, steps=4,
        warmup=0, learning_rate=0.05, evaluate_n=8, log_every=2, checkpoint_every=2, card_n=10,
        precision="float32", gradients_every=2,
    )  # fmt: skip


def moved(base: Path, folder: Path) -> dict[str, torch.Tensor]:
    plain = AutoModelForCausalLM.from_pretrained(base).state_dict()
    trained = open_module(resolve(str(folder)), torch.float32)[0].state_dict()
    return {name: trained[name] != tensor for name, tensor in plain.items()}


@pytest.mark.parametrize("shared_kv", [False, True])
def test_exactly_the_slices_of_the_heads_move(
    small: AdapterRecipe, base: Path, tmp_path: Path, shared_kv: bool
) -> None:
    card = train(replace(small, shared_kv=shared_kv), tmp_path).card
    changed = moved(base, tmp_path)
    module = AutoModelForCausalLM.from_pretrained(base)
    expected = {name: torch.zeros_like(mask) for name, mask in changed.items()}
    for name, dimension, part in head_slices(module, HEADS, shared_kv=shared_kv):
        expected[name].narrow(dimension, part.start, part.stop - part.start).fill_(True)
    for name, mask in changed.items():
        assert not (mask & ~expected[name]).any(), name
        assert mask[expected[name]].float().mean() > 0.9 or not expected[name].any(), name
    # Heads 0 and 1 of layer 1 are a whole group, so its keys and values are theirs alone.
    keys = changed["model.layers.1.self_attn.k_proj.weight"]
    assert keys[:4].any()
    assert keys[4:].any() == shared_kv
    d_head = 4
    matrices = 2 * len(HEADS) + 2 * (3 if shared_kv else 1)  # groups reached, or wholly chosen
    assert card is not None
    assert card.parameters == matrices * d_head * 16


def test_peft_merges_it_to_the_same_weights(
    small: AdapterRecipe, base: Path, tmp_path: Path
) -> None:
    train(small, tmp_path)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path)
    merged = theirs.merge_and_unload().state_dict()
    ours = open_module(resolve(str(tmp_path)), torch.float32)[0].state_dict()
    for name, tensor in merged.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-5, atol=1e-6)
    assert interp.load(str(tmp_path)).hash != interp.load(str(base)).hash


def test_killed_and_resumed_gives_the_same_bits(small: AdapterRecipe, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, _total: int) -> None:
        if done == 3:
            raise Killed

    train(small, tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(small, tmp_path / "broken", progress=kill)
    train(small, tmp_path / "broken")
    files = [tmp_path / name / "adapter_model.safetensors" for name in ("unbroken", "broken")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_it_starts_as_the_base(small: AdapterRecipe) -> None:
    state = AdapterRun.start(small)
    assert float(state._drift(0).detach()) == pytest.approx(0, abs=1e-9)
    assert all(not p.any() for p in state.trained.values())
    assert len(state.trained) == 2 * 2 + 2  # q and o of both layers, k and v of the whole group


def test_bad_heads(small: AdapterRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be different pairs"):
        replace(small, heads=((0, 1), (0, 1)))
    with pytest.raises(InputError, match="must be different pairs"):
        replace(small, heads=((0, -1),))
    with pytest.raises(InputError, match="layers from 0 to 1 and heads from 0 to 3"):
        AdapterRun.start(replace(small, heads=((0, 4),)))
    assert AdapterRecipe.from_json(small.to_json()) == small


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern for 'q_proj', which is no updated matrix"),
        ({"alpha_pattern": {"o_proj": 2}}, "alpha_pattern for 'o_proj', which is no updated"),
        ({"rank_pattern": {}}, "has rank .*, but adapter_config.json says"),
    ],
)
def test_ranks_that_cannot_be_trusted(
    small: AdapterRecipe, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    train(replace(small, steps=1, card_n=2), tmp_path)
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | changes))
    with pytest.raises(ModelError, match=message):
        load_model(str(tmp_path))


def test_scores_are_the_first_order_of_mean_ablation(base: Path) -> None:
    """For a step of size ε towards the mean the loss moves by ε times the score, up to ε²."""
    model = interp.load(str(base))
    problems = interp.task("add:2").sample(12, seed=1, sampler="uniform", full_width=True)
    scores = prompt_scores(model, problems, "plain")
    batch = model.prompts(problems, format="plain")
    roles = tuple(role for role in batch.roles if role != "last")
    eps = 1e-2
    clean = answer_loss(run(model, batch).logits, batch)
    for layer, head in ((0, 2), (1, 3)):
        z = run(model, batch, reads=[Read("z", layers=[layer], roles=roles)])
        there = z.activations["z", layer]
        moved_z = (there + eps * (there.nanmean(0) - there)).nan_to_num()
        edit = Replace(
            "z",
            Rows({layer: moved_z}),
            layers=[layer],
            roles=roles,
            heads=[head],
        )
        changed = answer_loss(run(model, batch, [edit]).logits, batch)
        slope = (changed - clean) / eps
        assert slope.abs().numpy() == pytest.approx(
            scores[:, layer, head].numpy(), abs=3e-2 * float(scores.max())
        )


def test_scores_by_task_and_half(small: AdapterRecipe, base: Path) -> None:
    model = interp.load(str(base))
    done: list[tuple[int, int]] = []
    recipe = replace(small, styles=(("plain", 2.0), ("padded", 1.0)))
    table = head_scores(model, recipe, n=4, seed=1, progress=lambda *at: done.append(at))
    assert done[-1] == (4, 4)  # two tasks in two styles
    assert len(table) == 8
    assert table["score"].is_monotonic_decreasing
    halves = table[["first_half", "second_half"]].mean(axis=1)
    assert np.allclose(halves, table["score"], rtol=1e-5)
    again = head_scores(model, recipe, n=4, seed=1)
    assert again.equals(table)
    tensors = load_file(base / "model.safetensors")
    assert tensors  # the model on disk is untouched
    assert interp.load(str(base)).hash == model.hash

"""Random weights in the place of trained ones: what is part of the architecture stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from interp import engine
from interp.engine import Read
from interp.models.untrained import untrained
from interp.training.build import build_model
from interp.training.recipes import Recipe
from interp.training.run_state import TrainingRun

SHAPES: dict[str, dict[str, Any]] = {
    "usual": {},
    "no layer norm": {"layer_norm": False, "initializer_range": 0.2},
    "no positions": {"positions": "none"},
    "neither": {"positions": "none", "layer_norm": False},
    "llama": {"family": "llama", "positions": "rotary", "activation": "silu"},
}


def _recipe(shape: str) -> Recipe:
    return Recipe(
        name="small", task="add:2", n_layers=2, n_heads=2, d_model=16, seed=3, **SHAPES[shape]
    )


def _trained(shape: str, folder: Path) -> Any:
    """A model of the recipe whose free weights are not those that they were drawn as."""
    run = TrainingRun.start(_recipe(shape))
    with torch.no_grad():
        for parameter in run.model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.5).add_(0.01)
    run.save_model(folder)
    return interp.load(str(folder))


@pytest.mark.parametrize("shape", list(SHAPES))
def test_the_weights_are_those_that_the_recipe_starts_from(shape: str, tmp_path: Path) -> None:
    model = untrained(_trained(shape, tmp_path), seed=7)
    want = build_model(replace(_recipe(shape), seed=7)).state_dict()
    opened = model.adapter.module.state_dict()
    found = {name.replace("._original_component", ""): tensor for name, tensor in opened.items()}
    for name, tensor in want.items():
        assert torch.equal(found[name], tensor), name


def test_the_blocks_of_a_model_without_layer_norm_write(tmp_path: Path) -> None:
    model = untrained(_trained("no layer norm", tmp_path), seed=1)
    batch = model.prompts(interp.task("add:2").sample(20, seed=0), format="padded")
    found = engine.run(model, batch, reads=[Read("mlp_out", (0,), ("last",))], logits=None)
    assert float(found.activations["mlp_out", 0].std()) > 1e-3

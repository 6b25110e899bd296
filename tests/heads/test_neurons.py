"""Neurons: effects equal plain hooks, round trip, and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.engine import Scale, run
from interp.errors import InputError
from interp.results.result import Result
from tests import tiny

FORMAT = "padded"
TASK = interp.Addition(2)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tiny.save("gpt2", tmp_path_factory.mktemp("toy"), seed=8)
    return interp.load(str(folder), dtype="float64")


def test_a_neuron_is_edited_alone(toy: Any) -> None:
    """Equal to a hook on the output projection's input of the Hugging Face module."""
    batch = toy.prompts(TASK.sample(3, seed=1), format=FORMAT)
    edits = [Scale("mlp_post", 0.0, layers=0, heads=(1, 5))], [Scale("mlp_post", 0.0, layers=0)]
    got, whole = (run(toy, batch, edit, logits=["c0"]).logits for edit in edits)
    projection = toy.adapter.module.transformer.h[0].mlp.c_proj

    def hook(module: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        changed = given[0].clone()
        changed[..., [1, 5]] = 0.0
        return (changed,)

    handle = projection.register_forward_pre_hook(hook)
    try:
        with torch.no_grad():
            every = toy.adapter.module(batch.tokens).logits
    finally:
        handle.remove()
    assert got is not None and whole is not None
    want = every[torch.arange(len(batch)), batch.predicting_positions("c0")][:, None]
    assert (got - want).abs().max() <= 1e-9 * want.abs().max()
    assert (got - whole).abs().max() > 1e-3


def test_it_is_saved_drawn_and_made_again(toy: Any, tmp_path: Path) -> None:
    found = interp.heads.neurons(toy, TASK.sample(8, seed=2), top=3, format=FORMAT)
    assert Result.load(found.save(tmp_path / "neurons")) == found
    assert set(interp.figures.gallery(found)) == {"figure", "directions"}
    assert found.effects["chosen"].sum() == 3 and len(found.effects) == 6
    assert found.together["neurons"].tolist() == [1, 2, 3, 4 * toy.shape.d_mlp]
    assert (np.abs(found.cosine.values[~np.isnan(found.cosine.values)]) <= 1).all()


def test_bad_input_names_the_remedy(toy: Any) -> None:
    problems, most = TASK.sample(4, seed=1), 2 * toy.shape.d_mlp
    with pytest.raises(InputError, match=f"choose 1 to {most}"):
        interp.heads.neurons(toy, problems, top=most + 1, format=FORMAT)
    with pytest.raises(InputError, match="at least one step"):
        interp.heads.neurons(toy, problems, steps=0, format=FORMAT)
    with pytest.raises(InputError, match="choose denoise or noise"):
        interp.heads.neurons(toy, problems, direction="both", format=FORMAT)
    with pytest.raises(InputError, match="neuron 999 does not exist: 'mlp_post' has neurons 0 to"):
        run(toy, toy.prompts(problems, format=FORMAT), [Scale("mlp_post", 0.0, heads=999)])

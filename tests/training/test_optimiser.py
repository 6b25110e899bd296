"""AdamW and Muon: who moves which parameter, by how much, and what is kept between two steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from interp.errors import InputError
from interp.training.loop import train
from interp.training.optimiser import Optimiser
from interp.training.recipes import Recipe
from tests.training.test_loop import TINY, Killed, kill_at, weights

MUON = Recipe(**TINY | {"muon_rate": 2.5, "weight_decay": 0.0})


@pytest.fixture
def parameters(seed: int = 0) -> dict[str, torch.nn.Parameter]:
    """A GPT-2's names in small, with gradients."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"wte.weight": (11, 8), "a.h.0.c.weight": (8, 24), "a.h.0.c.bias": (24,)}
    made = {}
    for name, shape in shapes.items():
        made[name] = torch.nn.Parameter(torch.randn(shape, generator=generator))
        made[name].grad = torch.randn(shape, generator=generator)
    return made


def moved(recipe: Recipe, parameters: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    """By how much one step at rate 0.1 moves each."""
    before = {name: p.detach().clone() for name, p in parameters.items()}
    Optimiser(recipe, parameters).step(0.1)
    return {name: p.detach() - before[name] for name, p in parameters.items()}


def test_muon_moves_the_blocks_matrices_along_the_polar_factor_of_the_gradient(parameters):
    gradient = parameters["a.h.0.c.weight"].grad.double()
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    polar = u @ v  # the slow way to what the Newton-Schulz iteration approximates
    step = moved(MUON, parameters)["a.h.0.c.weight"].double()
    cosine = (step * -polar).sum() / step.norm() / polar.norm()
    assert cosine > 0.97
    gradient_cosine = (step * -gradient).sum() / step.norm() / gradient.norm()
    assert gradient_cosine < cosine - 0.02  # so the test tells Muon from plain descent
    rms = step.pow(2).mean().sqrt()
    assert rms == pytest.approx(0.1 * 2.5 * 0.2, rel=0.2)  # AdamW's, at 2.5 times the rate


def test_all_else_is_moved_by_adamw_as_without_muon(parameters):
    start = {name: p.detach().clone() for name, p in parameters.items()}
    with_muon = moved(MUON, parameters)
    for name, p in parameters.items():
        p.data.copy_(start[name])
    without = moved(replace(MUON, muon_rate=None), parameters)
    for name in ("wte.weight", "a.h.0.c.bias"):
        torch.testing.assert_close(with_muon[name], without[name], rtol=0, atol=0)
    assert not torch.allclose(with_muon["a.h.0.c.weight"], without["a.h.0.c.weight"])


def test_moments_are_restored_each_to_its_own_optimiser(parameters):
    first = Optimiser(MUON, parameters)
    first.step(0.1)
    saved = {name: tensor.clone() for name, tensor in first.moments().items()}
    assert {name.partition(".")[0] for name in saved if "h.0.c.weight" in name} == {
        "momentum_buffer"
    }
    other = Optimiser(MUON, parameters)
    assert other.moments() == {}
    other.restore(saved)
    assert other.moments().keys() == saved.keys()
    assert all(torch.equal(other.moments()[name], tensor) for name, tensor in saved.items())
    other.restart()
    assert other.moments() == {}


def test_killed_and_resumed_under_muon_gives_the_same_bits(tmp_path):
    train(MUON, tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(MUON, tmp_path / "broken", progress=kill_at(9))
    train(MUON, tmp_path / "broken")
    assert weights(tmp_path / "broken") == weights(tmp_path / "unbroken")


def test_a_rate_of_zero_and_heads_alone_are_refused():
    with pytest.raises(InputError, match="muon_rate=0 must be above 0, or None for AdamW alone"):
        Recipe(**TINY | {"muon_rate": 0})
    with pytest.raises(InputError, match="heads alone are trained with muon_rate=None"):
        Recipe(**TINY | {"muon_rate": 1.0, "heads": ((0, 0),), "weight_decay": 0.0})

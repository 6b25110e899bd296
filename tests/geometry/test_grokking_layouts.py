"""The suite on the public grokking layouts, wrapped and read by their own forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp.geometry import clock_pizza
from interp.geometry._modular import modular
from interp.geometry.pairs import grid_of, run_pairs
from tests import grokking
from tests.geometry import reference

LAYOUTS = {"grokked": (grokking.grokked, 113, 3), "pizza": (grokking.pizza, 59, 2)}


@pytest.fixture(scope="module", params=LAYOUTS)
def asked(request):
    """A layout's module with two circles and random weights (those of the adder have symmetric
    gradients), wrapped, its tokens of all pairs, and what is seen of them."""
    make, p, context = LAYOUTS[request.param]
    module, generator = make(), torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
        turn = 2 * np.pi * torch.arange(p) / p
        for i, k in enumerate((3, 7)):
            module.embed.W_E[2 * i, :p] = 2 * torch.cos(k * turn)
            module.embed.W_E[2 * i + 1, :p] = 2 * torch.sin(k * turn)
    model = interp.wrap(module, task=f"mod:{p}", name=request.param)
    grid = grid_of(model, p)
    assert grid.tokens.tolist() == list(range(p))
    a, b = np.divmod(np.arange(p * p), p)
    tokens = torch.from_numpy(np.stack([a, b, np.full(p * p, p)][:context], axis=1))
    with torch.no_grad():
        logits = module(tokens)[:, -1, :p].double().numpy().reshape(p, p, p)
    return module, model, p, grid, tokens, logits, run_pairs(model, grid)


def test_logits_and_distance_irrelevance_are_the_modules(asked):
    want, seen = asked[-2:]
    assert np.abs(seen.logits - want).max() <= 1e-4 * np.abs(want).max()
    found = clock_pizza.distance_irrelevance(seen.logits)
    assert found == pytest.approx(reference.distance_irrelevance(want), abs=1e-5)
    assert found < 0.998  # of unstructured logits: 1


def test_symmetricity_of_the_published_triples_is_the_modules(asked):
    """Gradients at the embedding's output, taken by a plain hook."""
    module, model, p, grid, tokens, _, _ = asked
    a, b, c = torch.tensor(clock_pizza.published_triples(p)).T
    held = []

    def keep(_, __, out):
        held.append(out.detach().requires_grad_(True))
        return held[0]

    handle = module.embed.register_forward_hook(keep)
    with torch.enable_grad():
        logits = module(tokens[a * p + b])
        (slope,) = torch.autograd.grad(logits[torch.arange(len(c)), -1, c].sum(), held[0])
    handle.remove()
    x, y = slope[:, 0].double().numpy(), slope[:, 1].double().numpy()
    cosines = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found = clock_pizza.gradient_symmetricity(model, grid, "published")
    assert found.n == 100 and found.mean == pytest.approx(cosines.mean(), abs=1e-3)
    assert cosines.std() > 0.05


def test_circularity_is_that_of_the_embedding(asked):
    module, _, p, _, _, _, seen = asked
    table = module.embed.W_E.detach().double().numpy().T[:p]
    assert clock_pizza.circularity(seen.embedding) == pytest.approx(
        reference.circularity(table), abs=1e-3
    )


def test_the_whole_suite_on_two_tokens_without_a_mask():
    model = interp.wrap(grokking.pizza(), task="mod:59", name="pizza")
    train = np.random.default_rng(1).random((59, 59)) < 0.8
    found = modular(model, triples="published", train=train)
    seen = run_pairs(model, grid_of(model, 59))
    assert found.value("distance_irrelevance") == clock_pizza.distance_irrelevance(seen.logits)
    assert found.value("circularity") == clock_pizza.circularity(seen.embedding)
    row = found.measures.set_index("measure").loc["gradient_symmetricity"]
    flat = sum(c == 0 for _, _, c in clock_pizza.published_triples(59))  # no gradient: logit 0 is 0
    assert row["n"] == 100 - flat
    assert set(found.rules["rule"]) == {"embedding", "unembedding", "neurons", "logits"}

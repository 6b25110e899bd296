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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_neurons_and_symmetricity_are_the_modules(layout):
    make, p, context = LAYOUTS[layout]
    module = make()
    model = interp.wrap(module, task=f"mod:{p}", name=layout)
    grid = grid_of(model, p)
    assert grid.tokens.tolist() == list(range(p))
    a, b = np.divmod(np.arange(p * p), p)
    columns = [a, b, np.full(p * p, p)][:context]
    tokens = torch.from_numpy(np.stack(columns, axis=1))
    some = np.random.default_rng(0).choice(p * p, 200, replace=False)
    with torch.no_grad():
        want = module(tokens[some])[:, -1].double().numpy()
    seen = run_pairs(model, grid)
    got = seen.logits.reshape(p * p, p)[some]
    assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max()
    triples = list(clock_pizza.published_triples(p)[:6])
    found = clock_pizza.gradient_symmetricity(model, grid, triples)
    assert found.mean == pytest.approx(_by_autograd(module, tokens, triples, p), abs=1e-4)


def _by_autograd(module, tokens, triples, p):
    """Gradients at the embedding's output, taken by a plain hook."""
    cosines = []
    for a, b, c in triples:
        held = []

        def keep(_, __, out, held=held):
            out = out.detach().requires_grad_(True)
            held.append(out)
            return out

        handle = module.embed.register_forward_hook(keep)
        with torch.enable_grad():
            logits = module(tokens[a * p + b][None])
            (slope,) = torch.autograd.grad(logits[0, -1, c], held[0])
        handle.remove()
        x, y = slope[0, 0], slope[0, 1]
        cosines.append(float(x @ y / x.norm() / y.norm()))
    return np.mean(cosines)


def test_the_whole_suite_on_two_tokens_without_a_mask():
    module = grokking.pizza()
    model = interp.wrap(module, task="mod:59", name="pizza")
    train = np.random.default_rng(1).random((59, 59)) < 0.8
    found = modular(model, triples=20, train=train)
    seen = run_pairs(model, grid_of(model, 59))
    assert found.value("distance_irrelevance") == pytest.approx(
        reference.distance_irrelevance(seen.logits), rel=1e-6
    )
    embedding = module.embed.W_E.detach().double().numpy()
    embedding = embedding if embedding.shape[0] == 59 else embedding.T
    assert found.value("circularity") == pytest.approx(reference.circularity(embedding), abs=1e-4)
    assert set(found.rules["rule"]) == {"embedding", "unembedding", "neurons", "logits"}

"""Products of trees by hand, cut edges against plain hooks, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError
from interp.heads.products import Edge, caches, carry_pairs, column_pairs, jaccard, tree_of
from interp.heads.tree_edges import Measured
from interp.results.result import Result
from tests import tiny


def pairs(*edges: Edge) -> set[tuple[str, tuple[int, int]]]:
    return {(one.site, one.pair) for one in caches(edges)}


def test_products_by_hand() -> None:
    # One head brings both digits; what the token holds itself is not needed.
    assert pairs(Edge(0, 0, "c0", "a1"), Edge(0, 0, "c0", "b2")) == {("c0", (1, 2))}
    # A head brings a digit of a to a digit of b.
    assert pairs(Edge(0, 1, "b0", "a2")) == {("b0", (2, 0))}
    # Two heads bring one digit each.
    assert pairs(Edge(0, 0, "eq", "a0"), Edge(0, 1, "eq", "b0")) == {("eq", (0, 0))}
    # Two heads with two digits each: their pairs are not mixed.
    both = [Edge(0, h, "c1", d) for h, ds in enumerate((("a1", "b1"), ("a0", "b2"))) for d in ds]
    assert pairs(*both) == {("c1", (1, 1)), ("c1", (0, 2))}
    # What b0 caches below is what a higher head fetches from it, not the digit b0.
    higher = [Edge(1, 0, "c0", "b0"), Edge(1, 0, "c0", "a3")]
    assert pairs(Edge(0, 0, "b0", "a1"), *higher) == {("b0", (1, 0))}
    assert pairs(*higher) == {("c0", (3, 0))}
    # Digits of two layers do not meet; a head at b0 that looks at b1 makes no product.
    assert pairs(Edge(0, 0, "eq", "a0"), Edge(1, 0, "eq", "b0"), Edge(0, 0, "b0", "b1")) == set()


def test_a_tree_by_hand() -> None:
    edges = [
        Edge(0, 0, "b0", "a1"),
        Edge(0, 0, "b1", "a0"),
        Edge(0, 1, "c0", "a0"),
        Edge(0, 1, "c0", "b0"),
        Edge(1, 0, "c0", "b0"),
        Edge(0, 0, "c0", "b1"),  # too low to find the product that b1 caches
    ]
    found = tree_of(edges, "c0")
    assert found.pairs == {(1, 0), (0, 0)}
    assert [edge.key for edge in found.fetches] == ["b0"]
    assert column_pairs(1, 2, 2) == {(0, 1), (1, 0)} and column_pairs(3, 2, 2) == frozenset()
    assert carry_pairs(1, 2, 2) == {(0, 0)}
    assert jaccard(frozenset({(0, 0), (0, 1)}), frozenset({(0, 1)})) == 0.5


def test_effects_need_size_and_significance() -> None:
    rng = np.random.default_rng(0)
    effect = np.zeros((200, 4, 1))
    effect[:, 0] = 1.0  # every prompt loses a tenth
    effect[:, 1] = 0.1  # too little
    effect[:, 2] = rng.normal(0.5, 40.0, (200, 1))  # a mean that chance gives
    effect[:, 3] = -3.0  # helps
    edges = tuple(Edge(0, h, "b0", "a0") for h in range(4))
    found = Measured(edges, np.ones((200, 4)), effect, np.full((200, 1), 10.0))
    assert found.by_effect(np.full(200, 1 / 200), 0.02)[:, 0].tolist() == [
        True,
        False,
        False,
        False,
    ]
    nothing = Measured(edges, np.ones((200, 4)), effect, np.full((200, 1), -1.0))
    assert not nothing.by_effect(np.full(200, 1 / 200), 0.02).any()  # answers no digit


@pytest.fixture(scope="module")
def tree():
    model = interp.load("mul3x3-aux")
    return model, interp.heads.tree(model, "mul:3x3", n=48, resamples=4)


def test_trees_of_a_trained_model(tree, tmp_path) -> None:
    _, found = tree
    score = found.scores.set_index(["route", "answer_digit"])
    assert found.metrics["coverage"] > found.metrics["coverage_chance"] + 0.2
    assert (score["stability"] <= 1).all() and score["coverage"].max() <= 1
    assert np.isnan(score.loc[("effect", "c5"), "coverage"])  # no product has i + j = 5
    extra = found.products.query("kind == 'extra'")
    assert all(i + j > int(d[1:]) for i, j, d in zip(extra.i, extra.j, extra.answer_digit,
                                                     strict=True))  # fmt: skip
    assert Result.load(found.save(tmp_path / "tree")) == found
    assert "c2" in found.figure("c2").layout.title.text
    assert found.figure().layout.title.text.startswith("Which products")


def test_a_cut_edge_against_plain_hooks(tree) -> None:
    """The edge with the largest effect, cut in the Hugging Face module by its attention weights."""
    model, found = tree
    row = found.edges.nlargest(1, "effect").iloc[0]
    batch = model.prompts(model.held_out(48, seed=0))
    from interp.models.fixtures import fixture_folders

    module = tiny.plain(fixture_folders()["mul3x3-aux"], torch.float32)
    q, k = batch.positions[row["query"]], batch.positions[row["key"]]
    attn = module.transformer.h[row["layer"]].attn
    d = attn.head_dim

    def margins() -> np.ndarray:
        with torch.no_grad():
            x = module(batch.tokens).logits
        at = batch.positions[row["answer_digit"]]
        label = batch.tokens[:, at]
        ids = torch.unique(batch.tokens[:, [batch.positions[f"c{i}"] for i in range(6)]])
        x = x[:, at - 1]
        own = x.gather(1, label[:, None])[:, 0]
        return (own - (x[:, ids].sum(dim=1) - own) / (len(ids) - 1)).numpy()

    whole, kept = margins(), {}
    attn.c_attn.register_forward_hook(lambda m, a, out: kept.update(qkv=out))

    def cut(_, inputs):
        z = inputs[0].clone()
        query, keys, values = (
            part.unflatten(-1, (-1, d))[:, :, row["head"]]
            for part in kept["qkv"].split(attn.embed_dim, dim=2)
        )
        weights = (query[:, q, None] * keys[:, : q + 1]).sum(-1) / d**0.5
        weights[:, k] = -torch.inf
        span = slice(row["head"] * d, (row["head"] + 1) * d)
        z[:, q, span] = (weights.softmax(-1)[..., None] * values[:, : q + 1]).sum(1)
        return (z,)

    attn.c_proj.register_forward_pre_hook(cut)
    assert abs((whole - margins()).mean() - row["effect"]) < 1e-3 * np.abs(whole).mean()


def test_bad_input(tmp_path) -> None:
    add5 = interp.load("add5")
    with pytest.raises(InputError, match=r"add:5 has no products.*'mul:4x4'.*heads.carry"):
        interp.heads.tree(add5, "add:5")
    model = interp.load("mul3x3-aux")
    for option in ({"least_attention": 0.0}, {"least_effect": 2}):
        with pytest.raises(InputError, match="must lie between 0 and 1"):
            interp.heads.tree(model, "mul:3x3", n=4, **option)
    with pytest.raises(InputError, match="at least two prompts and two resamples"):
        interp.heads.tree(model, "mul:3x3", n=4, resamples=1)
    other = interp.load(str(tiny.save("gpt2", tmp_path / "tiny")))
    with pytest.raises(InputError, match="different lengths or roles"):
        interp.heads.tree(other, "mul:2x2", n=20, format="plain")

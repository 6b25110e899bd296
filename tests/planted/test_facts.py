"""What a key says of a model is true: measured on the model, not read off the key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from interp import engine
from interp.engine import Read, UserHook, Variant
from interp.planted.compile import module
from interp.planted.planted import build
from tests.planted.subjects import SEEDS, Subject

NOTHING = 1e-3  # of the logit scale: what float32 norms and the stream's length let through


def change(subject: Subject, *interventions: Any) -> float:
    """The largest |Δlogit| at the answers, in logit scales."""
    roles = subject.key.answers
    clean = engine.run(subject.model, subject.batch, logits=roles).logits
    edited = engine.run(subject.model, subject.batch, interventions, logits=roles).logits
    return float((edited - clean).abs().max()) / subject.key.logit_scale


def test_every_answer_is_right(planted: Subject) -> None:
    """In float32, by the Hugging Face module alone, on every problem there is or on many."""
    key = planted.key
    problems = key.problems(4000)[::3] if key.kind == "modular" else key.problems(300)
    tokens = torch.from_numpy(key.tokens(problems))
    with torch.no_grad():
        logits = module(key.program).float()(tokens).logits
    for role in key.answers:
        place = key.position(role)
        assert (logits[:, place - 1].argmax(-1) == tokens[:, place]).all()


def test_positions_are_those_of_the_prompts(planted: Subject) -> None:
    key, batch = planted.key, planted.batch
    assert np.array_equal(batch.tokens.numpy(), key.tokens(planted.problems))
    for role in (*batch.roles, *key.answers):
        assert batch.positions[role] == key.position(role)


def test_movers_write_nothing_that_logits_read(planted: Subject) -> None:
    """Direct effects sum to the logits; those of heads are nothing, of movers and distractors,
    but for the relay's direct heads."""
    key = planted.key
    roles = key.answers
    found = key.direct_effects(planted.problems)
    heads = found[found["part"] == "head"]
    direct = {(one.layer, one.head) for one in key.direct_heads}
    writes = np.array(
        [place in direct for place in zip(heads["layer"], heads["head"], strict=True)]
    )
    assert (heads["largest"][~writes] < 1e-9).all()
    assert (heads["largest"][writes] > 1).any() == bool(direct)
    labels = torch.stack([planted.batch.labels(role) for role in roles], dim=1)
    run = engine.run(
        planted.model, planted.batch, reads=[Read("ln_final"), Read("z")], logits=roles
    )
    true = run.logits.gather(2, labels[..., None])[..., 0].mean(dim=0)
    sums = found.groupby("role")["mean"].sum()[list(roles)]
    planted.assert_close(true, sums, "sum of direct effects")
    if not direct:
        assert found[found["part"] == "mlp"]["mean"].max() > 0.5 * key.logit_scale


def test_heads_matter_as_told(planted: Subject) -> None:
    """Without any one mover answers change; without all distractors at once nothing does."""
    key = planted.key

    def without(heads: Any) -> Variant:
        edits = [engine.Scale("z", 0.0, layers=h.layer, heads=h.head) for h in heads]
        return Variant("without", tuple(edits))

    variants = [Variant("clean"), without(key.distractors), *(without([h]) for h in key.movers)]
    runs = engine.run_variants(planted.model, planted.batch, variants, logits=key.answers)
    clean, idle, *cut = (run.logits / key.logit_scale for run in runs)
    assert key.distractors and (idle - clean).abs().max() < NOTHING
    for head, logits in zip(key.movers, cut, strict=True):
        assert (logits - clean).abs().max() > 0.2, head


def test_distractors_write_as_much_as_movers(planted: Subject) -> None:
    """Vectors of the movers' length that tell of the problem, in directions of their own."""
    key = planted.key
    program = key.program
    trace = key.trace(key.problems(500))

    def longest(layer: int, head: int) -> float:
        return float(np.linalg.norm(trace.heads[layer][head] * program.scale, axis=-1).max())

    # The movers that read the embedding; others bring what neurons have computed.
    embedded = set(np.flatnonzero(program.embed.any(axis=0)))
    movers = [
        longest(head.layer, head.head)
        for head in key.movers
        for read in [program.layers[head.layer].heads[head.head].read]
        if set(np.flatnonzero(read.any(axis=0))) <= embedded
    ]
    others = [longest(head.layer, head.head) for head in key.distractors]
    assert min(others) > 0
    if movers:
        assert max(others) == pytest.approx(max(movers), rel=1e-3)
    used = {f for h in key.movers for f in program.layers[h.layer].heads[h.head].write.nonzero()[0]}
    junk = {f for h in key.distractors
            for f in program.layers[h.layer].heads[h.head].write.nonzero()[0]}  # fmt: skip
    assert not used & junk and not program.unembed[:, sorted(junk)].any()


def test_gradients_vanish_where_told(planted: Subject) -> None:
    effects = planted.key.head_effects(planted.problems[:6])
    movers = {(head.layer, head.head) for head in planted.key.movers}
    mine = effects[
        [(la, h) in movers for la, h in zip(effects["layer"], effects["head"], strict=True)]
    ]
    assert mine["removed"].max() > 0.2 * planted.key.logit_scale
    largest = float(mine["slope"].max()) / planted.key.logit_scale
    assert (largest < NOTHING) == planted.key.saturated


def _sees_itself(queries: slice) -> Any:
    def function(pattern: torch.Tensor) -> torch.Tensor:
        out = pattern.clone()
        out[:, :, queries] = torch.eye(pattern.shape[-1], dtype=pattern.dtype)[queries]
        return out

    return function


def test_tokens_wait_as_long_as_told(planted: Subject) -> None:
    key = planted.key

    def alone(layers: range) -> list[UserHook]:
        return [UserHook("pattern", _sees_itself(slice(None)), layers=la) for la in layers]

    if key.wait:
        assert change(planted, *alone(range(key.wait))) < NOTHING
    assert change(planted, *alone(range(key.wait + 1))) > 0.2


def test_only_the_last_token_looks_where_told(planted: Subject) -> None:
    key = planted.key
    before = _sees_itself(slice(0, key.position("last")))
    moved = change(planted, UserHook("pattern", before))
    assert (moved < NOTHING) == key.only_last_looks
    if key.kind in ("waiting", "early"):
        assert key.only_last_looks == (key.kind == "waiting")


@pytest.mark.parametrize("seed", SEEDS)
def test_circles_are_as_told(seed: int) -> None:
    """ρ e^{i(w a + φ)} off the embedding of the Hugging Face module."""
    key = build("modular", seed=seed).key
    p, program = key.program.facts["modulus"], key.program
    weights = module(program).get_input_embeddings().weight.detach().numpy()[:p]
    features = key.features_of(weights)
    for circle in key.frequencies:
        f = circle["frequency"]
        at = program.feature(f"circle {f}[0]")
        w = 2 * np.pi * f / p
        want = circle["radius"] * np.exp(1j * (w * np.arange(p) + circle["phase"]))
        assert np.abs(features[:, at] + 1j * features[:, at + 1] - want).max() < 1e-9
    spectrum = np.abs(np.fft.rfft(weights, axis=0)).max(axis=1)
    planted = {circle["frequency"] for circle in key.frequencies}
    assert set(np.flatnonzero(spectrum[1:] > 1e-6 * spectrum[1:].max()) + 1) == planted


@pytest.mark.parametrize("seed", SEEDS)
def test_the_tree_of_a_product(seed: int) -> None:
    key = build("column", seed=seed).key
    moves = {(edge.brings, edge.source, edge.target) for edge in key.edges}
    assert moves == {
        ("a[1]", "a1", "b0"), ("a[0]", "a0", "b0"), ("a[0]", "a0", "b1"),
        ("product[1,0]", "b0", "c0"), ("carry[0]", "b0", "c0"), ("product[0,1]", "b1", "c0"),
    }  # fmt: skip
    assert key.layers["cache"] < key.layers["sum"] and not key.only_last_looks
    assert set(key.tree["c1"]) == {"product[1,0]", "product[0,1]", "carry[0]"}
    levels = [edge.layer for edge in key.edges if edge.target == "c0"]
    assert min(levels) > key.layers["cache"] and max(levels) <= key.layers["sum"]
    problems = key.task.sample(1000, seed=seed)
    r2 = key.linear_r2(["product[1,0]", "carry[0]"], "b0", problems=problems)
    before, after = r2.iloc[key.layers["cache"]], r2.iloc[key.layers["cache"] + 1]
    assert (before < 0.9).all() and (after > 1 - 1e-6).all()

"""Masks say what they do: against −inf scores, and against the table of who sees whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
from interp import engine
from interp.ablation import Schedule, knock_out
from interp.ablation.masks import cut
from interp.ablation.picture import picture
from interp.ablation.places import Places
from interp.ablation.visible import visible
from interp.engine import Read
from interp.errors import InputError
from tests import tiny


@pytest.mark.parametrize("mask", ["full-peek", "self-peek", "operands", "window:2", "open"])
@pytest.mark.parametrize("format", ["padded", "plain@1:0"])
def test_the_pattern_is_what_the_mask_allows(
    mask: str, format: str, tiny_model: Callable[..., Any]
) -> None:
    model, _ = tiny_model("llama")
    problems = interp.Addition(2).problems([12, 99, 30], [34, 99, 71])
    batch = model.prompts(problems, format=format)
    places = Places.of(batch, "shots" if "@" in format else "first")
    if mask == "window:2" and "plain" in format:
        batch = batch[1:]  # of one layout
        places = Places.of(batch, "shots")
    edits = cut(places, mask, [1, 2])
    read = [Read("pattern", (1,))]
    found = engine.run(model, batch, edits, reads=read, logits=None).activations["pattern", 1]
    end = places.end
    weights = found[:, :end, :, :end].sum(dim=2)  # over heads
    assert torch.allclose(found[:, :end].sum(-1), torch.ones(1, dtype=found.dtype))
    there = np.arange(end) < places.ends[:, None]
    allowed = visible(places, mask)
    assert np.array_equal((weights > 0).numpy()[there], allowed[there])


@settings(max_examples=6)
@given(
    edge=st.tuples(st.sampled_from(["b0", "eq", "op"]), st.sampled_from(["a1", "a0", "bos"])),
    family=st.sampled_from(tiny.FAMILIES),
)
def test_a_knocked_out_edge_is_a_score_of_minus_infinity(
    edge: tuple[str, str], family: str, tiny_model: Callable[..., Any]
) -> None:
    model, folder = tiny_model(family)
    batch = model.prompts(interp.Addition(2).sample(3, seed=1), format="padded")
    got = engine.run(model, batch, knock_out(batch, [edge], [2])).logits
    query, key = (int(batch.positions[role]) for role in edge)
    module = tiny.plain(folder)
    length = batch.tokens.shape[1]
    mask = torch.full((length, length), -torch.inf, dtype=module.dtype).triu(1)
    mask[query, key] = -torch.inf
    handle = tiny.parts(module, family, 2)["attn"].register_forward_pre_hook(
        lambda part, args, kwargs: (args, {**kwargs, "attention_mask": mask[None, None]}),
        with_kwargs=True,
    )
    with torch.no_grad():
        logits = module(batch.tokens).logits
    handle.remove()
    want = torch.stack([logits[:, int(batch.predicts(r))] for r in batch.answer_roles], dim=1)
    share = 1e-9 if family == "gpt2" else 1e-6  # the others take the softmax in float32
    assert float((got - want).abs().max()) <= share * float(want.abs().max())


def test_the_picture_shows_who_sees_whom(tiny_model: Callable[..., Any]) -> None:
    model, _ = tiny_model("gpt2")
    batch = model.prompts(interp.Addition(1).sample(2, seed=0), format="padded")
    schedule = Schedule(1, (2,), (1, 3), heads=((2, 0), (2, 3)))
    lines = picture(schedule, Places.of(batch), tiny.N_LAYERS).splitlines()
    assert "layer 0 (1): wait" in lines
    assert (
        "layer 2 (1): transfer, full-peek, heads 2.0 2.3; the others as in compute layers" in lines
    )
    looks = [line.split() for line in lines if line.strip().startswith("eq ")]
    assert looks[2] == ["eq", *"ooooo"]  # transfer
    assert looks[1] == looks[3] == ["eq", "o", "·", "·", "·", "o"]  # compute
    assert picture(Schedule(), Places.of(batch), 4).startswith("layers 0–3 (4): as it is")


def test_counts_and_indices() -> None:
    schedule = Schedule.all_for_one(32, wait=15, width=2)  # L_wait = 14 of the paper and its code
    assert (schedule.wait, schedule.transfer) == (15, (15, 16))
    assert schedule.compute == tuple(range(17, 32))
    assert Schedule.of(schedule.spec()) == schedule
    headed = Schedule(1, (2,), heads=((2, 1),))
    assert Schedule.of(headed.spec()) == headed
    assert Schedule.of({"wait": 1, "transfer": [2], "heads": [[2, 1]]}) == headed
    assert Schedule.of(headed) is headed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"waits": 1}, "a schedule has no 'waits': it has wait, transfer, compute"),
        ([1, 2], r"a mapping with wait, .*; not \[1, 2\]"),
        ({}, r"not {}. The full model is Schedule\(\)"),
        ({"wait": "2"}, "wait is a number of layers, a whole one, not '2'"),
        ({"transfer": None}, "transfer are layer indices, whole numbers, not None"),
        ({"transfer": [2], "heads": [[2, 1.5]]}, "heads are pairs"),
        ({"transfer_mask": 3}, "mask"),
        ({"transfer": [2], "heads": [2, 1]}, r"heads are pairs \(layer, head\), not \[2, 1\]"),
    ],
)
def test_values_that_make_no_schedule(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Schedule.of(given)

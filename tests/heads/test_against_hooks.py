"""Patching and path patching equal plain PyTorch hooks on the Hugging Face module, every family.

The references follow the published definitions literally: one text at a time, complete forwards,
nothing of the package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import interp
from tests import tiny
from tests.heads.conftest import FORMAT, ROLES, Subject

LAYERS, HEADS = tiny.N_LAYERS, tiny.N_HEADS
WIDTH = tiny.D_MODEL // HEADS


def head_inputs(pair: Subject, text: str) -> list[torch.Tensor]:
    """What heads give to the output projection, by layer: [characters, heads · d_head]."""
    return [pair.slow.seen(text, pair.slow.part(la, "o"), "in") for la in range(LAYERS)]


def mlp_outputs(pair: Subject, text: str) -> list[torch.Tensor]:
    return [pair.slow.seen(text, pair.slow.part(la, "mlp"), "out") for la in range(LAYERS)]


def put(value: torch.Tensor) -> Any:
    return lambda x: value[None].expand_as(x).clone()


def with_head(held: torch.Tensor, head: int, other: torch.Tensor) -> torch.Tensor:
    out = held.clone()
    out[:, head * WIDTH : (head + 1) * WIDTH] = other[:, head * WIDTH : (head + 1) * WIDTH]
    return out


def hooks(
    pair: Subject, clean: str, other: str, layer: int, head: int | None, frozen: str
) -> list[Any]:
    """Every node held at its clean value but the sender (None: the MLP), and MLPs where they are
    recomputed."""
    z, theirs = head_inputs(pair, clean), head_inputs(pair, other)
    mlps, their_mlps = mlp_outputs(pair, clean), mlp_outputs(pair, other)
    found: list[Any] = []
    for la in range(LAYERS):
        held = with_head(z[la], head, theirs[la]) if la == layer and head is not None else z[la]
        found.append((pair.slow.part(la, "o"), "in", put(held)))
        if la == layer and head is None:
            found.append((pair.slow.part(la, "mlp"), "out", put(their_mlps[la])))
        elif frozen == "all":
            found.append((pair.slow.part(la, "mlp"), "out", put(mlps[la])))
    return found


@pytest.mark.parametrize("frozen", ["all", "heads"])
def test_paths_to_the_logits(pair: Subject, frozen: str) -> None:
    found = interp.heads.paths(
        pair.model, pair.clean, corrupted=pair.corrupted, frozen=frozen, format=FORMAT,
        metrics="logit_difference", answers=ROLES,
    )  # fmt: skip
    some = [(0, 1), (1, 3), (LAYERS - 1, 0), (1, None), (LAYERS - 1, None)]
    for layer, head in some:
        effects = []
        for row, (clean, other) in enumerate(pair.texts):
            logits = pair.slow.hooked(clean, hooks(pair, clean, other, layer, head, frozen))
            before = pair.difference(row, pair.slow.logits(clean))
            effects.append(before - pair.difference(row, logits))
        sender = f"L{layer}.mlp" if head is None else f"L{layer}H{head}"
        got = found.main.at(sender=sender, receiver="logits").values
        want = np.nanmean(effects, axis=0)
        assert np.abs(got - want).max() <= 1e-9 * np.abs(want).max(), (sender, got, want)
        assert np.abs(want).max() > 1e-5


def projection(pair: Subject, layer: int, which: str, index: int) -> tuple[Any, slice]:
    """The module that computes q, k or v, and the columns of one head or group in its output."""
    block = tiny.parts(pair.slow.module, pair.slow.family, layer)["attn"]
    number = "qkv".index(which)
    if pair.slow.family == "gpt2":
        first = number * tiny.D_MODEL + index * WIDTH
        return block.c_attn, slice(first, first + WIDTH)
    if pair.slow.family == "gpt_neox":
        first = (3 * index + number) * WIDTH
        return block.query_key_value, slice(first, first + WIDTH)
    return getattr(block, f"{which}_proj"), slice(index * WIDTH, (index + 1) * WIDTH)


@pytest.mark.parametrize("frozen", ["all", "heads"])
@pytest.mark.parametrize("which", ["q", "k", "v"])
def test_paths_into_a_head(pair: Subject, which: str, frozen: str) -> None:
    layer, index = LAYERS - 1, 1
    letter = "H" if which == "q" else "G"
    receiver = f"L{layer}{letter}{index}.{which}"
    found = interp.heads.paths(
        pair.model, pair.clean, corrupted=pair.corrupted, frozen=frozen, format=FORMAT,
        metrics="logit_difference", receivers=receiver, senders=["L0H2", "L1.mlp"], answers=ROLES,
    )  # fmt: skip
    part, columns = projection(pair, layer, which, index)
    for sender, (at, head) in {"L0H2": (0, 2), "L1.mlp": (1, None)}.items():
        effects = []
        for row, (clean, other) in enumerate(pair.texts):
            seen: list[torch.Tensor] = []
            note = (part, "out", lambda x, seen=seen: seen.append(x[0, :, columns].clone()) or x)
            pair.slow.hooked(clean, [*hooks(pair, clean, other, at, head, frozen), note])

            def give(x: torch.Tensor, seen: Any = seen) -> torch.Tensor:
                x = x.clone()
                x[0, :, columns] = seen[0]
                return x

            logits = pair.slow.hooked(clean, [(part, "out", give)])
            before = pair.difference(row, pair.slow.logits(clean))
            effects.append(before - pair.difference(row, logits))
        got = found.main.at(sender=sender, receiver=receiver).values
        want = np.nanmean(effects, axis=0)
        assert np.abs(got - want).max() <= 1e-6 * np.abs(want).max(), (sender, got, want)
        assert np.abs(want).max() > 1e-7


@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_activation_patching(pair: Subject, direction: str) -> None:
    found = interp.heads.patch(
        pair.model, pair.clean, corrupted=pair.corrupted, format=FORMAT, direction=direction,
        metrics="logit_difference", answers=ROLES, same_answer=False,
    )  # fmt: skip
    for layer, head in [(0, 1), (LAYERS - 1, 3)]:
        effects = []
        for row, texts in enumerate(pair.texts):
            run, source = texts[::-1] if direction == "denoise" else texts
            theirs = head_inputs(pair, source)[layer]

            def give(x: torch.Tensor, head: int = head, theirs: Any = theirs) -> torch.Tensor:
                return with_head(x[0], head, theirs)[None]

            logits = pair.slow.hooked(run, [(pair.slow.part(layer, "o"), "in", give)])
            change = pair.difference(row, logits) - pair.difference(row, pair.slow.logits(run))
            effects.append(change if direction == "denoise" else -change)
        got = found.main.at(layer=layer, head=head).values
        want = np.nanmean(effects, axis=0)
        assert np.abs(got - want).max() <= 1e-9 * np.abs(want).max()
        assert np.abs(want).max() > 1e-5

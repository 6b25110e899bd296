"""Little memory changes no number, and is kept to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp import ablation
from interp.ablation import batched_schedules
from interp.ablation.complete import StagedResources
from interp.ablation.own_states import OwnStates, beginnings
from interp.ablation.setting import Setting

LITTLE = 40_000  # bytes: a few cells, a few positions of the vocabulary


@pytest.fixture
def asked(tiny_model: Callable[..., Any]) -> Any:
    model, _ = tiny_model("gpt2")
    return model, model.prompts(interp.Addition(2).sample(16, seed=2), format="padded")


def test_a_grid_in_parts_is_the_grid(asked: Any, monkeypatch: Any) -> None:
    model, batch = asked
    together: list[int] = []
    at_once, unembed = batched_schedules.BatchedSchedules._from, batched_schedules.unembed
    read: list[int] = []
    monkeypatch.setattr(
        batched_schedules.BatchedSchedules,
        "_from",
        lambda s, w, c: (together.append(len(c)), at_once(s, w, c))[1],
    )
    monkeypatch.setattr(
        batched_schedules,
        "unembed",
        lambda m, x: (read.append(x.shape[:-1].numel()), unembed(m, x))[1],
    )
    found, cells_at_once, positions = [], [], []
    for memory in (2**30, LITTLE):
        together.clear()
        read.clear()
        found.append(ablation.grid(model, batch, replacement="own", kl=True, memory=memory))
        cells_at_once.append(max(together))
        positions.append(max(read))
    assert cells_at_once[1] < cells_at_once[0] == 5  # every width that fits without waiting
    each = 6 * 8 * model.shape.d_vocab
    assert positions[1] * each <= LITTLE < positions[0] * each
    assert found[0].kl is not None
    for name in ("logit_difference", "kl"):
        whole, parts = (getattr(result, name).values for result in found)
        np.testing.assert_allclose(whole, parts, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("replacement", ["resample", "cama"])
def test_states_of_some_depths_at_a_time_are_the_states(
    replacement: str, tiny_model: Callable[..., Any], monkeypatch: Any
) -> None:
    model, _ = tiny_model("gpt2")
    batch = model.prompts(interp.Addition(1).grid()[:40], format="padded")  # all in the table
    held: list[int] = []
    make = OwnStates._make

    def noted(self: Any, depth: int) -> None:
        make(self, depth)
        held.append(self.states.numel() * self.states.element_size())

    monkeypatch.setattr(OwnStates, "_make", noted)
    little = 2 * 150 * model.shape.d_model * 8  # bytes: two depths of about 150 prefixes
    whole, parts = (
        Setting.of(
            model, batch, replacement, "first", 0, StagedResources(memory)
        ).replacement_states()
        for memory in (2**30, little)
    )
    for depth in (1, 2, 3, 4, 1):
        assert torch.allclose(whole.rows(depth), parts.rows(depth), rtol=0, atol=1e-12), depth
    assert held[0] > little >= max(held[1:])
    assert len(held) == 1 + 3  # all at once; then 1 and 2, 3 and 4, and 1 again


def test_beginnings_are_numbered() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 3, (30, 4))
    numbers = beginnings(tokens)
    alike: dict[tuple[int, ...], set[int]] = {}
    for row, found in zip(tokens.tolist(), numbers.tolist(), strict=True):
        for position in range(4):
            alike.setdefault(tuple(row[: position + 1]), set()).add(found[position])
    assert all(len(numbered) == 1 for numbered in alike.values())
    assert sorted(min(numbered) for numbered in alike.values()) == list(range(len(alike)))

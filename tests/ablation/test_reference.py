"""Both routes give the numbers of a slow and obvious reference, in every family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

import interp
from interp import engine
from interp.ablation import Replacement, Schedule
from interp.ablation._evaluate import score
from interp.ablation._grid import full_answers, run_schedules
from interp.ablation._removal import variants
from interp.ablation.answers import Answers
from interp.ablation.batched_schedules import BatchedSchedules, StagedSchedule
from interp.ablation.complete import StagedResources
from interp.ablation.setting import Setting
from tests import tiny
from tests.ablation import reference

TASK = interp.Addition(1)


def setting(model: Any, batch: Any, replacement: str = "cama", sink: str = "first") -> Setting:
    return Setting.of(model, batch, Replacement.of(replacement), sink, 0, StagedResources())


def close(model: Any, family: str) -> float:
    if model.dtype == torch.float32:
        return 1e-4
    return 1e-9 if family == "gpt2" else 1e-6  # the others take the softmax in float32


def by_hand(folder: Any, family: str, batch: Any, table: Any, schedule: Schedule) -> torch.Tensor:
    """Reference logits [n, answers, V]."""
    module = tiny.plain(folder)
    out = []
    last = int(batch.positions["last"])
    end = last + len(batch.answer_roles)
    for ids in batch.tokens:
        waiting = None
        if schedule.wait:
            waiting = reference.conditional_mean(
                module, family, table.tokens[:, :end], ids[:end], schedule.wait
            )
        found = reference.all_for_one(
            module, family, ids[:end], waiting, schedule.wait, schedule.transfer, last
        )
        out.append(found[last:end])
    return torch.stack(out)


def told(logits: torch.Tensor, full: torch.Tensor, batch: Any) -> Answers:
    """right, Δ and KL, one prompt and answer token at a time."""
    labels = torch.stack([batch.labels(role) for role in batch.answer_roles], dim=1)
    n, answers = labels.shape
    right, difference, kl = (np.zeros((n, answers)) for _ in range(3))
    for i in range(n):
        for j in range(answers):
            x, own = logits[i, j], int(labels[i, j])
            others = [float(x[int(labels[other, j])]) for other in range(n) if other != i]
            right[i, j] = float(int(x.argmax()) == own)
            difference[i, j] = float(x[own]) - float(np.mean(others))
            p, q = full[i, j].log_softmax(-1), x.log_softmax(-1)
            kl[i, j] = float((p.exp() * (p - q)).sum())
    return Answers(right, difference, kl)


def assert_equal(got: Answers, want: Answers, share: float) -> None:
    scale = float(np.abs(want.difference).max())
    assert np.array_equal(got.right, want.right)
    assert np.abs(got.difference - want.difference).max() <= share * scale
    assert np.abs(got.kl - want.kl).max() <= 10 * share * max(1.0, float(np.abs(want.kl).max()))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_both_routes_give_the_numbers_of_the_reference(
    family: str, tiny_model: Callable[..., Any]
) -> None:
    model, folder = tiny_model(family)
    grid = TASK.grid()
    table = model.prompts(grid, format="padded")
    batch = model.prompts(grid[np.arange(3, 100, 17)], format="padded")
    schedule = Schedule.all_for_one(tiny.N_LAYERS, wait=2, width=1)
    module = tiny.plain(folder)
    last = int(batch.positions["last"])
    with torch.no_grad():
        full = module(batch.tokens).logits[:, last : last + len(batch.answer_roles)]
    want = told(by_hand(folder, family, batch, table, schedule), full, batch)
    here = setting(model, batch)
    assert_equal(score(here, schedule)["ablated"], want, close(model, family))
    whole, stream = full_answers(here, kl=True)
    cells = BatchedSchedules(here, here.replacement_states(), "full-peek", whole, stream)
    assert_equal(
        cells.run([StagedSchedule.of(schedule, tiny.N_LAYERS)])[0], want, close(model, family)
    )


def test_removal_blinds_the_last_tokens_alone(tiny_model: Callable[..., Any]) -> None:
    """Under an open mask the others go on seeing what they saw, in the layer that is cut too."""
    model, folder = tiny_model("gpt2")
    batch = model.prompts(TASK.grid()[np.arange(3, 100, 17)], format="padded")
    schedule = Schedule(0, (1, 2), (0, 3), transfer_mask="open")
    asked = variants(setting(model, batch), schedule)
    module, last = tiny.plain(folder), int(batch.positions["last"])
    end = last + len(batch.answer_roles)
    for gone in ((1,), (2,), (1, 2)):
        left = [layer for layer in schedule.transfer if layer not in gone]
        want = torch.stack([
            reference.all_for_one(
                module, "gpt2", ids[:end], None, 0, left, last, opened=schedule.transfer
            )[last:end]
            for ids in batch.tokens
        ])  # fmt: skip
        what = asked["schedule", gone[0] if len(gone) == 1 else -1]
        got = engine.run(model, batch, what, logits=batch.answer_roles).logits
        assert float((got - want).abs().max()) < 1e-9


SCHEDULES = (
    Schedule.all_for_one(4, 0, 0),
    Schedule.all_for_one(4, 0, 2),
    Schedule.all_for_one(4, 1, 2),
    Schedule.all_for_one(4, 1, 1, start=2),
    Schedule.all_for_one(4, 4, 0),
    Schedule(1, (1, 3), (2,), heads=((1, 0), (1, 2), (3, 1))),
)


CASES = [
    *((family, "cama:value") for family in tiny.FAMILIES),
    *(("llama", name) for name in ("cama", "role-mean", "mean", "zero", "resample", "own")),
]


@pytest.mark.parametrize(("family", "replacement"), CASES)
def test_cells_equal_complete_forwards(
    family: str,
    replacement: str,
    tiny_model: Callable[..., Any],
    exact_softmax: Callable[[Any], None],
) -> None:
    model, _ = tiny_model(family)
    exact_softmax(model)
    batch = model.prompts(interp.Addition(2).sample(16, seed=1), format="padded")
    assert_routes_agree(setting(model, batch, replacement), SCHEDULES, 1e-9)


@pytest.mark.parametrize(
    ("format", "sink"), [("plain", "none"), ("plain@1:0", "shots"), ("af1-qa", "first")]
)
def test_cells_equal_complete_forwards_in_other_prompts(
    format: str, sink: str, tiny_model: Callable[..., Any]
) -> None:
    """Rows of other lengths, answers of several tokens, few-shot examples as the sink."""
    model, _ = tiny_model("llama", "float32")
    batch = model.prompts(interp.Addition(2).sample(16, seed=2), format=format)
    assert_routes_agree(setting(model, batch, "role-mean", sink), SCHEDULES[1:4:2], 1e-4)


def test_cells_equal_complete_forwards_under_other_masks(tiny_model: Callable[..., Any]) -> None:
    model, _ = tiny_model("gpt2")
    batch = model.prompts(interp.Addition(2).sample(16, seed=3), format="padded")
    for mask in ("operands", "window:2"):
        schedules = [replace(s, transfer_mask=mask) for s in (SCHEDULES[2], SCHEDULES[5])]
        assert_routes_agree(setting(model, batch), schedules, 1e-9)


def fewer_readings(here: Setting, schedules: Any, full: Any) -> list[Any]:
    """The cells' answers without KL, read where `full` is right."""
    cells = BatchedSchedules(here, here.replacement_states(), schedules[0].transfer_mask, full)
    return cells.run(
        [StagedSchedule.of(schedule, here.model.shape.n_layers) for schedule in schedules]
    )


def test_the_vocabulary_is_read_where_the_full_model_is_right(
    tiny_model: Callable[..., Any],
) -> None:
    model, _ = tiny_model("gpt2")
    here = setting(model, model.prompts(interp.Addition(2).sample(16, seed=4), format="padded"))
    full, _ = full_answers(here)
    claimed = replace(full, right=np.where(np.arange(16)[:, None] < 5, 1.0, full.right * 0))
    for found in fewer_readings(here, SCHEDULES[:2], claimed):
        assert np.isnan(found.right[5:]).all()
        assert not np.isnan(found.right[:5]).any()
        assert not np.isnan(found.difference).any()


def assert_routes_agree(here: Setting, schedules: Any, share: float) -> None:
    with patch.object(Setting, "right", lambda self, full: full.all_right):  # random: none is
        full, slow = run_schedules(here, schedules, route="complete")
        _, fast = run_schedules(here, schedules, kl=True)
    everywhere = replace(full, right=np.where(np.isnan(full.right), np.nan, 1.0))
    seldom = fewer_readings(here, schedules, everywhere)
    for a, b, c in zip(slow, fast, seldom, strict=True):
        scale = np.nanmax(np.abs(a.difference))
        for other in (b, c):
            assert np.array_equal(a.right, other.right, equal_nan=True)
            assert np.nanmax(np.abs(a.difference - other.difference)) <= share * scale
        assert np.nanmax(np.abs(a.kl - b.kl)) <= 10 * share * max(1.0, np.nanmax(a.kl))
    assert np.nanmax(np.abs(slow[0].difference - slow[1].difference)) > 1e-3  # they do differ

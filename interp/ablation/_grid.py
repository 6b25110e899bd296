"""Faithfulness of every wait depth with every width of transfer after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation.answers import Answers
from interp.ablation.batched_schedules import BatchedSchedules, StagedSchedule
from interp.ablation.complete import StagedResources, interventions, run_all
from interp.ablation.guesses import guessed
from interp.ablation.measured import faithfulness, logit_difference, token_faithfulness
from interp.ablation.replacements import Replacement
from interp.ablation.results.grid import AblationGrid
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Draw, Setting
from interp.ablation.visible import OPEN, PEEK, check_mask
from interp.engine._run import run
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read
from interp.errors import InputError
from interp.models.asking import Asked
from interp.models.model import Model
from interp.results.grid import Axis, Grid

Route = Literal["fast", "complete"]
Floats = npt.NDArray[np.float64]


@shows_progress
def grid(
    model: Model,
    asked: Asked,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    replacement: str | Replacement = "cama",
    sink: str = "first",
    waits: Sequence[int] | None = None,
    widths: Sequence[int] | None = None,
    transfer_mask: str = PEEK,
    kl: bool = False,
    route: Route = "fast",
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AblationGrid:
    """Faithfulness where layers 0 … w−1 wait, w … w+t−1 transfer and the rest compute.

    Args:
        waits, widths: the values of w and t, counts of layers; None: every one that fits.
        kl: also compute KL, which reads the whole vocabulary in every cell.
        transfer_mask: the mask of transfer layers; "open" always takes complete forwards.
        route: "fast" computes each state once (`batched_schedules`), "complete" runs each cell as
            complete forwards; the numbers are equal.
        Others as in `evaluate`.

    Returns:
        Both grids with intervals; NaN where w + t exceeds the number of layers. If few prompts are
        answered correctly, the conclusion uses the logit difference over all prompts; if none is,
        faithfulness is NaN.

    Does not show: whether each layer of a window is needed.

    Raises:
        InputError: for a wait or width past the last layer; and as `evaluate`.
    """
    if route not in get_args(Route):
        raise InputError(f"unknown route {route!r}: choose 'fast' or 'complete'.")
    check_mask(transfer_mask)
    draw = Draw(n, seed, format, held_out)
    setting = Setting.asked(
        model, asked, draw, replacement, sink, StagedResources(memory, cancel, progress)
    )
    depth = model.shape.n_layers
    chosen = [_counts("waits", waits, depth), _counts("widths", widths, depth)]
    pairs = [(w, t) for w in chosen[0] for t in chosen[1] if w + t <= depth]
    schedules = [
        replace(Schedule.all_for_one(depth, w, t), transfer_mask=transfer_mask) for w, t in pairs
    ]
    if not schedules:
        raise InputError(f"no wait and width fit {depth} layers together.")
    full, answers = run_schedules(setting, schedules, route=route, kl=kl)
    settings = {
        "waits": None if waits is None else chosen[0],
        "widths": None if widths is None else chosen[1],
        "transfer_mask": transfer_mask,
        "kl": kl,
        "route": route,
    }
    return _result(setting, full, answers, pairs, chosen, settings)


def run_schedules(
    setting: Setting, schedules: Sequence[Schedule], *, route: Route = "fast", kl: bool = False
) -> tuple[Answers, list[Answers]]:
    """The full model's answers, and those under each schedule (of one transfer mask)."""
    if route == "complete" or any(s.transfer_mask == OPEN for s in schedules):
        return _complete(setting, schedules)
    for schedule in schedules:
        schedule.check(
            setting.model.shape.n_layers, setting.model.shape.n_heads, setting.model.name
        )
    full, stream = full_answers(setting, kl=kl)
    cells = BatchedSchedules(
        setting, setting.replacement_states(), schedules[0].transfer_mask, full, stream
    )
    depth = setting.model.shape.n_layers
    return full, cells.run([StagedSchedule.of(schedule, depth) for schedule in schedules])


def full_answers(setting: Setting, *, kl: bool = False) -> tuple[Answers, torch.Tensor | None]:
    """The full model's answers and, for KL, its stream after the last block where each answer token
    is emitted, [n, answers, d_model], from which logits are computed a few at a time."""
    quiet = replace(setting.resources, progress=None)
    full = run_all(setting.model, setting.places, {}, quiet, truth=setting.truth)["full"]
    if not kl:
        return full, None
    return full, _emitting(setting)


def _emitting(setting: Setting) -> torch.Tensor:
    model, batch, memory = setting.model, setting.batch, setting.resources.memory
    last = model.shape.n_layers - 1
    emits = torch.from_numpy(setting.places.emits).clamp(min=0)
    each = batch.tokens.shape[1] * model.shape.d_model * model.dtype.itemsize
    at_once = max(1, memory // (2 * each))
    parts = []
    for first in range(0, len(batch), at_once):
        rows = slice(first, first + at_once)
        found = run(
            model, batch[rows], reads=[Read("resid_post", (last,))], logits=None, memory=memory,
            cancel=setting.resources.cancel,
        ).activations["resid_post", last]  # fmt: skip
        where = emits[rows][..., None].expand(-1, -1, found.shape[-1])
        parts.append(found.gather(1, where.to(found.device)))
    return torch.cat(parts)


def _complete(setting: Setting, schedules: Sequence[Schedule]) -> tuple[Answers, list[Answers]]:
    replaced = setting.replacement_states()
    variants = {
        str(i): interventions(setting.model, setting.places, schedule, replaced)
        for i, schedule in enumerate(schedules)
    }
    found = run_all(setting.model, setting.places, variants, setting.resources, truth=setting.truth)
    return found["full"], [found[name] for name in variants]


def _counts(name: str, counts: Sequence[int] | None, depth: int) -> list[int]:
    if counts is None:
        return list(range(depth + 1))
    found = sorted({int(count) for count in counts})
    if not found or found[0] < 0 or found[-1] > depth:
        raise InputError(f"{name} are counts of layers, 0 to {depth}, not {list(counts)}.")
    return found


def _result(
    setting: Setting,
    full: Answers,
    answers: list[Answers],
    pairs: list[tuple[int, int]],
    chosen: list[list[int]],
    settings: Mapping[str, object],
) -> AblationGrid:
    right = full.all_right
    axes = (Axis("wait", tuple(map(str, chosen[0]))), Axis("width", tuple(map(str, chosen[1]))))
    roles = Axis("role", setting.batch.answer_roles)

    def spread(values: Floats) -> Floats:
        """[…, cells] → […, wait, width]."""
        out = np.full((*values.shape[:-1], len(chosen[0]), len(chosen[1])), np.nan)
        for cell, (wait, width) in enumerate(pairs):
            out[..., chosen[0].index(wait), chosen[1].index(width)] = values[..., cell]
        return out

    kept = [spread(x) for x in faithfulness(setting, right, answers)]
    difference = [spread(x) for x in logit_difference(setting, full, answers)]
    tokens = [spread(x) for x in token_faithfulness(setting, full, answers)]
    guesses = guessed(setting.truth.labels.numpy(), full.right == 1, setting.prompt)
    divergence = np.array([found.total_kl.mean() for found in answers])
    return AblationGrid(
        **setting.common(table=True, **settings),
        faithfulness=Grid(kept[0], axes, kept[1], kept[2]),
        logit_difference=Grid(difference[0], axes, difference[1], difference[2]),
        by_role=Grid(tokens[0], (roles, *axes), tokens[1], tokens[2]),
        guessed=Grid(guesses, (roles,)),
        kl=Grid(spread(divergence), axes) if settings["kl"] else None,
        n_layers=setting.model.shape.n_layers,
        **setting.beside(right),
    )

"""Faithfulness of one schedule on one set of prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch

from interp.ablation.answers import Answers, Reader, best_constant
from interp.ablation.complete import StagedResources, interventions, run_all
from interp.ablation.guesses import guessed
from interp.ablation.masks import specs
from interp.ablation.picture import picture
from interp.ablation.places import Places
from interp.ablation.replacements import Replacement
from interp.ablation.results.evaluate import AblationScore, share_interval
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Draw, Setting
from interp.engine._run import run_variants
from interp.engine.interventions import Intervention, MaskAttention
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Savings, Variant
from interp.errors import InputError
from interp.models.asking import Asked
from interp.models.model import Model

AnswerMode = Literal["forced", "generated"]


@shows_progress
def evaluate(
    model: Model,
    asked: Asked,
    schedule: Schedule | Mapping[str, Any],
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    replacement: str | Replacement = "cama",
    sink: str = "first",
    answers: AnswerMode = "forced",
    masks: Sequence[MaskAttention] = (),
    memory: int = 2**30,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AblationScore:
    """Faithfulness of a schedule, by complete forwards.

    Args:
        asked: a task's name, a Task, Problems, or a PromptBatch with the true answers.
        n, seed, held_out: the sample of the task's problems (`interp.models.asking`); the seed also
            draws the table's prompts and `resample`, and resamples for the intervals.
        format: the format of the prompts; None means the model's first.
        schedule: a Schedule or its JSON values, {"wait": 2, "transfer": [2]}.
        replacement: the replacement for the states of waiting tokens (`replacements`).
        sink: the positions that every token sees: "first", "shots" or "none" (`places`).
        answers: "forced" reads every answer token after the true tokens before it, "generated"
            after the tokens that the ablated model generated (the full model, the reference of KL,
            reads the same tokens). Both agree on whether a whole answer is right, but not on single
            digits.
        masks: additional `MaskAttention`, such as `ablation.knock_out`, on top of the schedule; the
            Result's settings, picture, verdict and code contain them.
        memory, savings, cancel, progress: as in `engine.run`.

    Returns:
        The score, with the full model's accuracy and the best constant answer's. If few prompts are
        answered correctly, the conclusion uses the logit difference and KL over all prompts; if
        none is, faithfulness is NaN.

    Does not show: that the model works this way.

    Raises:
        InputError: for layers that the model lacks, a token that is not in the table, prompts
            without answers, masks of another type.
        ModelError: for a wrapped module, whose attention cannot be masked.
        RoleError: for a sink that these prompts lack.
    """
    if answers not in get_args(AnswerMode):
        raise InputError(f"unknown answers {answers!r}: choose 'forced' or 'generated'.")
    masks = tuple(masks)
    specs(masks)  # validates the masks before any run
    resources = StagedResources(memory, cancel, progress)
    draw = Draw(n, seed, format, held_out)
    setting = Setting.asked(model, asked, draw, replacement, sink, resources)
    schedule = Schedule.of(schedule)
    schedule.check(model.shape.n_layers, model.shape.n_heads, model.name)
    found = score(setting, schedule, masks=masks, savings=savings)
    if answers == "generated":
        found["ablated"] = _generated(setting, schedule, masks)
    return result(setting, schedule, found["full"], found["ablated"], answers, masks)


def score(
    setting: Setting,
    schedule: Schedule,
    *,
    masks: Sequence[MaskAttention] = (),
    savings: Savings | None = None,
) -> dict[str, Answers]:
    """The answers of the full model ("full") and under the schedule ("ablated")."""
    replaced = setting.replacement_states() if schedule.wait else None
    what = [*interventions(setting.model, setting.places, schedule, replaced), *masks]
    out = run_all(
        setting.model, setting.places, {"ablated": what}, setting.resources,
        truth=setting.truth, savings=savings,
    )  # fmt: skip
    return out


def _generated(setting: Setting, schedule: Schedule, masks: Sequence[Intervention]) -> Answers:
    """Answers read token by token after the ablated model's own tokens; a token that is not in the
    table gets zeros, and its answer is wrong already."""
    batch = setting.batch
    tokens = batch.tokens.clone()
    for number, role in enumerate(batch.answer_roles):
        own = batch.with_tokens(tokens, batch.texts)
        places = replace(setting.places, batch=own)
        here = replace(setting, places=places)
        replaced = here.replacement_states(known=False) if schedule.wait else None
        what = [*interventions(setting.model, places, schedule, replaced), *masks]
        answers = _read(setting, places, what)
        first = answers[:, number, 3]
        where = torch.from_numpy(batch.position_array(role))
        rows = torch.nonzero(where >= 0)[:, 0]
        tokens[rows, where[rows]] = first[rows].long()
    return Answers.of(answers)


def _read(setting: Setting, places: Places, what: Sequence[Intervention]) -> torch.Tensor:
    """The scores of the ablated run, with the full model on the same prompts as KL's reference."""
    _, ablated = run_variants(
        setting.model, places.batch, [Variant("full"), Variant("ablated", tuple(what))],
        logits=places.batch.answer_roles, reduce=Reader(setting.truth),
        memory=setting.resources.memory, cancel=setting.resources.cancel,
    )  # fmt: skip
    assert ablated.logits is not None
    return ablated.logits


def result(
    setting: Setting,
    schedule: Schedule,
    full: Answers,
    ablated: Answers,
    answers: str = "forced",
    masks: Sequence[MaskAttention] = (),
) -> AblationScore:
    """The Result of a schedule from the answers of both runs."""
    right = full.all_right
    beside = setting.beside(right)
    return AblationScore(
        **setting.common(
            table=schedule.wait > 0, schedule=schedule.spec(), answers=answers, masks=specs(masks)
        ),
        by_role=_by_role(setting, full, ablated, shown=answers == "forced"),
        right=right,
        kept=ablated.all_right,
        difference=full.mean_difference,
        difference_ablated=ablated.mean_difference,
        kl=ablated.total_kl,
        prompt=setting.prompt,
        group=setting.groups,
        resampled=beside["resampled"],
        constant=beside["constant"],
        picture=picture(schedule, setting.places, setting.model.shape.n_layers, masks),
    )


def _by_role(setting: Setting, full: Answers, ablated: Answers, *, shown: bool) -> pd.DataFrame:
    """One row for each answer token, on the prompts where the full model has that token right, then
    one for whole answers. `shown`: True if the true tokens before it are in the prompt."""
    rows = []
    groups, labels = setting.groups, setting.truth.labels.numpy()
    guesses = guessed(labels, full.right == 1, setting.prompt, shown=shown)
    for i, role in enumerate(setting.batch.answer_roles):
        present = labels[:, i] >= 0
        right = present & (full.right[:, i] == 1)
        kept = ablated.right[:, i] == 1
        means = [
            np.nanmean(x[present, i]) for x in (full.difference, ablated.difference, ablated.kl)
        ]
        rows.append((role, present, right, kept, groups, setting.seed, guesses[i], *means))
    right = full.all_right
    every = (
        full.mean_difference.mean(), ablated.mean_difference.mean(), ablated.total_kl.mean()
    )  # fmt: skip
    constant = best_constant(setting.places, right)
    everyone = np.ones_like(right)
    rows.append(("all", everyone, right, ablated.all_right, groups, setting.seed, constant, *every))
    return pd.DataFrame([_told(*row) for row in rows])


def _told(
    role: str,
    present: np.ndarray,
    right: np.ndarray,
    kept: np.ndarray,
    groups: np.ndarray,
    seed: int,
    guess: float,
    full: float,
    ablated: float,
    kl: float,
) -> dict[str, object]:
    low, high = share_interval(kept[right], groups[right], seed=seed)
    return {
        "role": role,
        "base_accuracy": float(right.sum() / present.sum()),
        "n_right": int(right.sum()),
        "faithfulness": float(kept[right].mean()) if right.any() else np.nan,
        "low": float(low),
        "high": float(high),
        "guessed": guess,
        "logit_difference": ablated / full if full else np.nan,
        "kl": kl,
    }

"""Comparison of replacements and masks, for one search or one schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from interp.ablation._af1 import Attempt, Split, attempt, check_searchable, split
from interp.ablation._evaluate import result, score
from interp.ablation._grid import full_answers
from interp.ablation.complete import StagedResources
from interp.ablation.measured import MEASURES, measures
from interp.ablation.replacements import Replacement
from interp.ablation.results.compare import AblationComparison
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Setting
from interp.ablation.visible import OPEN, OPERANDS, PEEK, check_mask
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in

_ALWAYS = ("cama", "role-mean", "mean", "zero", "resample", "resample:token", "own")


@shows_progress
def compare(
    model: Model,
    asked: Asked,
    schedule: Schedule | Mapping[str, Any] | None = None,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    replacements: Sequence[str | Replacement] | None = None,
    masks: Sequence[str] | None = None,
    target: float = 0.9,
    sink: str = "first",
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AblationComparison:
    """Table of each replacement with full peek, and of the first replacement with each other mask.

    Args:
        schedule: scored under each alternative on all prompts; None: a new search under each
            (heads uncut) on one half of the prompts, scored on the other.
        replacements: None: all, `cama:value` where a number spans tokens.
        masks: of the transfer layers; None: full peek, operands and a window of two, and `open`
            where a schedule is given.
        Others as in `af1`.

    Does not show: which alternative is right.

    Raises: as `af1`. Where an alternative cannot run on these prompts, the table gives the reason.
    """
    schedule = None if schedule is None else Schedule.of(schedule)
    batch, _ = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    given = tuple(replacements) if replacements is not None else replacements_for(batch)
    names = tuple(Replacement.of(name, seed) for name in given)
    kinds = tuple(masks) if masks is not None else (PEEK, OPERANDS, "window:2")
    if masks is None and schedule is not None:
        kinds = (*kinds, OPEN)
    for mask in kinds:
        check_searchable(mask) if schedule is None else check_mask(mask)
    if not names or not kinds:
        raise InputError("there is nothing to compare: name replacements and masks.")
    pairs = [(name, kinds[0]) for name in names] + [(names[0], mask) for mask in kinds[1:]]
    resources = StagedResources(memory, cancel, None)
    setting = Setting.of(model, batch, names[0], sink, seed, resources)
    if schedule is None:
        halves = split(setting)
        test, right = halves.test, halves.right
        rows = _rows(pairs, progress, lambda name, mask: _searched(halves, name, mask, target))
    else:
        schedule.check(model.shape.n_layers, model.shape.n_heads, model.name)
        test, right = setting, setting.right(full_answers(setting)[0])
        rows = _rows(pairs, progress, lambda name, mask: _scored(setting, schedule, name, mask))
    spec = None if schedule is None else schedule.spec()
    common = setting.common(
        replacements=[name.label for name in names],
        tables=[(name.n, name.seed) for name in names],
        masks=kinds,
        target=target,
        schedule=spec,
    )
    sizes = {"n": len(test.batch), "n_distinct": test.batch.n_distinct}
    return AblationComparison(**common | sizes, table=pd.DataFrame(rows), **test.beside(right))


def replacements_for(batch: PromptBatch) -> tuple[str, ...]:
    """Every replacement, `cama:value` where a number of these prompts spans tokens."""
    letters = [found[0] for role in batch.roles if (found := digits_in(role))]
    spans = any(letters.count(letter) > 1 for letter in set(letters) - {"c"})
    return ("cama", "cama:value", *_ALWAYS[1:]) if spans else _ALWAYS


def _rows(
    pairs: Sequence[tuple[Replacement, str]], progress: Progress | None, measure: Any
) -> list[dict[str, Any]]:
    rows = []
    for done, (what, mask) in enumerate(pairs):
        row: dict[str, Any] = {"replacement": what.label, "given": what.given, "mask": mask}
        try:
            row |= measure(what, mask)
        except InputError as error:  # the table gives the reason
            row |= _nothing("refused", str(error))
        rows.append(row)
        if progress is not None:
            progress(done + 1, len(pairs))
    return rows


def _nothing(status: str, reason: str) -> dict[str, Any]:
    counts = ("wait", "first_transfer", "last_transfer", "transfer_layers", "heads")
    return {
        "status": status,
        "reason": reason,
        **dict.fromkeys(counts, -1),
        **dict.fromkeys(MEASURES, np.nan),
    }


def _searched(halves: Split, name: Replacement, mask: str, target: float) -> dict[str, Any]:
    here = Split(
        with_replacement(halves.train, name), with_replacement(halves.test, name),
        halves.right, halves.why,
    )  # fmt: skip
    found: Attempt = attempt(here, target, mask, heads=False, curve=False)
    out = _nothing(found.status, found.reason)
    schedule = found.search.schedule if found.search is not None else None
    if schedule is None or found.score is None:
        return out
    return out | _about(schedule, halves.test) | measures(found.score)


def _scored(setting: Setting, schedule: Schedule, name: Replacement, mask: str) -> dict[str, Any]:
    here, changed = with_replacement(setting, name), replace(schedule, transfer_mask=mask)
    answers = score(here, changed)
    told = result(here, changed, answers["full"], answers["ablated"])
    return _nothing("scored", "") | _about(schedule, setting) | measures(told)


def with_replacement(setting: Setting, name: Replacement) -> Setting:
    """The same prompts with another replacement."""
    return replace(setting, replacement=name)


def _about(schedule: Schedule, setting: Setting) -> dict[str, Any]:
    transfer = schedule.transfer
    heads = schedule.heads
    every = len(transfer) * setting.model.shape.n_heads
    return {
        "wait": schedule.wait,
        "first_transfer": transfer[0] if transfer else -1,
        "last_transfer": transfer[-1] if transfer else -1,
        "transfer_layers": len(transfer),
        "heads": every if heads is None else len(heads),
    }

"""A schedule as interventions on complete forwards, for any schedule and any converted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from interp.ablation.answers import Answers, Reader, Truth
from interp.ablation.masks import cut
from interp.ablation.places import Places
from interp.ablation.replacement_states import ReplacementStates
from interp.ablation.schedule import Schedule
from interp.ablation.visible import SELF
from interp.engine._run import run_variants
from interp.engine.block_steps import own_blocks
from interp.engine.interventions import Intervention, Replace, Rows
from interp.engine.requests import Resources, Savings, Variant
from interp.models.model import Model


@dataclass(frozen=True)
class StagedResources(Resources):
    """Resources of a computation in stages, with progress in per cent of the total."""

    def stage(self, first: int, last: int) -> StagedResources:
        """Resources for one stage, whose progress runs from `first` to `last` of 100."""
        whole = self.progress
        if whole is None:
            return self

        def part(done: int, total: int) -> None:
            whole(first + (last - first) * done // total, 100)

        return replace(self, progress=part)

    def report(self, percent: int) -> None:
        """Report the progress of the total, in per cent."""
        if self.cancel is not None:
            self.cancel.check()
        if self.progress is not None:
            self.progress(percent, 100)


def interventions(
    model: Model, places: Places, schedule: Schedule, replaced: ReplacementStates | None
) -> tuple[Intervention, ...]:
    """The interventions of a schedule on one batch. Raises InputError for layers that the model
    lacks, ModelError for a model whose attention cannot be masked."""
    own_blocks(model)
    schedule.check(model.shape.n_layers, model.shape.n_heads, model.name)
    return (
        *_waiting(places, schedule.wait, replaced),
        *_transfer(model, places, schedule),
        *cut(places, schedule.compute_mask, schedule.compute),
    )


def _waiting(
    places: Places, wait: int, replaced: ReplacementStates | None
) -> tuple[Intervention, ...]:
    if wait == 0:
        return ()
    assert replaced is not None
    if replaced.by_mask:
        return cut(places, SELF, range(wait))
    roles = (*places.waiting, *places.lasts)
    columns = torch.zeros(len(places.batch), len(roles), dtype=torch.int64)
    for i, role in enumerate(roles):
        columns[:, i] = torch.from_numpy((places.roles == role).argmax(axis=1))
    rows = replaced.rows(wait).cpu()
    values = rows.gather(1, columns[..., None].expand(-1, -1, rows.shape[-1]))
    # Some prompts have a role beyond their end, where no token emits or is read.
    return (Replace("resid_post", Rows({wait - 1: values}), layers=(wait - 1,), roles=roles),)


def _transfer(model: Model, places: Places, schedule: Schedule) -> tuple[Intervention, ...]:
    out: list[Intervention] = []
    every = range(model.shape.n_heads)
    if schedule.heads is None:
        return cut(places, schedule.transfer_mask, schedule.transfer)
    for layer in schedule.transfer:
        looking = schedule.looking(layer) or ()
        others = tuple(head for head in every if head not in looking)
        out += cut(places, schedule.transfer_mask, (layer,), heads=looking)
        mask = schedule.compute_mask
        out += cut(places, mask, (layer,), heads=others, lasts_only=True)
        # The cut of the prompt's other tokens does not depend on the heads that look.
        waiting = [e for e in cut(places, schedule.transfer_mask, (layer,), heads=others)
                   if e.roles and e.roles[0] in places.waiting]  # fmt: skip
        out += waiting
    return tuple(out)


def run_all(
    model: Model,
    places: Places,
    variants: Mapping[str, Sequence[Intervention]],
    resources: StagedResources,
    *,
    truth: Truth | None = None,
    savings: Savings | None = None,
) -> dict[str, Answers]:
    """The answers of the full model ("full") and of each variant by name."""
    reader = Reader(truth or Truth.of(places.batch))
    asked = [Variant("full"), *(Variant(name, tuple(what)) for name, what in variants.items())]
    runs = run_variants(
        model,
        places.batch,
        asked,
        logits=places.batch.answer_roles,
        reduce=reader,
        memory=resources.memory,
        savings=savings,
        cancel=resources.cancel,
        progress=resources.progress,
    )
    return {found.name: Answers.of(found.logits) for found in runs if found.logits is not None}

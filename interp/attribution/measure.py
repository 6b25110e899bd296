"""Runs of a counterfactual attribution, where every swap shares one clean pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from interp.engine._run import run, run_variants
from interp.engine.requests import Resources, Run, Savings, Variant
from interp.engine.targets import (
    Reduction,
    Target,
    contrast,
    first_choices,
    one_token,
    some_tokens,
    true_tokens,
)
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix, Swap, swapped_prompts

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """Measurements of the runs.

    delta    [swaps, n, roles], Δ of `targets`; NaN where a swap or a role does not exist
    correct  bool [n], True where every answer token of the prompt is the model's first choice
    noise    [roles], the largest difference at the target token between the engine's run, with its
             savings, and a plain run of the same prompts
    """

    delta: Floats
    correct: npt.NDArray[np.bool_]
    noise: Floats


def measure(
    model: Model,
    batch: PromptBatch,
    swaps: Sequence[Swap],
    roles: Sequence[str],
    prefix: Prefix,
    target: Target,
    resources: Resources,
) -> Measured:
    """Run the original and every swap, and take the differences at `roles`."""
    labels = true_tokens(batch, roles)
    plain = run(
        model,
        batch,
        logits=roles,
        reduce=first_choices(labels),
        savings=Savings.none(),
        memory=resources.memory,
        cancel=resources.cancel,
    ).logits
    assert plain is not None
    choice = plain[..., 0].nan_to_num(0).long().masked_fill(labels < 0, -1)
    prompts = [swapped_prompts(model, batch, swap, prefix) for swap in swaps]
    if target == "difference":
        delta, original = _differences(model, batch, swaps, prompts, roles, labels, resources)
    else:
        tokens = choice if target == "argmax" else labels
        runs = _run(model, batch, prompts, roles, one_token(tokens), resources)
        original = runs[0]
        delta = torch.stack([original - changed for changed in runs[1:]])
    seen = plain[..., 1 if target == "argmax" else 2]
    valid = torch.from_numpy(np.stack([swap.valid for swap in swaps]))
    return Measured(
        delta.masked_fill(~valid[..., None], torch.nan).numpy(),
        ((choice == labels) | (labels < 0)).all(dim=1).numpy(),
        (original - seen).abs().nan_to_num(0).amax(dim=0).numpy(),
    )


def _differences(
    model: Model,
    batch: PromptBatch,
    swaps: Sequence[Swap],
    prompts: Sequence[PromptBatch],
    roles: Sequence[str],
    labels: torch.Tensor,
    resources: Resources,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Δ [swaps, n, roles] under the target `difference`, and the original's true logits."""
    own = [true_tokens(model.prompts(swap.problems, format=batch.format), roles) for swap in swaps]
    vocabulary = torch.cat([labels, *own]).unique()
    vocabulary = vocabulary[vocabulary >= 0]
    original, *changed = _run(model, batch, prompts, roles, some_tokens(vocabulary), resources)
    delta = [
        contrast(original, vocabulary, labels, u) - contrast(x, vocabulary, labels, u)
        for x, u in zip(changed, own, strict=True)
    ]
    column = torch.searchsorted(vocabulary, labels.clamp(min=int(vocabulary[0])))
    true = original.gather(-1, column[..., None])[..., 0]
    return torch.stack(delta), true.masked_fill(labels < 0, torch.nan)


def _run(
    model: Model,
    batch: PromptBatch,
    prompts: Sequence[PromptBatch],
    roles: Sequence[str],
    reduction: Reduction,
    resources: Resources,
) -> list[torch.Tensor]:
    """The reduced logits of the original, then of each changed batch."""
    variants = [Variant("original"), *(Variant("changed", batch=changed) for changed in prompts)]
    runs: list[Run] = run_variants(
        model,
        batch,
        variants,
        logits=roles,
        reduce=reduction,
        memory=resources.memory,
        savings=resources.savings,
        cancel=resources.cancel,
        progress=resources.progress,
    )
    return [found.logits for found in runs if found.logits is not None]

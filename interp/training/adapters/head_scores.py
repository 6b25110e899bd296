"""Importance scores of a language model's heads, to choose the heads to train.

First-order attribution of mean ablation, on problems that may be trained on:

    score(l, h) = mean over prompts of | Σ_{t, d} (z - z̄)[t, d] · ∂L/∂z[t, d] |

z is the output of head h of layer l before the output matrix, z̄ its mean over the prompts of one
style and task that have the role at t, L the answer's cross-entropy. The score is the first-order
change of L when the head's output is replaced by its mean.

Does not show: what the head does; that effects of several heads add up; nor anything where L is
flat (a head behind a saturated softmax has no gradient).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from interp.arithmetic.formats import format
from interp.arithmetic.held_out import Split
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import step_seed
from interp.arithmetic.tasks import task
from interp.engine._gradients import gradients
from interp.engine.requests import Cancel, Read
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.training.adapters.recipe import AdapterRecipe


def head_scores(
    model: Model,
    recipe: AdapterRecipe,
    *,
    n: int = 8,
    seed: int = 0,
    cancel: Cancel | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """The score of every head on the recipe's tasks and styles, with equal weight for each task.

    Args:
        model: the recipe's base, loaded.
        n: training problems of each task in each style that can write it.
        seed: of the problems.

    Returns:
        One row a head, best first: `layer`, `head`, `score` (nats), and `first_half`,
        `second_half`, the score on either half of the prompts, a check of its reliability.
    """
    split = Split(recipe.test_share, recipe.validation_share, recipe.split_seed)
    cells = [(name, style) for name, _ in recipe.tasks for style in recipe.styles_of(name)]
    by_task: dict[str, list[Tensor]] = {}
    for at, (name, style) in enumerate(cells):
        problems = split.draw(task(name), "train", n, step_seed(seed, at))
        found = prompt_scores(model, problems, style, cancel)
        by_task.setdefault(name, []).append(found)
        if progress is not None:
            progress(at + 1, len(cells))
    means = [
        torch.stack(
            [torch.cat([part[half] for part in parts]).mean(0) for parts in by_task.values()]
        ).mean(0)
        for half in (slice(None), slice(0, None, 2), slice(1, None, 2))
    ]
    layer, head = np.indices(means[0].shape).reshape(2, -1)
    names = ("score", "first_half", "second_half")
    table = pd.DataFrame({"layer": layer, "head": head})
    for column, values in zip(names, means, strict=True):
        table[column] = values.double().numpy().ravel()
    return table.sort_values("score", ascending=False, ignore_index=True)


def prompt_scores(
    model: Model, problems: Problems, style: str, cancel: Cancel | None = None
) -> Tensor:
    """|Σ (z - z̄) · ∂L/∂z| of each prompt and head, float32 [n, n_layers, n_heads]."""
    batch = model.prompts(problems, format=format(style).name)
    roles = tuple(role for role in batch.roles if role != "last")  # a duplicate of another role
    run = gradients(model, batch, [Read("z", roles=roles)], of=answer_loss, cancel=cancel)
    scores = []
    for layer in range(model.shape.n_layers):
        z, slope = (found["z", layer] for found in (run.activations, run.gradients))
        products = (z - z.nanmean(0)) * slope  # [n, roles, n_heads, d_head]
        scores.append(products.nansum((1, 3)).abs())  # NaN where a row lacks the role
    return torch.stack(scores, dim=1)


def answer_loss(logits: Tensor, batch: PromptBatch) -> Tensor:
    """Cross-entropy of each row's answer [n], the mean over its tokens, in nats."""
    known = ~logits.isnan().any(-1)
    labels = torch.stack([batch.labels(role) for role in batch.answer_roles], dim=1)
    chosen = logits.nan_to_num().log_softmax(-1).gather(2, labels.clamp(min=0)[:, :, None])[..., 0]
    return -(chosen * known).sum(1) / known.sum(1)

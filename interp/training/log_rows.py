"""The training log: loss, accuracy and gradients, by answer digit and by subtask class.

One tidy row a step and group:

| column      | meaning                                                                         |
|-------------|---------------------------------------------------------------------------------|
| `step`      | optimiser steps taken before the measurement; below 0 for the log of the warm   |
|             | start, counted back from its end                                                |
| `split`     | "train" (the batch before its update) or "validation"                           |
| `group`     | "total", a role ("c0"), a subtask class ("class:MC"), a term ("term:answer");   |
|             | of an adapter, a task ("add:2") or a style ("style:plain")                      |
| `loss`      | mean cross-entropy over the group's cells, nats; of a term, its value; of       |
|             | "total" in training the training loss: the mean over all learnt tokens, a chain |
|             | of thought's too, plus the objective's other terms (λ · error, prose); in       |
|             | validation the mean over answer tokens alone                                    |
| `accuracy`  | share of right cells in the group; of "total", exact match of problems          |
| `grad_norm` | |g_k|, the norm of the gradient of the group's loss                             |
| `cosine`    | cos(g_k, g), g the gradient of the training loss, before clipping               |
| `n`         | cells of the group in the batch; of "total", task and style, problems           |

`grad_norm` and `cosine` are NaN at steps without logged gradients. From 2510.00184, whose public
`grad_probe_log.csv` has the columns loss_per_pos, grad_norm_per_pos and cos_per_pos (there with
index 0 the *highest* digit). A large gradient does not show that a digit is being learnt. The two
totals may be subtracted only if they are the same loss on the same distribution: see
`evidence.same_quantity`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interp.arithmetic.problems import Problems
from interp.arithmetic.truth import families
from interp.training.evaluation import Scores
from interp.training.objectives.base import Losses

COLUMNS = ("step", "split", "group", "loss", "accuracy", "grad_norm", "cosine", "n")

Row = dict[str, Any]
_NONE: Mapping[str, Tensor] = MappingProxyType({})


def groups_of(problems: Problems, roles: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """The cell mask [n, D] of each answer role and of each subtask class that occurs."""
    shape = (problems.n, len(roles))
    found: dict[str, NDArray[np.bool_]] = {}
    for at, role in enumerate(roles):
        found[role] = np.zeros(shape, dtype=bool)
        found[role][:, at] = True
    if "class" not in families(problems.task):
        return found
    classes = np.full(shape, "", dtype=object)
    table = problems.columns("class")
    for at, role in enumerate(roles):
        column = int(role[1:]) if role[1:].isdigit() else table.shape[1]
        if column < table.shape[1]:
            classes[:, at] = table[:, column]
    for name in sorted(set(classes.ravel().tolist()) - {""}):
        found[f"class:{name}"] = classes == name
    return found


def batch_rows(
    step: int,
    losses: Losses,
    problems: Problems,
    roles: Sequence[str],
    parameters: Mapping[str, Tensor],
    masks: Mapping[str, Tensor] = _NONE,
) -> list[Row]:
    """Log rows of a training batch; with gradients if named `parameters` are given.

    Gradients are multiplied by a parameter's mask, if it has one.

    The graph of `losses` is retained, and no `.grad` changes.
    """
    groups = {}
    for name, mask in groups_of(problems, roles).items():
        cells = torch.from_numpy(mask) & ~losses.digits.isnan()
        if cells.any():
            groups[name] = losses.digits[cells].mean(), losses.correct[cells]
    return train_rows(
        step, (losses.total, losses.correct.all(1)), groups, losses.terms, parameters, masks
    )


def train_rows(
    step: int,
    total: tuple[Tensor, Tensor],
    groups: Mapping[str, tuple[Tensor, Tensor]],
    terms: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    masks: Mapping[str, Tensor] = _NONE,
) -> list[Row]:
    """Log rows of a batch for each group and each term, from (loss, correctness)."""
    gradient = _gradient(total[0], parameters, masks) if parameters else None
    rows = [_row(step, "train", "total", *total, gradient, gradient)]
    for name, (loss, right) in groups.items():
        own = _gradient(loss, parameters, masks) if parameters else None
        rows.append(_row(step, "train", name, loss, right, own, gradient))
    rows += [
        _row(step, "train", f"term:{name}", value, None, None, None)
        for name, value in terms.items()
    ]
    return rows


def validation_rows(step: int, scores: Scores) -> list[Row]:
    """Log rows of held-out problems: total, and by answer role."""
    known = ~np.isnan(scores.loss)
    rows = [validation_row(step, "total", scores.loss[known].mean(), scores.exact)]
    for at, role in enumerate(scores.roles):
        cells = known[:, at]
        if cells.any():
            rows.append(
                validation_row(step, role, scores.loss[cells, at].mean(), scores.correct[cells, at])
            )
    return rows


def validation_row(step: int, group: str, loss: float, right: NDArray[np.bool_]) -> Row:
    """The log row of held-out problems or cells."""
    values = (
        step,
        "validation",
        group,
        float(loss),
        float(right.mean()),
        np.nan,
        np.nan,
        right.size,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _row(
    step: int,
    split: str,
    group: str,
    loss: Tensor,
    right: Tensor | None,
    own: Tensor | None,
    gradient: Tensor | None,
) -> Row:
    accuracy = np.nan if right is None else float(right.double().mean())
    norm = cosine = np.nan
    if own is not None and gradient is not None:
        norm = float(own.norm())
        cosine = float(own @ gradient / (own.norm() * gradient.norm()).clamp(min=1e-30))
    n = 0 if right is None else right.numel()
    values = (step, split, group, float(loss.detach()), accuracy, norm, cosine, n)
    return dict(zip(COLUMNS, values, strict=True))


def _gradient(
    loss: Tensor, parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> Tensor:
    """The masked gradient of a loss over all parameters as one vector."""
    inputs = list(parameters.values())
    parts = torch.autograd.grad(loss, inputs, retain_graph=True, materialize_grads=True)
    named = zip(parameters, parts, strict=True)
    return torch.cat([(part * masks.get(name, 1)).flatten() for name, part in named])

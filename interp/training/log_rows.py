"""The training log: loss, accuracy and gradients, by answer digit and by subtask class.

One tidy row a step and group:

| column      | meaning                                                                         |
|-------------|---------------------------------------------------------------------------------|
| `step`      | optimiser steps taken before it was measured; below 0 in what the run started   |
|             | from, counted back from its end                                                 |
| `split`     | "train" (the batch about to be learnt) or "validation"                          |
| `group`     | "total", a role ("c0"), a subtask class ("class:MC"), a term ("term:answer");   |
|             | of an adapter, a task ("add:2") or a style ("style:plain")                      |
| `loss`      | mean cross-entropy over the group's cells, nats; of a term, its value; of       |
|             | "total" in training what is minimised: the mean over all learnt tokens, a chain |
|             | of thought's too, and the objective's other terms (λ · error, prose); in        |
|             | validation the mean over answer tokens alone                                    |
| `accuracy`  | share of the group's cells that are right; of "total", of problems in full      |
| `grad_norm` | |g_k|, the norm of the gradient of the group's loss                             |
| `cosine`    | cos(g_k, g), g the gradient of what is minimised, before clipping               |
| `n`         | cells of the group in the batch; of "total", task and style, problems           |

`grad_norm` and `cosine` are NaN at steps where gradients are not taken. From 2510.00184, whose
public `grad_probe_log.csv` has the columns loss_per_pos, grad_norm_per_pos and cos_per_pos (there
with index 0 the *highest* digit). A large gradient does not show that a digit is being learnt. The
two totals may be subtracted only where they are the same loss of the same kind of problems: see
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
    """The cells [n, D] of each answer role, and of each subtask class that occurs."""
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
    """Log rows of a training batch; with gradients where `parameters` are given by name.

    Gradients are multiplied by the masks, where a parameter has one.

    The graph of `losses` is kept, and no `.grad` is touched.
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
    """Log rows of a batch, of each group and of each term, from (loss, which are right)."""
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
    """Log rows of held-out problems: in full, and by answer role."""
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
    """A log row of held-out problems or cells."""
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

"""Accuracy of a model in training: by digit, by carries, on full cascades.

A problem counts as right when the most likely token is right at every answer position with the true
digits before it. Under greedy decoding that is the same as writing the whole answer: up to the
first wrong digit both see the same text.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.arithmetic.truth import families
from interp.errors import InputError
from interp.training.forward import forward
from interp.training.objectives.answer import answer_losses
from interp.training.rows import Encoder

_BATCH = 2048


class Scores(NamedTuple):
    """Which answer tokens are right, bool [n, D], and their cross-entropy in nats, [n, D].

    NaN, and right, where a row has no such digit. `roles` names the D columns.
    """

    correct: NDArray[np.bool_]
    loss: NDArray[np.float64]
    roles: tuple[str, ...]

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Which problems are answered in full, `[n]`."""
        return np.asarray(self.correct.all(axis=1))


@torch.no_grad()
def score(model: Any, encoder: Encoder, problems: Problems) -> Scores:
    """Score a model in float32 on problems written in the encoder's format."""
    correct: list[Tensor] = []
    loss: list[Tensor] = []
    for low in range(0, problems.n, _BATCH):
        rows = encoder(problems[low : low + _BATCH])
        losses = answer_losses(forward(model, rows.tokens[:, :-1], rows.start).logits, rows)
        correct.append(losses.correct)
        loss.append(losses.digits)
    return Scores(torch.cat(correct).numpy(), torch.cat(loss).double().numpy(), encoder.roles)


def n_carries(problems: Problems) -> NDArray[np.int64] | None:
    """In how many columns something is carried or borrowed, `[n]`; None where nothing ever is."""
    known = [name for name in ("carry", "borrow") if name in families(problems.task)]
    if not known:
        return None
    count = sum((problems.columns(name) > 0).sum(axis=1) for name in known)
    return np.asarray(count, dtype=np.int64)


def cascade_operators(task: Task) -> tuple[str, ...]:
    """The operators under which something can run through all columns; none for other tasks."""
    two = task.arithmetic == "sum" and len(task.operand_digits) == 2
    return task.operators[0] if two and task.operand_digits[0] > 1 else ()


def full_cascades(task: Task, operator: str, n: int, seed: int) -> Problems:
    """At most `n` distinct problems in which a carry or a borrow runs through all columns.

    `+`: a_0 + b_0 >= 10 and a_i + b_i = 9 above; of all 5-digit sums 0.0045 % are of this kind.
    `-`: x_0 < y_0, x_i = y_i above and x_top > y_top, where x is the larger operand; a and b are
    swapped in half of the rows, so that the answer is as often negative.

    Raises InputError where the task has no such problems.
    """
    if operator not in cascade_operators(task):
        raise InputError(
            f"{task.name} has no cascades of {operator!r}: they belong to sums and differences of "
            "two numbers of several digits"
        )
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 10, (n, task.operand_digits[0]))
    y = 9 - x if operator == "+" else x.copy()
    if operator == "+":
        x[:, 0] = rng.integers(1, 10, n)
        y[:, 0] = rng.integers(10 - x[:, 0], 10)
    else:
        y[:, 0] = rng.integers(1, 10, n)
        x[:, 0] = rng.integers(0, y[:, 0])
        x[:, -1] = rng.integers(1, 10, n)
        y[:, -1] = rng.integers(0, x[:, -1])
    swapped = (rng.random(n) < 0.5)[:, None]
    a, b = np.where(swapped, y, x), np.where(swapped, x, y)
    return task.problems(a, b, operators=operator).distinct()

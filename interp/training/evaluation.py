"""Teacher-forced accuracy of a model in training: by digit, by carries, on full cascades.

A problem is right if the argmax token is right at every answer position, given the true digits
before it. This equals greedy decoding: up to the first wrong digit both see the same text. With a
scratchpad every token of it must be right too; a decoded answer can be right below a wrong step, so
there it is a lower bound.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interp.arithmetic.formats.scratchpads import Scratchpad
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.arithmetic.truth import families
from interp.errors import InputError
from interp.training.forward import forward
from interp.training.objectives.answer import answer_losses
from interp.training.rows import Encoder

_BATCH = 2048


class Scores(NamedTuple):
    """Correctness of each answer token, bool [n, D], and its cross-entropy in nats, [n, D].

    A digit that a row lacks has loss NaN and counts as right. `roles` names the D columns, and
    `scratchpad` [n] whether every token of the scratchpad is right (true without one).
    """

    correct: NDArray[np.bool_]
    loss: NDArray[np.float64]
    roles: tuple[str, ...]
    scratchpad: NDArray[np.bool_]

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Exact match of each problem, bool `[n]`."""
        return np.asarray(self.correct.all(axis=1) & self.scratchpad)


@torch.no_grad()
def score(model: Any, encoder: Encoder, problems: Problems) -> Scores:
    """Score a model in float32 on problems written in the encoder's format."""
    worked = isinstance(encoder.format, Scratchpad)
    correct: list[Tensor] = []
    loss: list[Tensor] = []
    steps: list[Tensor] = []
    for low in range(0, problems.n, _BATCH):
        rows = encoder(problems[low : low + _BATCH], thoughts=worked)
        logits = forward(model, rows.tokens[:, :-1], rows.start).logits
        losses = answer_losses(logits, rows)
        correct.append(losses.correct)
        loss.append(losses.digits)
        wrong = (logits.argmax(-1) != rows.tokens[:, rows.start + 1 :]) & worked
        steps.append(~(wrong & rows.learnt[:, rows.start + 1 :]).any(1))
    return Scores(
        torch.cat(correct).numpy(),
        torch.cat(loss).double().numpy(),
        encoder.roles,
        torch.cat(steps).numpy(),
    )


def n_carries(problems: Problems) -> NDArray[np.int64] | None:
    """Number of columns with a carry or borrow, `[n]`; None for tasks without carries."""
    known = [name for name in ("carry", "borrow") if name in families(problems.task)]
    if not known:
        return None
    count = sum((problems.columns(name) > 0).sum(axis=1) for name in known)
    return np.asarray(count, dtype=np.int64)


def cascade_operators(task: Task) -> tuple[str, ...]:
    """The operators with full cascades; empty for tasks without carries."""
    two = task.arithmetic == "sum" and len(task.operand_digits) == 2
    return task.operators[0] if two and task.operand_digits[0] > 1 else ()


def full_cascades(task: Task, operator: str, n: int, seed: int) -> Problems:
    """At most `n` distinct problems in which a carry or a borrow runs through all columns.

    `+`: a_0 + b_0 >= 10 and a_i + b_i = 9 above: 0.0045 % of all 5-digit sums.
    `-`: x_0 < y_0, x_i = y_i above and x_top > y_top, where x is the larger operand. Half of the
    rows swap a and b, so half of the answers are negative.

    Raises InputError if the task has no such problems.
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

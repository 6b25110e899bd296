"""Which number a token shows: classes of a role, class means of a site, tokens of digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic.tasks import ModularAddition
from interp.errors import InputError
from interp.models.prompts import PromptBatch, predicted
from interp.models.tokens import digits_in

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_CLASSES = 1024


@dataclass(frozen=True)
class Classes:
    """The number at a role of every prompt.

    role      "a0", "predicts(c2)", …
    column    the digits that the number has, "a[0]" or "a[0:3]"
    values    int[n], −1 where a prompt lacks the role
    q         number of classes: 10 for a digit, p for a number modulo p, 100 for two digits
    """

    role: str
    column: str
    values: Ints
    q: int

    def require_all(self, least: int = 1) -> None:
        """Raise InputError, with the missing numbers, unless each class has `least` prompts."""
        counts = np.bincount(self.values[self.values >= 0], minlength=self.q)
        missing = np.flatnonzero(counts < least)
        if len(missing):
            shown = ", ".join(map(str, missing[:12])) + (" …" if len(missing) > 12 else "")
            raise InputError(
                f"{len(missing)} of {self.q} numbers have fewer than {least} prompts at "
                f"{self.role} ({shown}): ask for more problems (n=), or another role"
            )


def classes_of(batch: PromptBatch, role: str) -> Classes:
    """The number that the token at `role` shows, or emits for "predicts(c2)" and "last".

    Raises InputError for a role that is no number.
    """
    named = batch.emitted_at(role) if role == "last" else predicted(role)
    digits = digits_in(named) if named else None
    problems = batch.problems
    task = problems.task
    if digits is None or digits[0] not in (*task.operand_names, "c"):
        known = [r for r in batch.roles if digits_in(r)]
        raise InputError(
            f"the token at {role!r} is no number: choose a role such as {', '.join(known[:6])}, or "
            "predicts(c0)"
        )
    name, span = digits
    table = problems.answer if name == "c" else problems.operands[task.operand_names.index(name)]
    wide = np.zeros((len(batch), span.stop), dtype=np.int64)
    have = min(span.stop, table.shape[1])
    wide[:, :have] = table[:, :have]
    values = wide[:, span.start :] @ 10 ** np.arange(len(span), dtype=np.int64)
    q = 10 ** len(span)
    if isinstance(task, ModularAddition) and span.start == 0 and 10**span.stop >= task.p:
        q = task.p
    if q > MOST_CLASSES:
        raise InputError(
            f"{role!r} packs {len(span)} digits, {q} numbers: more than {MOST_CLASSES} classes. "
            "Choose a format whose tokens have fewer digits"
        )
    where = batch.find(role)
    column = f"{name}[{span.start}]" if len(span) == 1 else f"{name}[{span.start}:{span.stop}]"
    return Classes(role, column, np.where(where >= 0, values, -1), q)


def class_means(x: npt.ArrayLike, classes: Classes) -> tuple[Floats, float]:
    """Mean of activations [n, d] by class, [q, d], and the share of their spread that is noise.

    noise = Σ_c s_c²/n_c / Σ_c ‖μ_c − μ‖² with the within-class variance s_c²: near 0 where the
    sample settles the means, 1 where equal means would look alike. Raises InputError for a class
    without two prompts.
    """
    classes.require_all(2)
    known = classes.values >= 0
    values, labels = np.asarray(x, dtype=float)[known], classes.values[known]
    counts = np.bincount(labels, minlength=classes.q).astype(float)
    onto = np.zeros((classes.q, len(labels)))
    onto[labels, np.arange(len(labels))] = 1.0
    means = onto @ values / counts[:, None]
    within = (onto @ (values - means[labels]) ** 2).sum(axis=1) / np.maximum(counts - 1, 1)
    spread = ((means - means.mean(axis=0)) ** 2).sum()
    noise = (within / counts).sum() / spread if spread > 0 else np.nan
    return np.asarray(means), float(noise)


def class_tokens(batch: PromptBatch, classes: Classes) -> Ints:
    """The token of each class at its role, int[q].

    Raises InputError where a class is written with several tokens or does not occur.
    """
    named = batch.emitted_at(classes.role) if classes.role == "last" else predicted(classes.role)
    labels = batch.labels(named).numpy()
    classes.require_all()
    tokens = np.full(classes.q, -1, dtype=np.int64)
    for value in range(classes.q):
        found = np.unique(labels[(classes.values == value) & (labels >= 0)])
        if len(found) != 1:
            raise InputError(
                f"{value} has {len(found)} tokens at {named}: a table of number tokens needs one. "
                "Choose a format that writes it alike everywhere"
            )
        tokens[value] = found[0]
    return tokens


def number_roles(batch: PromptBatch) -> tuple[str, ...]:
    """Operand roles and the positions that predict the answer's digits, of every prompt."""
    task = batch.problems.task
    operands = [
        role for role in batch.roles if (d := digits_in(role)) and d[0] in task.operand_names
    ]
    answers = [f"predicts({role})" for role in batch.answer_roles if digits_in(role)]
    return tuple(role for role in (*operands, *answers) if (batch.find(role) >= 0).all())


def as_array(x: torch.Tensor) -> Floats:
    """A tensor as float64 on the CPU."""
    return np.asarray(x.detach().double().cpu().numpy())

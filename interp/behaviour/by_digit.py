"""Teacher-forced accuracy by digit, beside other problems' answers of the same length.

With the right answer before it, the model's first choice at each answer digit is

    own_i     share of the digits of answer i that are its first choices
    others_i  the same share for the answers of the other problems that are written equally long,
              their mean: what the distribution of digits alone gives
    gain      (own − others) / (1 − others), means over the problems: 1 all right, 0 chance

Is own above others? Under the null the answers are exchangeable within a length, so Σ own_i is a
linear permutation statistic, whose mean and variance are exact (Hoeffding 1951): with S[i, j] the
share of answer j that the choices of prompt i hit, and D the doubly centred S of m problems of one
length, E = Σ S / m and Var = Σ D² / (m − 1), summed over lengths; z is compared with the normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from interp.engine._run import run
from interp.engine.requests import Resources
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in


@dataclass(frozen=True, eq=False)
class Choices:
    """First choices and right tokens int64 [n, digits], -1 where a prompt lacks the digit, and the
    log-probability [n] of the right answer, NaN where it was not computed."""

    chosen: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    log_probability: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ByDigit:
    """`own`, `others` and `gain` of the module's text, z, and the number of problems with another
    one of the same length."""

    own: float
    others: float
    z: float
    n: int

    @property
    def gain(self) -> float:
        return (self.own - self.others) / (1 - self.others) if self.others < 1 else 0.0

    @property
    def p(self) -> float:
        """One-sided p-value of the normal approximation."""
        return 0.5 * math.erfc(self.z / math.sqrt(2)) if math.isfinite(self.z) else 1.0


def forced_choices(
    model: Model, told: PromptBatch, resources: Resources, roles: Sequence[str] | None = None
) -> Choices:
    """Run prompts with their right answers and read the model's choices at the answer's digits, or
    at other roles."""
    roles = digit_roles(told) if roles is None else roles
    right = torch.stack([told.labels(role) for role in roles], dim=1)

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        index = right[rows].clamp(min=0).to(logits.device)[..., None]
        found = logits.double().log_softmax(dim=-1).gather(-1, index)[..., 0]
        return torch.stack([logits.argmax(dim=-1).double(), found], dim=-1).cpu()

    done = run(
        model, told, logits=roles, reduce=reduce, memory=resources.memory, cancel=resources.cancel
    ).logits
    assert done is not None
    chosen, log_probability = (done[..., i].double().numpy() for i in range(2))
    there = right.numpy() >= 0
    return Choices(
        np.where(there, chosen, -1).astype(np.int64),
        right.numpy(),
        np.where(there, log_probability, 0).sum(axis=1),
    )


def digit_roles(told: PromptBatch) -> list[str]:
    """The roles of the answer's digits, the least significant first."""
    return [role for role in told.answer_roles_least_first if digits_in(role)]


def by_digit(choices: Choices, rows: Sequence[int] | npt.NDArray[np.intp]) -> ByDigit:
    """The accuracy of some rows beside other answers of the same length."""
    chosen, right = choices.chosen[rows], choices.right[rows]
    lengths = np.unique(right >= 0, axis=0, return_inverse=True)[1].ravel()
    own = others = mean = variance = 0.0
    n = 0
    for length in np.unique(lengths):
        group = lengths == length
        m = int(group.sum())
        written = right[group][0] >= 0
        if m < 2 or not written.any():
            continue
        hits = (chosen[group][:, None, written] == right[group][None, :, written]).mean(axis=-1)
        diagonal = np.trace(hits)
        own += diagonal
        others += (hits.sum() - diagonal) / (m - 1)
        mean += hits.sum() / m
        centred = hits - hits.mean(axis=0) - hits.mean(axis=1)[:, None] + hits.mean()
        variance += (centred**2).sum() / (m - 1)
        n += m
    if n == 0:
        return ByDigit(math.nan, math.nan, math.nan, 0)
    z = (own - mean) / math.sqrt(variance) if variance > 1e-12 else 0.0
    return ByDigit(own / n, others / n, z, n)

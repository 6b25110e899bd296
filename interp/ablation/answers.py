"""Scores of an answer from its logits: correctness, Δ, and the divergence from the full model.

    Δ(x)  = logit of x's right token − mean over the other prompts x' of the logit of x' 's
    KL(x) = Σ_v p(v) log(p(v) / q(v)),  p the full model's next-token distribution, q the ablated's

A constant output has mean Δ = 0 on any set of prompts, whatever token it favours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation.places import Places
from interp.errors import InputError
from interp.models.prompts import PromptBatch

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RIGHT, DIFFERENCE, KL, FIRST = range(4)  # indices on the last axis of `Reader`'s output


@dataclass(frozen=True, eq=False)
class Truth:
    """The right tokens of a batch.

    labels   int64 [n, answers], -1 where a prompt lacks the role
    tokens   int64 [t], every token that is right in some prompt, sorted
    weights  [answers, t], the number of prompts in which each is right
    """

    labels: torch.Tensor
    tokens: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, batch: PromptBatch) -> Truth:
        """The right tokens of a batch. Raises InputError for a single prompt, since Δ compares
        prompts."""
        if len(batch) < 2:
            raise InputError("an answer is compared with those of other prompts: give at least 2.")
        labels = torch.stack([batch.labels(role) for role in batch.answer_roles], dim=1)
        tokens = torch.unique(labels[labels >= 0])
        column = torch.searchsorted(tokens, labels.clamp(min=0)).clamp(max=len(tokens) - 1)
        weights = torch.zeros(labels.shape[1], len(tokens), dtype=torch.float64)
        for answer in range(labels.shape[1]):
            present = labels[:, answer] >= 0
            weights[answer] = torch.bincount(column[present, answer], minlength=len(tokens))
        return cls(labels, tokens, weights)

    def difference(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Δ [m, answers] from the logits of `tokens`, [m, answers, t]; NaN where the role is absent
        or no other prompt has it."""
        column = torch.searchsorted(self.tokens, labels.clamp(min=int(self.tokens[0])))
        values = logits.double()
        own = values.gather(-1, column[..., None])[..., 0]
        others = self.weights.sum(-1) - 1
        mean = ((values * self.weights).sum(-1) - own) / others
        return (own - mean).masked_fill((labels < 0) | (others < 1), torch.nan)


class Reader:
    """Reduces logits to [m, answers, 4]: right, Δ, KL from the full model, first choice.

    Call it with the full model's logits of some rows first, then with those of ablated runs. All
    four are NaN where a role is absent.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self._rows: slice | None = None
        self._full: torch.Tensor | None = None

    def __call__(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        logits = logits.cpu()
        log_p = torch.log_softmax(
            logits.double() if logits.dtype == torch.float64 else logits.float(), -1
        )
        if rows != self._rows:
            self._rows, self._full = rows, log_p
        assert self._full is not None
        return read(self.truth, logits, log_p, self._full, self.truth.labels[rows])


def read(
    truth: Truth,
    logits: torch.Tensor,
    log_q: torch.Tensor,
    log_p: torch.Tensor,
    labels: torch.Tensor,
) -> torch.Tensor:
    """The four numbers of each answer token, float64 [m, answers, 4]."""
    first = logits.nan_to_num(nan=-torch.inf).argmax(-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)
    out = torch.stack(
        [
            (first == labels).double(),
            truth.difference(logits[..., truth.tokens], labels),
            kl.double(),
            first.double(),
        ],
        dim=-1,
    )
    return out.masked_fill((labels < 0)[..., None], torch.nan)


@dataclass(frozen=True, eq=False)
class Answers:
    """The scores of one run, [n, answers] each; NaN where a prompt lacks the role."""

    right: Floats
    difference: Floats
    kl: Floats

    @classmethod
    def of(cls, values: torch.Tensor) -> Answers:
        found = values.double().numpy()
        return cls(found[..., RIGHT], found[..., DIFFERENCE], found[..., KL])

    @property
    def all_right(self) -> Bools:
        """True where every token of an answer is right, bool [n]."""
        return np.asarray(np.where(np.isnan(self.right), 1.0, self.right).all(axis=1))

    @property
    def mean_difference(self) -> Floats:
        """Δ averaged over the answer's tokens, [n]."""
        known = ~np.isnan(self.difference)
        total = np.where(known, self.difference, 0.0).sum(axis=1)
        return np.asarray(total / np.maximum(known.sum(axis=1), 1))

    @property
    def total_kl(self) -> Floats:
        """KL summed over the answer's tokens, [n]."""
        return np.asarray(np.nansum(self.kl, axis=1))


def best_constant(places: Places, right: Bools) -> float:
    """The faithfulness of the best constant answer: the share of the correctly answered prompts
    that have the commonest answer. NaN where none is right."""
    if not right.any():
        return float("nan")
    labels = Truth.of(places.batch).labels.numpy()[right]
    times = np.unique(labels, axis=0, return_counts=True)[1]
    return float(times.max() / right.sum())

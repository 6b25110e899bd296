"""Target tokens, whose logits are compared between the original and the changed prompt.

With x_k the logits that predict answer role k, ORIG the original and COUNTER the changed prompt:

    argmax       t: the model's own first choice on ORIG     Δ = x_k(ORIG)[t] − x_k(COUNTER)[t]
    true         t: ORIG's right token                       Δ = x_k(ORIG)[t] − x_k(COUNTER)[t]
    difference   t as in `true`, u: COUNTER's right token    Δ = (x_k(ORIG)[t] − x_k(ORIG)[u])
                                                               − (x_k(COUNTER)[t] − x_k(COUNTER)[u])

`difference` cancels shifts common to all digits. It is undefined where t = u (the answer digit
stays), so such pairs are left out; cells whose digit never changes are then empty and give no
control. arXiv 2510.00184 uses `argmax`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch

from interp.models.prompts import PromptBatch

Target = Literal["argmax", "true", "difference"]
Reduction = Callable[[torch.Tensor, slice], torch.Tensor]


def true_tokens(batch: PromptBatch, roles: Sequence[str]) -> torch.Tensor:
    """Token ids int64 [n, roles] at the roles, -1 where a prompt lacks one."""
    present = set(batch.roles)
    absent = torch.full((len(batch),), -1)
    return torch.stack([batch.labels(r) if r in present else absent for r in roles], dim=1)


def first_choices(labels: torch.Tensor) -> Reduction:
    """Reduce logits [m, roles, d_vocab] to first choice, its logit, the label's: [m, roles, 3]."""

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        top, choice = logits.max(dim=-1)
        return torch.stack([choice.double(), top.double(), _at(logits, labels[rows])], dim=-1)

    return reduce


def one_token(tokens: torch.Tensor) -> Reduction:
    """Reduce logits [m, roles, d_vocab] to those of `tokens` [n, roles], float64 [m, roles]."""

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        return _at(logits, tokens[rows])

    return reduce


def some_tokens(vocabulary: torch.Tensor) -> Reduction:
    """Reduce logits to the columns in `vocabulary` (sorted ids), float64 [m, roles, len]."""

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        return logits[..., vocabulary.to(logits.device)].double()

    return reduce


def contrast(
    read: torch.Tensor, vocabulary: torch.Tensor, t: torch.Tensor, u: torch.Tensor
) -> torch.Tensor:
    """x[t] − x[u] [n, roles], NaN where either token is absent or both are the same."""
    difference = _column(read, vocabulary, t) - _column(read, vocabulary, u)
    return difference.masked_fill((t < 0) | (u < 0) | (t == u), torch.nan)


def _at(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    tokens = tokens.to(logits.device)
    picked = logits.gather(-1, tokens.clamp(min=0)[..., None])[..., 0].double()
    return picked.masked_fill(tokens < 0, torch.nan)


def _column(read: torch.Tensor, vocabulary: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    column = torch.searchsorted(vocabulary, tokens.clamp(min=int(vocabulary[0])))
    return read.gather(-1, column[..., None])[..., 0]

"""Edges of attention trees: their attention, and what cutting each does to each answer digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import norm

from interp.engine._run import run_variants
from interp.engine.interventions import MaskAttention, Scale
from interp.engine.requests import Cancel, Progress, Variant
from interp.errors import InputError
from interp.heads.products import Edge, operand_digit
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.intervals import benjamini_hochberg

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SIGNIFICANT = 0.05
_ALL = 1e-5  # what is left of a whole attention is rounding


@dataclass(frozen=True, eq=False)
class Measured:
    """Candidate edges, their attention [n, edges], and the effect of cutting each on the margin of
    each answer digit [n, edges, digits]; `margin` [n, digits] is the uncut one."""

    edges: tuple[Edge, ...]
    attention: Floats
    effect: Floats
    margin: Floats

    def by_attention(self, weights: Floats, least: float) -> Bools:
        """Mask [edges] of those with at least this much attention."""
        return np.asarray(weights @ self.attention >= least)

    def tests(self, weights: Floats) -> tuple[Floats, Floats]:
        """Mean effect as a share of the mean margin, and q of a one-sided test that it is positive,
        both [edges, digits]; NaN where the model prefers no right digit on the whole.

        q corrects over all cells (Benjamini and Hochberg).
        """
        n = len(self.effect)
        flat = self.effect.reshape(n, -1)
        mean = (weights @ flat).reshape(self.effect.shape[1:])
        square = (weights @ flat**2).reshape(mean.shape)
        error = np.sqrt(np.maximum(square - mean**2, 0.0) / n)
        margin = weights @ self.margin
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(error > 0, mean / error, np.where(mean > 0, np.inf, 0.0))
            share = np.where(margin > 0, mean / margin, np.nan)
        q = benjamini_hochberg(np.where(np.isnan(share), np.nan, norm.sf(z)))
        return share, q

    def by_effect(self, weights: Floats, least: float) -> Bools:
        """Mask [edges, digits] of the edges whose cut lowers a digit's margin by at least this
        share, significantly."""
        share, q = self.tests(weights)
        with np.errstate(invalid="ignore"):
            return (share >= least) & (q < SIGNIFICANT)


def candidates(
    attention: Floats, queries: Sequence[str], keys: Sequence[str], asking: Sequence[str],
    least: float,
) -> tuple[tuple[Edge, ...], npt.NDArray[np.int64]]:  # fmt: skip
    """Edges with enough mean attention [layers, heads, queries, keys] that can matter to a product,
    and their index on each axis, [edges, 4].

    In the first layer keys hold their own token alone, so only operand digits count; in the last
    layer only queries that predict an answer digit count.
    """
    found, where = [], []
    last = attention.shape[0] - 1
    for layer, head, q, k in np.argwhere(np.nan_to_num(attention) >= least):
        if queries[q] == keys[0]:  # the first token sees itself alone
            continue
        digit = operand_digit(keys[k]) is not None
        if keys[k].startswith("bos") or (layer == 0 and not digit):
            continue
        if layer == last and queries[q] not in asking:
            continue
        found.append(Edge(int(layer), int(head), queries[q], keys[k]))
        where.append((layer, head, q, k))
    return tuple(found), np.array(where, dtype=np.int64).reshape(-1, 4)


def cut_effects(
    model: Model,
    batch: PromptBatch,
    edges: Sequence[Edge],
    most_attention: Floats,
    roles: Sequence[str],
    *,
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> tuple[Floats, Floats]:
    """Margins [n, digits], and their fall by the cut of each edge, [n, edges, digits].

    The margin is the true token's logit minus the mean of the other digits'. `most_attention`
    [edges] is the largest of any prompt: where it is 1 there is nothing to renormalise, and the
    head's output is removed.
    """
    true = torch.stack([batch.labels(role) for role in roles], dim=1)
    digits = _digit_tokens(batch, roles)

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        label = true[rows].to(logits.device)
        own = logits.double().gather(2, label[..., None])[..., 0]
        every = logits.double()[..., digits.to(logits.device)]
        return ((own * len(digits) - every.sum(dim=-1)) / (len(digits) - 1)).cpu()

    cuts = [_cut(edge, float(most)) for edge, most in zip(edges, most_attention, strict=True)]
    variants = [Variant("whole"), *(Variant(str(i), (cut,)) for i, cut in enumerate(cuts))]
    runs = run_variants(
        model,
        batch,
        variants,
        logits=tuple(roles),
        reduce=reduce,
        memory=memory,
        cancel=cancel,
        progress=progress,
    )
    margin, *cut = (run.logits.numpy() for run in runs if run.logits is not None)
    fall = np.stack([margin - one for one in cut], axis=1) if cut else np.zeros(
        (len(batch), 0, len(roles))
    )  # fmt: skip
    return margin, fall


def _cut(edge: Edge, most: float) -> MaskAttention | Scale:
    """Weight 0 on this edge, the rest renormalised; without any rest, no output of the head."""
    where: dict[str, Any] = {
        "layers": (edge.layer,), "heads": (edge.head,), "roles": (edge.query,),
    }  # fmt: skip
    if most > 1 - _ALL:
        return Scale("z", 0.0, **where)
    return MaskAttention(keys=(edge.key,), **where)


def _digit_tokens(batch: PromptBatch, roles: Sequence[str]) -> torch.Tensor:
    """The token ids of the digits that these answers print."""
    found = torch.unique(torch.cat([batch.labels(role) for role in roles]))
    if len(found) < 2 or (found < 0).any():
        raise InputError("every prompt must print the same answer digits: use a fixed-width format")
    return found

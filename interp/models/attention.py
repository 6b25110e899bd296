"""Attention with its pattern as a hook point, for decoders of transformers.

transformers looks its attention function up by name; `register` adds this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

ATTENTION_NAME = "arithmoscope"  # of the attention function, in transformers' registry


class Unsteppable(Exception):
    """This module's blocks cannot be run one by one; the text is the reason."""


class Pattern(nn.Module):
    """The place in an attention module where its pattern is seen and edited."""

    def __init__(self, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.widths = widths  # "plain": positions of the plain forward that a pass stands for

    def softmax(self, scores: torch.Tensor) -> torch.Tensor:
        """In float32, over as many keys as in the plain forward (`Adapter._softmax_in_float32`)."""
        keys, width = scores.shape[-1], self.widths["plain"]
        padded = nn.functional.pad(scores, (0, max(0, width - keys)), value=float("-inf"))
        return torch.softmax(padded, dim=-1, dtype=torch.float32)[..., :keys].to(scores.dtype)

    def forward(self, weights: torch.Tensor) -> torch.Tensor:
        return weights


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention as in transformers' eager function, with the pattern as a hook point.

    [n, H, P, h], [n, G, K, h] twice → [n, P, H, h] and the pattern [n, H, P, K]. An edit cannot
    make a query attend beyond its mask.
    """
    if options.get("s_aux") is not None:
        raise Unsteppable("its attention has sinks")
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if attention_mask is not None:
        scores = scores + attention_mask
    place = module.arithmoscope_pattern
    weights = place(place.softmax(scores))
    if attention_mask is not None:
        weights = weights.masked_fill(attention_mask < 0, 0.0)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def register() -> None:
    """Make `attend` known to transformers, with the mask of its eager function."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION_NAME, eager_mask)

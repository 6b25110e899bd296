"""Norms, attention and rotary embedding, written out for the forwards of the source formats.

They verify a conversion, so they use neither transformers nor TransformerLens.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from interp.errors import InputError

# By the names that both transformers and TransformerLens give them.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


def check_activation(name: str | None, kind: str) -> str:
    """`name`; InputError if it is unknown or missing, since no tensor determines it."""
    if name is None:
        raise InputError(
            f"{kind} does not say what its neurons compute. Say it: "
            f"activation={' | '.join(map(repr, ACTIVATIONS))}."
        )
    if name not in ACTIVATIONS:
        raise InputError(
            f"the activation {name!r} has no place in a standard folder. It can be "
            f"{', '.join(ACTIVATIONS)}; a model with another is studied with interp.wrap."
        )
    return name


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """(x − mean) / √(variance + ε) · weight + bias, over the last axis."""
    centred = x - x.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    normed = normed if weight is None else normed * weight
    return normed if bias is None else normed + bias


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / √(mean x² + ε) · weight, over the last axis."""
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = True, rate: float = 1.0) -> Tensor:
    """Attention by head, all [n, positions, heads, d_head]: rows rate · softmax + (1 − rate)."""
    scores = torch.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1) & causal
    pattern = rate * scores.masked_fill(later, float("-inf")).softmax(-1) + (1 - rate) * (
        ~later
    ).to(q)
    return torch.einsum("nhqk,nkhd->nqhd", pattern, v)


def rotate(x: Tensor, theta: float) -> Tensor:
    """Rotary positions, x [n, positions, heads, d_head]: halves of a head are rotated together."""
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None, None] * frequency
    one, two = x[..., :half], x[..., half:]
    return torch.cat(
        [one * angle.cos() - two * angle.sin(), two * angle.cos() + one * angle.sin()], dim=-1
    )

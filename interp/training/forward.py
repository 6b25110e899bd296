"""Forward pass of a training step: logits at the learnt positions only.

GPT-2's blocks are reimplemented over the Hugging Face module's parameters, with equal outputs (as
a test checks) in less time: positions before `start` get no query, MLP or logits in the last block;
attention is two products and a softmax; the first block's queries, keys and values are computed
once for each token and position, if that is fewer rows and exact.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GPT2LMHeadModel

_GELU = {"gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu": "none"}


class Forwarded(NamedTuple):
    """logits [n, T - start, d_vocab] and, with `z_layer`, z [n, T - start, n_heads, d_head]."""

    logits: Tensor
    z: Tensor | None


def forward(
    model: Any,
    tokens: Tensor,
    start: int = 0,
    *,
    offsets: Tensor | None = None,
    z_layer: int | None = None,
) -> Forwarded:
    """Logits of `tokens` [n, T] at the positions from `start` on.

    offsets   int [n]: the position of each row's first token, for random-offset training
    z_layer   also return the head outputs z (before the output matrix) of this layer; GPT-2 only

    Right padding needs no mask: the causal mask hides it from earlier positions.
    """
    if isinstance(model, GPT2LMHeadModel):
        return _gpt2(model, tokens, start, offsets, z_layer)
    keep = torch.arange(start, tokens.shape[1])
    return Forwarded(model(tokens, logits_to_keep=keep, use_cache=False).logits, None)


def _gpt2(
    model: Any, tokens: Tensor, start: int, offsets: Tensor | None, z_layer: int | None
) -> Forwarded:
    body, n_tokens = model.transformer, tokens.shape[1]
    positions = torch.arange(n_tokens) + (0 if offsets is None else offsets[:, None])
    hidden = body.wte(tokens) + body.wpe(positions)
    causal = torch.full((n_tokens, n_tokens), -torch.inf).triu(1)
    last, found = len(body.h) - 1, None
    for layer, block in enumerate(body.h):
        # Later blocks may attend to every position; the last block needs the learnt ones only.
        first = start if layer == last else 0
        if layer == 0 and offsets is None and _repeats(body, tokens):
            qkv = _first_qkv(body, tokens, first)
        else:
            qkv = _qkv(block.attn, block.ln_1(hidden), first)
        z = _attend(block.attn, *qkv, causal[first:])  # [n, T - first, H, d_head]
        if layer == z_layer:
            found = z[:, start - first :]
        hidden = hidden[:, first:] + _linear(z.flatten(2), block.attn.c_proj)
        wide = _activation(_linear(block.ln_2(hidden), block.mlp.c_fc), model.config)
        hidden = hidden + _linear(wide, block.mlp.c_proj)
    return Forwarded(model.lm_head(body.ln_f(hidden)), found)


def _repeats(body: Any, tokens: Tensor) -> bool:
    """True if the batch has more prompts than the vocabulary has tokens, at full precision.

    Under autocast the gradients of equal rows would be summed in bfloat16, with rounding each time.
    """
    return len(body.wte.weight) < len(tokens) and not torch.is_autocast_enabled("cpu")


def _first_qkv(body: Any, tokens: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """`_qkv` of the first block, looked up in a table of every token at every position."""
    block, n_tokens, vocabulary = body.h[0], tokens.shape[1], len(body.wte.weight)
    table = body.wte.weight + body.wpe.weight[:n_tokens, None]  # [T, d_vocab, d_model]
    at = tokens + torch.arange(n_tokens) * vocabulary
    q, k, v = (part.flatten(0, 1) for part in _qkv(block.attn, block.ln_1(table), 0))
    return F.embedding(at[:, first:], q), F.embedding(at, k), F.embedding(at, v)


def _qkv(attention: Any, x: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """q [n, T - first, d_model], k and v [n, T, d_model] of x [n, T, d_model]."""
    width = x.shape[2]
    weight, bias = attention.c_attn.weight, attention.c_attn.bias
    if first:
        q = _affine(x[:, first:], weight[:, :width], bias[:width])
        k, v = _affine(x, weight[:, width:], bias[width:]).split(width, dim=2)
    else:
        q, k, v = _affine(x, weight, bias).split(width, dim=2)
    return q, k, v


def _attend(attention: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """z [n, queries, n_heads, d_head]. mask [queries, T]: 0 or -inf."""
    heads = attention.num_heads
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    scores = q @ k.transpose(2, 3) * attention.scaling  # [n, heads, queries, T]
    pattern = (scores + mask.to(scores.dtype)).softmax(-1).to(v.dtype)
    return (pattern @ v).transpose(1, 2)


def _linear(x: Tensor, layer: Any) -> Tensor:
    return _affine(x, layer.weight, layer.bias)


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias, x.flatten(0, -2), weight).unflatten(0, x.shape[:-1])


def _activation(x: Tensor, config: Any) -> Tensor:
    if config.activation_function == "relu":
        return F.relu(x)
    return F.gelu(x, approximate=_GELU[config.activation_function])

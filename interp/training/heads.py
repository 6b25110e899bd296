"""Precise fine-tuning: training of the weights of chosen heads only.

A head (l, h) is its slices of the query, key, value and output matrices of layer l: W_Q, W_K, W_V
of shape [d_model, d_head] and W_O of shape [d_head, d_model], with the biases of the first three.
The output bias belongs to no head and stays frozen. After "Interpreting and improving LLMs in
arithmetic calculation" (2409.01659).

In grouped-query attention the heads of a group share keys and values, so no head can be trained
alone. Shared keys and values stay frozen unless all heads of the group are chosen, or `shared_kv`
is set.

Does not show: that a chosen head does the task. Any trained head may take it over.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2LMHeadModel

from interp.errors import InputError

Heads = tuple[tuple[int, int], ...]
Slices = list[tuple[str, int, slice]]  # parameter, its dimension, and the part along it


def check_heads(heads: Heads, n_layers: int, n_heads: int) -> None:
    """Raise InputError for heads that the model lacks, or that are named twice."""
    inside = all(0 <= layer < n_layers and 0 <= head < n_heads for layer, head in heads)
    if not inside or len(set(heads)) < len(heads):
        raise InputError(
            f"heads={heads} must be different pairs (layer, head), layers from 0 to {n_layers - 1} "
            f"and heads from 0 to {n_heads - 1}"
        )


def head_slices(model: Any, heads: Heads, *, shared_kv: bool = False) -> Slices:
    """The slices of the model's parameters that make up the heads."""
    if isinstance(model, GPT2LMHeadModel):
        width, d_head = model.config.n_embd, model.config.n_embd // model.config.n_head
        return [part for head in heads for part in _gpt2(*head, width, d_head)]
    config = model.config
    per_group = config.num_attention_heads // config.num_key_value_heads
    d_head = config.hidden_size // config.num_attention_heads
    found: Slices = []
    for layer, head in heads:
        place = f"model.layers.{layer}.self_attn"
        own = slice(head * d_head, (head + 1) * d_head)
        found += [(f"{place}.q_proj.weight", 0, own), (f"{place}.o_proj.weight", 1, own)]
        group = head // per_group
        members = range(group * per_group, (group + 1) * per_group)
        if shared_kv or all((layer, member) in heads for member in members):
            part = slice(group * d_head, (group + 1) * d_head)
            found += [(f"{place}.{kind}_proj.weight", 0, part) for kind in "kv"]
    return found


def train_only(model: Any, heads: Heads, *, shared_kv: bool = False) -> dict[str, Tensor]:
    """Freeze the parameters without a slice of the heads; return the `head_masks` of the others.

    The run multiplies gradients by the masks. Masked entries have zero gradient, so AdamW without
    weight decay leaves them unchanged to the bit.
    """
    masks = head_masks(model, heads, shared_kv=shared_kv)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in masks)
    return masks


def head_masks(model: Any, heads: Heads, *, shared_kv: bool = False) -> dict[str, Tensor]:
    """Masks of the heads' entries, 1 or 0, by name of each parameter that has any, in its shape."""
    parameters = dict(model.named_parameters())
    masks: dict[str, Tensor] = {}
    for name, dimension, part in head_slices(model, heads, shared_kv=shared_kv):
        mask = masks.setdefault(name, torch.zeros_like(parameters[name]))
        mask.narrow(dimension, part.start, part.stop - part.start).fill_(1.0)
    return masks


def _gpt2(layer: int, head: int, width: int, d_head: int) -> Iterator[tuple[str, int, slice]]:
    place = f"transformer.h.{layer}.attn"
    for offset in (0, width, 2 * width):  # c_attn is q, k and v side by side, [d_model, 3 d_model]
        part = slice(offset + head * d_head, offset + (head + 1) * d_head)
        yield f"{place}.c_attn.weight", 1, part
        yield f"{place}.c_attn.bias", 0, part
    yield f"{place}.c_proj.weight", 0, slice(head * d_head, (head + 1) * d_head)

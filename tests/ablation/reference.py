"""The subgraph the slow way: a Hugging Face module, one prompt at a time, hooks in plain sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests import tiny


def residual(module: Any, family: str, ids: torch.Tensor, depth: int) -> torch.Tensor:
    """The stream after `depth` layers, [T, d_model]."""
    kept: list[torch.Tensor] = []
    block = tiny.parts(module, family, depth - 1)["block"]
    tiny.hooked_logits(module, ids[None], [(block, "out", lambda x: kept.append(x) or x)])
    return kept[0][0]


def conditional_mean(
    module: Any, family: str, table: torch.Tensor, ids: torch.Tensor, depth: int
) -> torch.Tensor:
    """At each position the mean over the table's other prompts with this token there."""
    streams = torch.stack([residual(module, family, other, depth) for other in table])
    others = (table != ids).any(dim=1)
    return torch.stack(
        [streams[others & (table[:, p] == ids[p]), p].mean(dim=0) for p in range(len(ids))]
    )


def all_for_one(
    module: Any,
    family: str,
    ids: torch.Tensor,
    waiting: torch.Tensor | None,
    wait: int,
    transfer: Sequence[int],
    last: int,
    sink: int = 1,
    opened: Sequence[int] = (),
) -> torch.Tensor:
    """Logits [T, V]: wait, look in the transfer layers from position `last` on, compute. In
    `opened` layers the positions before `last` see all before them."""

    def overwrite(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, :sink], waiting[None, sink:]], dim=1)

    def masked(layer: int) -> Any:
        looks = torch.ones(len(ids), len(ids)).tril().bool()
        for query in range(sink, len(ids)):
            free = layer in (transfer if query >= last else opened)
            if layer >= wait and not free:
                looks[query, sink:query] = False
        mask = torch.zeros_like(looks, dtype=module.dtype).masked_fill(~looks, -torch.inf)
        return lambda part, args, kwargs: (args, {**kwargs, "attention_mask": mask[None, None]})

    layers = range(module.config.num_hidden_layers)
    attention = [tiny.parts(module, family, layer)["attn"] for layer in layers]
    handles = [
        part.register_forward_pre_hook(masked(layer), with_kwargs=True)
        for layer, part in zip(layers, attention, strict=True)
    ]
    block = tiny.parts(module, family, wait - 1)["block"] if wait else None
    try:
        edits = [(block, "out", overwrite)] if block is not None else []
        return tiny.hooked_logits(module, ids[None], edits)[0]
    finally:
        for handle in handles:
            handle.remove()

"""Residual streams with all attention held: how a change spreads through the MLPs alone.

With every attention output at its clean value, positions do not interact, so a changed stream at a
few positions is advanced block by block on its own: attention out of the clean run, MLPs
recomputed. This is path patching with all other heads frozen (Wang et al., arXiv 2211.00593).
"""

from __future__ import annotations

from typing import Any

import torch

from interp.engine.block_steps import own_blocks
from interp.engine.passes import BlockAdapter
from interp.models.model import Model

_ROWS = 4096  # row-positions per call


class _Nothing:
    """Key/value store of a block whose attention output is replaced: nothing is kept."""

    def update(
        self, k: torch.Tensor, v: torch.Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return k, v


def frozen_block(
    model: Model, layer: int, streams: torch.Tensor, attn_out: torch.Tensor
) -> torch.Tensor:
    """Run one block on streams [cells, n, P, d_model] with the attention's output replaced.

    `attn_out` is [n, P, d_model], the same for every cell, or [cells, n, P, d_model].
    """
    held = attn_out.expand_as(streams)
    return _by_rows(model, layer, streams, held, None)


def inputs(model: Model, layer: int, streams: torch.Tensor, site: str) -> torch.Tensor:
    """`q`, `k` or `v` [cells, n, P, heads, d_head] that a block computes from streams."""
    return _by_rows(model, layer, streams, None, site)


def _by_rows(
    model: Model, layer: int, streams: torch.Tensor, held: torch.Tensor | None, site: str | None
) -> torch.Tensor:
    adapter = own_blocks(model)
    flat = streams.flatten(0, 1)
    out = None if held is None else held.flatten(0, 1)
    step = max(1, _ROWS // flat.shape[1])
    parts = []
    with model.lock, torch.no_grad():
        for first in range(0, len(flat), step):
            rows = slice(first, first + step)
            given = None if out is None else out[rows]
            parts.append(_block(adapter, layer, flat[rows], given, site))
    return torch.cat(parts).unflatten(0, streams.shape[:2])


def _block(
    adapter: BlockAdapter, layer: int, x: torch.Tensor, held: torch.Tensor | None, site: str | None
) -> torch.Tensor:
    positions = torch.arange(x.shape[1], device=adapter.device)
    adapter.width = x.shape[1]
    seen: list[torch.Tensor] = []
    point: Any = adapter.hook_point("attn_out" if held is not None else str(site), layer)
    hooked: list[Any] = adapter.hooked
    mask: Any = adapter.mask(len(positions), len(positions))

    def change(value: torch.Tensor, hook: Any) -> torch.Tensor | None:
        seen.append(value)
        return held

    hooked.append(point)
    try:
        point.add_hook(change)
        out = adapter.block(
            layer,
            x,
            mask=mask,
            rotation=adapter.rotation(x, positions),
            store=_Nothing(),
        )
    finally:
        adapter.take_hooks_off()
    return seen[0] if held is None else out

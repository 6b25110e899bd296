"""Residual streams with all attention held: how a change spreads through the MLPs alone.

With every attention output at its clean value, positions do not interact, so a changed stream at a
few positions is advanced block by block on its own: attention out of the clean run, MLPs
recomputed. This is path patching with all other heads frozen (Wang et al., arXiv 2211.00593).
`attended` is a block's attention from queries, keys and values that read streams of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch

from interp.engine.block_steps import own_blocks
from interp.engine.passes import BlockAdapter
from interp.engine.tail import Enough
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


def attended(
    model: Model, layer: int, stream: torch.Tensor, given: Mapping[str, torch.Tensor], first: int
) -> torch.Tensor:
    """`z` [cells, n, P, n_heads, d_head] of a block whose queries, keys and values are given.

    `given` are `q`, `k` and `v` [cells, n, P, heads, d_head] at the positions from `first` on, as
    `inputs` returns them; those before come from the stream [n, first + P, d_model] before the
    block, the same for every cell.
    """
    adapter = own_blocks(model)
    cells, n = given["q"].shape[:2]
    step = max(1, _ROWS // (n * stream.shape[1]))
    parts = []
    with model.lock, torch.no_grad():
        for start in range(0, cells, step):
            some = {site: x[start : start + step].flatten(0, 1) for site, x in given.items()}
            rows = stream.repeat(len(some["q"]) // n, 1, 1)
            parts.append(_attended(adapter, layer, rows, some, first).unflatten(0, (-1, n)))
    return torch.cat(parts)


def _attended(
    adapter: BlockAdapter,
    layer: int,
    x: torch.Tensor,
    given: Mapping[str, torch.Tensor],
    first: int,
) -> torch.Tensor:
    seen: list[torch.Tensor] = []

    def put(own: torch.Tensor) -> Callable[..., torch.Tensor]:
        def change(value: torch.Tensor, hook: Any) -> torch.Tensor:
            value = value.clone()
            value[:, first:] = own
            return value

        return change

    def read(value: torch.Tensor, hook: Any) -> None:
        seen.append(value[:, first:])
        raise Enough

    changes = [(site, put(own)) for site, own in given.items()]
    _run_block(adapter, layer, x, [*changes, ("z", read)])
    return seen[0]


def _run_block(
    adapter: BlockAdapter, layer: int, x: torch.Tensor, hooks: list[tuple[str, Callable[..., Any]]]
) -> torch.Tensor | None:
    """A block's output under some hooks; None where one of them has seen enough."""
    positions = torch.arange(x.shape[1], device=adapter.device)
    adapter.width = x.shape[1]
    mask: Any = adapter.mask(len(positions), len(positions))
    hooked: list[Any] = adapter.hooked
    out = None
    try:
        for site, change in hooks:
            point: Any = adapter.hook_point(site, layer)
            hooked.append(point)
            point.add_hook(change)
        with suppress(Enough):
            rotation = adapter.rotation(x, positions)
            out = adapter.block(layer, x, mask=mask, rotation=rotation, store=_Nothing())
    finally:
        adapter.take_hooks_off()
    return out


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
    seen: list[torch.Tensor] = []

    def hold(value: torch.Tensor, hook: Any) -> torch.Tensor | None:
        return held

    def read(value: torch.Tensor, hook: Any) -> None:
        seen.append(value)
        raise Enough

    if held is None:
        _run_block(adapter, layer, x, [(str(site), read)])
        return seen[0]
    out = _run_block(adapter, layer, x, [("attn_out", hold)])
    assert out is not None
    return out

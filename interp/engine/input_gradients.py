"""Gradients with respect to what one sublayer alone reads of the residual stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from interp.engine.block_steps import own_blocks
from interp.engine.frozen import _Nothing
from interp.models.model import Model

_ROWS = 4096  # row-positions per call


def input_gradients(
    model: Model,
    layer: int,
    stream: torch.Tensor,
    site: str,
    slopes: Sequence[torch.Tensor],
    attn_out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Σ slope · ∂activation/∂stream for each of some slopes, [slopes, n, P, d_model].

    The activation is `q`, `k`, `v` or `mlp_out` of one block, computed from the stream [n, P,
    d_model] before the block; each position on its own. With `attn_out` the attention's output is
    held there, as it must be for `mlp_out`. `slopes` have the activation's shape. NaN positions
    give NaN.
    """
    adapter, device = own_blocks(model), model.device
    step = max(1, _ROWS // stream.shape[1])
    parts = []
    with model.lock, torch.enable_grad():
        for first in range(0, len(stream), step):
            rows = slice(first, first + step)
            x = stream[rows].detach().to(device).clone().requires_grad_(True)
            held = None if attn_out is None else attn_out[rows].to(device)
            value = _activation(adapter, layer, x, site, held)
            found = [
                torch.autograd.grad(
                    value, x, slope[rows].to(value).nan_to_num(0.0), retain_graph=True
                )[0]
                for slope in slopes
            ]
            parts.append(torch.stack(found).cpu())
    return torch.cat(parts, dim=1)


def _activation(
    adapter: Any, layer: int, x: torch.Tensor, site: str, held: torch.Tensor | None
) -> torch.Tensor:
    """The activation that a block computes at `site` from the stream x."""
    positions = torch.arange(x.shape[1], device=adapter.device)
    adapter.width = x.shape[1]
    seen: list[torch.Tensor] = []

    def read(value: torch.Tensor, hook: Any) -> None:
        seen.append(value)

    def hold(value: torch.Tensor, hook: Any) -> torch.Tensor | None:
        return held

    points: list[tuple[Any, Callable[..., Any]]] = [(adapter.hook_point(site, layer), read)]
    if held is not None:
        points.insert(0, (adapter.hook_point("attn_out", layer), hold))
    try:
        for point, function in points:
            adapter.hooked.append(point)
            point.add_hook(function)
        mask = adapter.mask(len(positions), len(positions))
        adapter.block(
            layer, x, mask=mask, rotation=adapter.rotation(x, positions), store=_Nothing()
        )
    finally:
        adapter.take_hooks_off()
    return seen[0]

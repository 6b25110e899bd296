"""What heads and neurons write into the residual stream, and what heads read of it, as matrices."""

from __future__ import annotations

import torch

from interp.errors import ModelError
from interp.models.model import Model


def head_writes(model: Model, layer: int) -> torch.Tensor:
    """W_O by head, [n_heads, d_head, d_model]: head h writes z_h · W_O[h]."""
    model.require_site("z")
    s = model.shape
    return _matrix(model, "z", layer, s.n_heads * s.d_head).unflatten(0, (s.n_heads, s.d_head))


def value_reads(model: Model, layer: int) -> torch.Tensor | None:
    """W_V by key/value head, [n_kv_heads, d_model, d_head], without bias: values are norm(x) · W_V.

    None for a model that runs as a whole: its value projection is not known.
    """
    if model.adapter.whole or "v" not in model.usable_sites:
        return None
    s = model.shape
    with model.lock, torch.no_grad():
        unit = torch.eye(s.d_model, dtype=model.dtype, device=model.device)
        rows = model.adapter.values(layer, unit) - model.adapter.values(layer, 0 * unit[:1])
    return rows.cpu().unflatten(1, (s.n_kv_heads, s.d_head)).transpose(0, 1)


def neuron_writes(model: Model, layer: int) -> torch.Tensor:
    """W_out of the MLP, [d_mlp, d_model]."""
    model.require_site("mlp_post")
    return _matrix(model, "mlp_post", layer, model.shape.d_mlp)


def write_bias(model: Model, site: str, layer: int) -> torch.Tensor:
    """Bias [d_model] of the output projection of `z` or `mlp_post`, zero where there is none."""
    s = model.shape
    width = s.n_heads * s.d_head if site == "z" else s.d_mlp
    with model.lock, torch.no_grad():
        zero = torch.zeros(1, width, dtype=model.dtype, device=model.device)
        return model.adapter.project(site, layer, zero)[0]


def check_linear(
    model: Model, layer: int, z: torch.Tensor, attn_out: torch.Tensor, share: float
) -> None:
    """Raise ModelError unless heads' writes and bias sum to the attention's output.

    z [..., n_heads, d_head] and attn_out [..., d_model] of the same places; `share` is the largest
    difference allowed, of the largest number. A family that normalises the attention's output
    afterwards fails: there a head's write is not linear in z.
    """
    with model.lock, torch.no_grad():
        made = model.adapter.project("z", layer, z.flatten(-2).to(model.device)).cpu()
    known = ~made.isnan() & ~attn_out.isnan()
    off = (made - attn_out)[known].abs().max() if known.any() else torch.zeros(())
    if off > share * attn_out[known].abs().max():
        raise ModelError(
            f"layer {layer} of {model.name} does not add the sum of its heads' outputs to the "
            "stream (it normalises it first), so a head has no linear write of its own: use "
            "interp.heads.patch, which needs none"
        )


def _matrix(model: Model, site: str, layer: int, width: int) -> torch.Tensor:
    with model.lock, torch.no_grad():
        unit = torch.eye(width, dtype=model.dtype, device=model.device)
        return model.adapter.project(site, layer, unit) - write_bias(model, site, layer)

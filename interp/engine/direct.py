"""Directions that the logits read off the residual stream, with the final norm held at its value.

With x the stream before the final norm, norm(x) = γ ∘ (x − m(x)) / σ(x) + β, where m is the mean
over the width (LayerNorm) or 0 (RMSNorm). Holding σ(x) makes the logit of a token t linear in x:

    logit[t] − b_U[t] = x · u_t + β · W_U[t],      u_t = (v − m(v)) / σ(x),  v = γ ∘ W_U[t]

so that any parts that sum to x have direct effects that sum to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from interp.errors import ModelError
from interp.models.model import Model
from interp.models.wrapped import WrappedAdapter

_LONG = 1e4  # of a vector whose length hides the norm's ε
_SHARE = {torch.float64: 1e-6, torch.float32: 1e-3}  # Llama takes norms in float32


@dataclass(frozen=True)
class Readout:
    """γ and β [d_model] of the final norm, whether it takes off the mean, and of some tokens W_U
    [d_model, tokens] and b_U [tokens]; float64, on the CPU."""

    gain: torch.Tensor
    shift: torch.Tensor
    centred: bool
    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, model: Model, tokens: torch.Tensor) -> Readout:
        """Measured on the model's own norm and unembedding, whatever the family calls them."""
        adapter, width = model.adapter, model.shape.d_model
        head = adapter.head if isinstance(adapter, WrappedAdapter) else adapter.linear_head
        with model.lock, torch.no_grad():
            unit = torch.eye(width, dtype=model.dtype, device=model.device)
            shift = adapter.final_norm(torch.zeros_like(unit[:1]))[0]
            even = adapter.final_norm(_LONG * torch.ones_like(unit[:1]))[0] - shift
            own = adapter.final_norm(_LONG * unit).diagonal() - shift
            bias = head(torch.zeros_like(unit[:1]))[0, tokens]
            columns = [head(part)[:, tokens] for part in unit.split(64)]
        centred = bool(even.abs().max() < 1e-3 * own.abs().max() / width**0.5)
        gain = own.double() / (width - 1) ** 0.5 if centred else own.double() / width**0.5
        weight = torch.cat(columns).double() - bias.double()
        return cls(gain.cpu(), shift.double().cpu(), centred, weight.cpu(), bias.double().cpu())

    def scale(self, streams: torch.Tensor, normed: torch.Tensor) -> torch.Tensor:
        """σ(x) [...] of streams [..., d_model], from what the norm makes of them."""
        moved = self._centre(streams.double()) * self.gain
        return moved.norm(dim=-1) / (normed.double() - self.shift).norm(dim=-1)

    def directions(self, columns: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """u_t [..., d_model] for the tokens in `columns` [...] (indices among those read)."""
        v = self.weight.T[columns] * self.gain
        return self._centre(v) / scale[..., None]

    def constant(self, columns: torch.Tensor) -> torch.Tensor:
        """β · W_U[t], [...]."""
        return (self.weight.T @ self.shift)[columns]

    def _centre(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=-1, keepdim=True) if self.centred else x


def check_sum(model: Model, parts: torch.Tensor, logits: torch.Tensor) -> float:
    """Largest |Σ parts − (logit − b_U)|; ModelError where it is no rounding (a family that bends
    its logits, or that adds something else to the stream)."""
    known = ~parts.isnan() & ~logits.isnan()
    off = float((parts - logits)[known].abs().max()) if known.any() else 0.0
    largest = float(logits[known].abs().max()) if known.any() else 1.0
    if off > _SHARE.get(model.dtype, 5e-2) * max(largest, 1e-6):
        raise ModelError(
            f"the direct effects of {model.name} do not sum to its logits (off by {off:.3g}): it "
            "bends them, or adds more to the stream than heads and MLPs. Use interp.heads.patch"
        )
    return off

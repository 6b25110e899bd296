"""Logit lens: final norm, then unembedding, of a residual stream."""

from __future__ import annotations

import torch

from interp.models.model import Model


def unembed(model: Model, stream: torch.Tensor) -> torch.Tensor:
    """Logits [..., d_vocab] of a residual stream [..., d_model], on the CPU (the logit lens).

    Does not show: that layers before the last write their stream for this readout.
    """
    with model.lock, torch.no_grad():
        normed = model.adapter.final_norm(stream.to(model.device))
        return model.adapter.head(normed).cpu()

"""Logit lens, and the matrices at both ends of a model.

logits = final norm(stream) · W_U + b_U          stream before block 0 = W_E[token] + positions
"""

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


def embedding(model: Model) -> torch.Tensor:
    """W_E [d_vocab, d_model] on the CPU: what each token writes to the stream, without positions.

    Raises SiteError for a wrapped module that does not tell where its embedding is.
    """
    with model.lock, torch.no_grad():
        return model.adapter.embedding().detach().cpu()


def unembedding(model: Model) -> tuple[torch.Tensor, torch.Tensor]:
    """W_U [d_model, d_vocab_out] and b_U [d_vocab_out] on the CPU; logit i is that of token id i.

    Read off the head itself: b_U = head(0), and row j of W_U is head(unit vector j) − b_U.
    """
    s = model.shape
    # Before a cap or scale of the logits, where the adapter tells them apart.
    head = getattr(model.adapter, "linear_head", model.adapter.head)
    with model.lock, torch.no_grad():
        unit = torch.eye(s.d_model, dtype=model.dtype, device=model.device)
        bias = head(torch.zeros_like(unit[:1]))[0]
        rows = [head(part) - bias for part in unit.split(64)]
        return torch.cat(rows).cpu(), bias.cpu()

"""Linear maps that a model applies, read through its sites: no access to weights is needed, so a
wrapped module serves as well as a shipped one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from interp.engine._run import run
from interp.engine.interventions import Replace, Rows
from interp.engine.readout import unembed, unembedding
from interp.engine.requests import Cancel
from interp.models.model import Model
from interp.models.prompts import PromptBatch

Floats = npt.NDArray[np.float64]

_LINEAR = 1e-3  # largest relative departure from linearity of a readout that counts as linear


def unit_writes(
    model: Model,
    batch: PromptBatch,
    site: Literal["mlp_post", "z"],
    layer: int,
    *,
    memory: int = 2**30,
    cancel: Cancel | None = None,
) -> Floats:
    """What one unit of each neuron ("mlp_post") or of each head dimension ("z") adds to the stream.

    The rows of the sublayer's output projection W_out, without its bias: the activation at the last
    prompt position is replaced by each unit vector in turn, and by zero, which is subtracted.

    Returns:
        [units, d_model]; the units of "z" are head 0's dimensions, then head 1's, ….
    """
    shape = model.shape
    width = shape.d_mlp if site == "mlp_post" else shape.n_heads * shape.d_head
    inner = (width,) if site == "mlp_post" else (shape.n_heads, shape.d_head)
    units = torch.cat([torch.zeros(1, width), torch.eye(width)]).to(model.dtype)
    rows = batch[np.zeros(width + 1, dtype=int)]
    edit = Replace(
        site, Rows({layer: units.reshape(width + 1, 1, *inner)}), layers=(layer,), roles=("last",)
    )
    output = "mlp_out" if site == "mlp_post" else "attn_out"
    found = run(
        model, rows, [edit], reads=[(output, layer, ("last",))], logits=None, memory=memory,
        cancel=cancel,
    ).activations[output, layer][:, 0].double().numpy()  # fmt: skip
    return np.asarray(found[1:] - found[0])


def direct_logits(model: Model, writes: Floats, tokens: npt.NDArray[np.int64]) -> Floats:
    """Direct effect of vectors added to the final stream on the logits of `tokens`, [n, tokens].

    W_U w for a model without a final normalisation. Behind a normalisation the effect depends on
    the rest of the stream; here each vector is normalised by itself and scaled back by its length
    over √d, which keeps gains and centring and loses the common scale.
    """
    vectors = torch.from_numpy(np.ascontiguousarray(writes)).to(model.dtype)
    zero = _logits(model, torch.zeros_like(vectors[:1]), tokens)
    found = _logits(model, vectors, tokens) - zero
    if not is_linear(model, vectors, tokens):
        found *= np.linalg.norm(writes, axis=1, keepdims=True) / np.sqrt(writes.shape[1])
    return found


def unembedded(model: Model, stream: Floats, tokens: npt.NDArray[np.int64]) -> Floats:
    """W_U x of streams [n, d_model] without the final normalisation and without bias, [n, tokens]:
    what Bai et al. (2510.00184) fit."""
    columns = unembedding(model)[0][:, torch.from_numpy(tokens)].double().numpy()
    return np.asarray(stream @ columns)


def is_linear(model: Model, vectors: torch.Tensor, tokens: npt.NDArray[np.int64]) -> bool:
    """Whether the readout of `vectors` scales with them: no normalisation before the unembedding,
    or one that does nothing."""
    zero = _logits(model, torch.zeros_like(vectors[:1]), tokens)
    once = _logits(model, vectors[:8], tokens) - zero
    twice = _logits(model, 2 * vectors[:8], tokens) - zero
    return bool(np.abs(twice - 2 * once).max() <= _LINEAR * np.abs(twice).max())


def _logits(model: Model, stream: torch.Tensor, tokens: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(unembed(model, stream)[:, torch.from_numpy(tokens)].double().numpy())

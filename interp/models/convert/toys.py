"""Toys (`interp.models.toy`) as targets of conversions, from tensors in TransformerLens' axes."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from interp.models.toy import Toy, ToyConfig

NOTE = (
    "no standard architecture holds this model: the folder is one of arithmoscope's own "
    "(model_type 'arithmoscope-toy'), which interp.load opens and other tools do not"
)


def config(
    t: Mapping[str, Tensor],
    *,
    activation: str,
    eps: float = 1e-5,
    normalized: bool = False,
    causal: bool = True,
    rate: float = 1.0,
) -> ToyConfig:
    """The config of a toy with these tensors, in TransformerLens' axes."""
    layers = [int(m[1]) for name in t if (m := re.match(r"blocks\.(\d+)\.", name))]
    heads, d_model, d_head = t["blocks.0.attn.W_Q"].shape
    neurons = t.get("blocks.0.mlp.W_in")
    return ToyConfig(
        n_layers=1 + max(layers),
        n_heads=int(heads),
        d_model=int(d_model),
        d_head=int(d_head),
        d_mlp=0 if neurons is None else int(neurons.shape[1]),
        d_vocab=int(t["embed.W_E"].shape[0]),
        d_vocab_out=int(t["unembed.W_U"].shape[1]),
        n_ctx=int(t["pos_embed.W_pos"].shape[0]),
        activation=activation,
        normalization="LN" if normalized else None,
        eps=eps,
        causal=causal,
        attention_rate=rate,
    )


def filled(t: Mapping[str, Tensor], config: ToyConfig) -> dict[str, Tensor]:
    """The toy's tensors: those given, zeros for biases and ones for gains that the source lacks."""
    with torch.device("meta"):
        wanted = Toy(config).state_dict()
    out = {}
    for name, place in wanted.items():
        fill = torch.ones if re.search(r"(ln\d|ln_final)\.w$", name) else torch.zeros
        out[name] = t[name] if name in t else fill(place.shape)
    return out

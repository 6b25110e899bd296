"""State dicts of the public grokking code (Nanda et al., 2301.05217; Zhong et al., 2306.17844).

TransformerLens' names with other axes, no norms, and no biases in attention or unembedding:

    embed.W_E [d, vocab]      pos_embed.W_pos [n_ctx, d]       unembed.W_U [d, vocab_out]
    blocks.i.attn.W_Q, W_K, W_V [heads, d_head, d]             blocks.i.attn.W_O [d, heads · d_head]
    blocks.i.mlp.W_in [d_mlp, d]   b_in [d_mlp]                W_out [d, d_mlp]   b_out [d]

Zhong et al. have no causal mask and attention rows α · softmax + (1 − α). Both keep a buffer named
`mask`, used or not, so no tensor tells which it is.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from interp.errors import InputError
from interp.models.convert import toys
from interp.models.convert.checkpoint import Checkpoint, Shapes
from interp.models.convert.formulas import ACTIVATIONS, check_activation
from interp.models.convert.standard import Options, Standard, agreed

KIND = "a transformer of the grokking code"
_BUFFERS = r"blocks\.\d+\.attn\.mask"


def read(checkpoint: Checkpoint, options: Options) -> Standard:
    """A state dict of the grokking code, as a toy.

    Raises ModelError for tensors that are missing, extra or of another shape; InputError for a
    missing setting: activation, causal and, without a mask, the attention rate.
    """
    t, said = checkpoint.tensors, checkpoint.settings
    wanted = _shapes(t)
    checkpoint.require(wanted, KIND, _BUFFERS)
    heads = agreed("heads", options.heads, int(t["blocks.0.attn.W_Q"].shape[0]))
    given = options.activation or said.get("act_type") or said.get("act_fn")
    activation = check_activation(None if given is None else str(given).lower(), KIND)
    if options.normalization not in (None, "none"):
        raise InputError(f"{KIND} has no norms: leave normalization={options.normalization!r} out.")
    causal, rate = _attention(options, said.get("attn_coeff"))
    named = _transformerlens_axes(t, heads)
    config = toys.config(named, activation=activation, causal=causal, rate=rate)
    source = checkpoint.double()
    return Standard(
        config,
        toys.filled(named, config),
        lambda tokens: forward(source, tokens, activation, causal=causal, rate=rate),
        (
            toys.NOTE,
            f"the neurons compute {activation!r}, attention is "
            f"{'causal' if causal else 'without a mask'}, its rows {rate:g} · softmax + "
            f"{1 - rate:g}: no tensor tells",
        ),
    )


def forward(
    t: Mapping[str, Tensor], tokens: Tensor, activation: str, *, causal: bool, rate: float
) -> Tensor:
    """The grokking code's formula over its own tensors, [n, P] → [n, P, d_vocab_out]."""
    length, layer = tokens.shape[1], 0
    x = t["embed.W_E"].T[tokens] + t["pos_embed.W_pos"][:length]
    seen = torch.ones(length, length, dtype=torch.bool)
    seen = seen.tril() if causal else seen
    while f"blocks.{layer}.attn.W_Q" in t:
        at = f"blocks.{layer}"
        q, k, v = (torch.einsum("ihd,bpd->biph", t[f"{at}.attn.W_{name}"], x) for name in "QKV")
        scores = torch.einsum("biqh,bikh->biqk", q, k) / math.sqrt(q.shape[-1])
        softmax = scores.masked_fill(~seen, float("-inf")).softmax(-1)
        pattern = rate * softmax + (1 - rate) * seen.to(x)
        z = torch.einsum("biqk,bikh->bqih", pattern, v).flatten(2)
        x = x + z @ t[f"{at}.attn.W_O"].T
        hidden = ACTIVATIONS[activation](x @ t[f"{at}.mlp.W_in"].T + t[f"{at}.mlp.b_in"])
        x = x + hidden @ t[f"{at}.mlp.W_out"].T + t[f"{at}.mlp.b_out"]
        layer += 1
    return x @ t["unembed.W_U"]


def _attention(options: Options, saved: float | None) -> tuple[bool, float]:
    """Causal or not, and the attention rate. Raises InputError where that is not said."""
    causal, rate = options.causal, options.attention_rate
    if causal is None:
        raise InputError(
            f"no tensor tells whether {KIND} has a causal mask. Say it: causal=True (--causal) for "
            f"that of Nanda et al., causal=False (--no-causal) for that of Zhong et al. (the pizza "
            f"and the clock)."
        )
    rate = saved if rate is None else rate
    if rate is None and not causal:
        raise InputError(
            "no tensor tells the attention rate α of rows α · softmax + (1 − α), attn_coeff in the "
            "config of Zhong et al. Say it: attention_rate=… (--attention-rate); 1 is softmax."
        )
    rate = 1.0 if rate is None else float(rate)
    if not 0 <= rate <= 1:
        raise InputError(f"attention_rate must be 0 to 1, not {rate}.")
    return causal, rate


def _shapes(t: Mapping[str, Tensor]) -> Shapes:
    heads, d_head, d = t["blocks.0.attn.W_Q"].shape
    layers = 1 + max(int(m[1]) for name in t if (m := re.match(r"blocks\.(\d+)\.", name)))
    neurons = t.get("blocks.0.mlp.W_in")
    d_mlp = 4 * d if neurons is None else neurons.shape[0]
    shapes: dict[str, tuple[int, ...]] = {
        "embed.W_E": (d, t["embed.W_E"].shape[-1]),
        "pos_embed.W_pos": (t["pos_embed.W_pos"].shape[0], d),
        "unembed.W_U": (d, t["unembed.W_U"].shape[-1] if "unembed.W_U" in t else 0),
    }
    for layer in range(layers):
        at = f"blocks.{layer}"
        shapes |= {f"{at}.attn.W_{name}": (heads, d_head, d) for name in "QKV"}
        shapes |= {f"{at}.attn.W_O": (d, heads * d_head)}
        shapes |= {f"{at}.mlp.W_in": (d_mlp, d), f"{at}.mlp.b_in": (d_mlp,)}
        shapes |= {f"{at}.mlp.W_out": (d, d_mlp), f"{at}.mlp.b_out": (d,)}
    return shapes


def _transformerlens_axes(t: Mapping[str, Tensor], heads: int) -> dict[str, Tensor]:
    out = {}
    for name, tensor in t.items():
        part = name.rpartition(".")[2]
        if part in ("W_E", "W_in", "W_out"):
            out[name] = tensor.T
        elif part in ("W_Q", "W_K", "W_V"):
            out[name] = tensor.transpose(1, 2)
        elif part == "W_O":  # [d, heads · d_head] → [heads, d_head, d]
            out[name] = tensor.T.unflatten(0, (heads, -1))
        elif part != "mask":
            out[name] = tensor
    return out

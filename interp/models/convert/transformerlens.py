"""State dicts of TransformerLens 2.x `HookedTransformer`s with learned positions, as GPT-2.

Also folded ones: after `fold_ln`, `center_writing_weights` and `fold_value_biases` a state dict has
no layer-norm weights, and possibly an unembedding bias.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models.convert import gpt2
from interp.models.convert.checkpoint import Checkpoint, Shapes
from interp.models.convert.formulas import ACTIVATIONS, attend, check_activation, layer_norm
from interp.models.convert.standard import Options, Standard, agreed

KIND = "a HookedTransformer with learned positions"
_BUFFERS = r"blocks\.\d+\.attn\.(mask|IGNORE)"
_READS = ("attn.W_Q", "attn.W_K", "attn.W_V", "mlp.W_in")  # weights that read the normed stream
_CENTRED = 1e-4  # largest mean of a folded weight, as a share of its largest entry
_SPANNED = 1e-5  # largest part of b_U outside the span of W_U, as a share of its largest entry
_ONLY = {  # GPT-2's settings, by the names of HookedTransformerConfig
    "positional_embedding_type": "standard",
    "attention_dir": "causal",
    "parallel_attn_mlp": False,
    "use_attn_scale": True,
    "gated_mlp": False,
    "scale_attn_by_inverse_layer_idx": False,
}


def read(checkpoint: Checkpoint, options: Options) -> Standard:
    """A HookedTransformer's state dict in the layout of GPT-2.

    The activation and, without layer-norm weights, the existence of the norms must come from
    `options`, or from a `cfg` saved with the weights as a plain dict. Folded weights are recognised
    by their centred rows and need no setting.

    Raises ModelError for tensors that are missing, extra or of another shape, and for features that
    GPT-2 lacks (rotary positions, heads that do not fill the stream, an unembedding bias outside
    the span of W_U); InputError for a missing setting.
    """
    t, said = checkpoint.tensors, checkpoint.settings
    _check_settings(said)
    d_vocab, d_model = checkpoint.shape("embed.W_E", KIND)
    context = checkpoint.shape("pos_embed.W_pos", KIND)[0]
    n_heads, _, d_head = checkpoint.shape("blocks.0.attn.W_Q", KIND)
    heads = agreed("heads", options.heads, n_heads)
    layers = 1 + max(int(m[1]) for name in t if (m := re.match(r"blocks\.(\d+)\.", name)))
    neurons = t.get("blocks.0.mlp.W_in")
    normed = "ln_final.w" in t
    sizes = {"layers": layers, "d_model": d_model, "d_vocab": d_vocab, "context": context}
    d_mlp = None if neurons is None else int(neurons.shape[1])
    wanted = _shapes(heads=heads, d_head=d_head, d_mlp=d_mlp, normed=normed, **sizes)
    checkpoint.require(wanted, KIND, _BUFFERS)
    if heads * d_head != d_model:
        raise ModelError(
            f"{heads} heads of width {d_head} do not fill a stream of {d_model}, which GPT-2 asks "
            f"for. Study the model with interp.wrap."
        )
    if not normed:
        _require_folded(t, layers, options.normalization or said.get("normalization_type"))
    activation = "gelu" if d_mlp is None else _activation(options, said)
    eps = float(said.get("eps") or 1e-5)
    named = _gpt2_names(t, layers, d_model, normed, d_mlp)
    tied = torch.equal(named["lm_head.weight"], named["transformer.wte.weight"])
    if tied:
        del named["lm_head.weight"]
    config = gpt2.config(
        heads=heads, d_mlp=d_mlp or 1, activation=activation, eps=eps, tied=tied, **sizes
    )
    source = checkpoint.double()
    return Standard(
        config,
        named,
        lambda tokens: forward(source, tokens, activation, eps),
        _notes(t, normed, d_mlp, activation),
    )


def forward(t: Mapping[str, Tensor], tokens: Tensor, activation: str, eps: float) -> Tensor:
    """HookedTransformer's own formula over its own tensors, [n, P] → [n, P, d_vocab]."""

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, t.get(f"{name}.w"), t.get(f"{name}.b"), eps)

    x = t["embed.W_E"][tokens] + t["pos_embed.W_pos"][: tokens.shape[1]]
    layer = 0
    while f"blocks.{layer}.attn.W_Q" in t:
        at = f"blocks.{layer}"
        stream = norm(x, f"{at}.ln1")
        q, k, v = (
            torch.einsum("npd,hde->nphe", stream, t[f"{at}.attn.W_{name}"])
            + t[f"{at}.attn.b_{name}"]
            for name in "QKV"
        )
        out = torch.einsum("nphe,hed->npd", attend(q, k, v), t[f"{at}.attn.W_O"])
        x = x + out + t[f"{at}.attn.b_O"]
        if f"{at}.mlp.W_in" in t:
            before = norm(x, f"{at}.ln2") @ t[f"{at}.mlp.W_in"] + t[f"{at}.mlp.b_in"]
            x = x + ACTIVATIONS[activation](before) @ t[f"{at}.mlp.W_out"] + t[f"{at}.mlp.b_out"]
        layer += 1
    return norm(x, "ln_final") @ t["unembed.W_U"] + t["unembed.b_U"]


def _check_settings(said: Mapping[str, Any]) -> None:
    for key, right in _ONLY.items():
        if said.get(key, right) != right:
            raise ModelError(
                f"its cfg says {key}={said[key]!r}, and GPT-2 has {right!r}. Study the model with "
                f"interp.wrap."
            )
    scale, d_head = said.get("attn_scale"), said.get("d_head")
    if scale and d_head and scale > 0 and not math.isclose(scale, math.sqrt(d_head), rel_tol=1e-6):
        raise ModelError(
            f"its cfg says attn_scale={scale}, and GPT-2 divides by √d_head = {math.sqrt(d_head)}. "
            f"Study the model with interp.wrap."
        )


def _activation(options: Options, said: Mapping[str, Any]) -> str:
    if options.activation and said.get("act_fn") not in (None, options.activation):
        raise InputError(
            f"activation={options.activation!r} was given, but its cfg says "
            f"act_fn={said['act_fn']!r}. Leave activation out."
        )
    return check_activation(options.activation or said.get("act_fn"), KIND)


def _require_folded(t: Mapping[str, Tensor], layers: int, normalization: Any) -> None:
    """Raise unless the weights are folded: norms without weights look like no norms, but only
    folding centres the weights that read the stream."""
    if normalization == "LNPre":
        return
    if normalization is not None:
        raise ModelError(
            f"its normalisation is {normalization!r}, and without layer-norm weights GPT-2 can "
            f"only stand in for 'LNPre'. Study the model with interp.wrap."
        )
    names = [f"blocks.{layer}.{name}" for layer in range(layers) for name in _READS]
    weights = [t[name] for name in names if name in t] + [t["unembed.W_U"]]
    for weight in weights:
        mean = weight.double().mean(dim=-2).abs().max()  # over d_model
        if mean > _CENTRED * weight.abs().max():
            raise InputError(
                "there are no layer-norm weights, and the weights are not centred as folding "
                "leaves them, so nobody can tell a model without normalisation from one with "
                "norms that have no weights. If its cfg says normalization_type='LNPre', say so: "
                "normalization='LNPre' (--normalization LNPre); if None, use interp.wrap."
            )


def _shapes(
    *,
    layers: int,
    heads: int,
    d_head: int,
    d_model: int,
    d_mlp: int | None,
    d_vocab: int,
    context: int,
    normed: bool,
) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {
        "embed.W_E": (d_vocab, d_model),
        "pos_embed.W_pos": (context, d_model),
        "unembed.W_U": (d_model, d_vocab),
        "unembed.b_U": (d_vocab,),
    }
    norms = ["ln_final"]
    for layer in range(layers):
        at = f"blocks.{layer}"
        norms += [f"{at}.ln1"] + [f"{at}.ln2"] * (d_mlp is not None)
        for name in "QKV":
            shapes[f"{at}.attn.W_{name}"] = (heads, d_model, d_head)
            shapes[f"{at}.attn.b_{name}"] = (heads, d_head)
        shapes |= {f"{at}.attn.W_O": (heads, d_head, d_model), f"{at}.attn.b_O": (d_model,)}
        if d_mlp is not None:
            shapes |= {f"{at}.mlp.W_in": (d_model, d_mlp), f"{at}.mlp.b_in": (d_mlp,)}
            shapes |= {f"{at}.mlp.W_out": (d_mlp, d_model), f"{at}.mlp.b_out": (d_model,)}
    if normed:
        shapes |= {f"{name}.{part}": (d_model,) for name in norms for part in "wb"}
    return shapes


def _gpt2_names(
    t: Mapping[str, Tensor], layers: int, d_model: int, normed: bool, d_mlp: int | None
) -> dict[str, Tensor]:
    ones, zeros = torch.ones(d_model), torch.zeros(d_model)
    named = {
        "transformer.wte.weight": t["embed.W_E"],
        "transformer.wpe.weight": t["pos_embed.W_pos"],
        "lm_head.weight": t["unembed.W_U"].T,
    }
    norms = {"transformer.ln_f": "ln_final"}
    for layer in range(layers):
        to, at = f"transformer.h.{layer}", f"blocks.{layer}"
        norms |= {f"{to}.ln_1": f"{at}.ln1", f"{to}.ln_2": f"{at}.ln2"}
        # [heads, d_model, d_head] → [d_model, heads · d_head], and Q, K, V side by side
        weights = [t[f"{at}.attn.W_{name}"].transpose(0, 1).flatten(1) for name in "QKV"]
        named[f"{to}.attn.c_attn.weight"] = torch.cat(weights, dim=1)
        biases = [t[f"{at}.attn.b_{name}"].flatten() for name in "QKV"]
        named[f"{to}.attn.c_attn.bias"] = torch.cat(biases)
        named[f"{to}.attn.c_proj.weight"] = t[f"{at}.attn.W_O"].flatten(0, 1)
        named[f"{to}.attn.c_proj.bias"] = t[f"{at}.attn.b_O"]
        width = d_mlp or 1
        for part, name, (rows, columns) in (
            ("c_fc", "in", (d_model, width)),
            ("c_proj", "out", (width, d_model)),
        ):
            weight, bias = t.get(f"{at}.mlp.W_{name}"), t.get(f"{at}.mlp.b_{name}")
            named[f"{to}.mlp.{part}.weight"] = (
                torch.zeros(rows, columns) if weight is None else weight
            )
            named[f"{to}.mlp.{part}.bias"] = torch.zeros(columns) if bias is None else bias
    for to, at in norms.items():
        named[f"{to}.weight"], named[f"{to}.bias"] = t.get(f"{at}.w", ones), t.get(f"{at}.b", zeros)
    named["transformer.ln_f.bias"] = named["transformer.ln_f.bias"] + _as_norm_bias(t)
    return named


def _as_norm_bias(t: Mapping[str, Tensor]) -> Tensor:
    """The norm bias β with β W_U = b_U: GPT-2's head has no bias, its last norm has one.

    It exists after folding, which moves the norm's bias through W_U. Raises ModelError if it does
    not exist.
    """
    w_u, b_u = t["unembed.W_U"].double(), t["unembed.b_U"].double()
    if not b_u.any():
        return torch.zeros(w_u.shape[0])
    found = torch.linalg.lstsq(w_u.T, b_u[:, None], driver="gelsd").solution[:, 0]
    left = (found @ w_u - b_u).abs().max() / b_u.abs().max()
    if not left <= _SPANNED:
        raise ModelError(
            f"unembed.b_U lies outside the span of unembed.W_U ({float(left):.1e} of it is left "
            f"over), and GPT-2's head has no bias to hold it. Set b_U to zero and train on, or "
            f"study the model with interp.wrap."
        )
    return found.to(t["unembed.b_U"].dtype)


def _notes(
    t: Mapping[str, Tensor], normed: bool, d_mlp: int | None, activation: str
) -> tuple[str, ...]:
    notes = []
    if d_mlp is None:
        notes.append("there is no MLP: one of a single dead neuron stands in, adding exactly zero")
    else:
        notes.append(f"the neurons compute {activation!r}: no tensor tells")
    if not normed:
        notes.append("layer norms have no weights of their own: ones and zeros stand in")
    if t["unembed.b_U"].any():
        notes.append("the unembedding's bias lies in the bias of the last norm")
    return tuple(notes)

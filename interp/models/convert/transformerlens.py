"""State dicts of TransformerLens 2.x `HookedTransformer`s with learned positions.

They become a GPT-2 where one can hold them, else a toy (`interp.models.toy`): without norms, with
an output vocabulary of another size, heads that do not fill the stream, attention without a causal
mask, or an unembedding bias outside the span of W_U.

Also folded ones: after `fold_ln`, `center_writing_weights` and `fold_value_biases` a state dict has
no layer-norm weights, and possibly an unembedding bias. And those of the public grokking code
(`interp.models.convert.grokking`), which has the same names and other axes.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models.convert import gpt2, grokking, toys
from interp.models.convert.checkpoint import Checkpoint, Shapes
from interp.models.convert.formulas import ACTIVATIONS, attend, check_activation, layer_norm
from interp.models.convert.standard import Options, Standard, agreed

KIND = "a HookedTransformer with learned positions"
LIKE = (
    r"embed\.W_E|pos_embed\.W_pos|unembed\.[Wb]_U|ln_final\.[wb]|blocks\.\d+\."
    r"(ln[12]\.[wb]|attn\.([Wb]_[QKVO]|mask|IGNORE)|mlp\.[Wb]_(in|out))"
)
_BUFFERS = r"blocks\.\d+\.attn\.(mask|IGNORE)"
_READS = ("attn.W_Q", "attn.W_K", "attn.W_V", "mlp.W_in")  # weights that read the normed stream
_CENTRED = 1e-4  # largest mean of a folded weight, as a share of its largest entry
_SPANNED = 1e-5  # largest part of b_U outside the span of W_U, as a share of its largest entry
_ONLY = {  # GPT-2's settings, by the names of HookedTransformerConfig
    "positional_embedding_type": "standard",
    "parallel_attn_mlp": False,
    "use_attn_scale": True,
    "gated_mlp": False,
    "scale_attn_by_inverse_layer_idx": False,
}


def read(checkpoint: Checkpoint, options: Options) -> Standard:
    """A HookedTransformer's state dict in the layout of GPT-2, or of a toy.

    The activation and, without layer-norm weights, the existence of the norms must come from
    `options`, or from a `cfg` saved with the weights as a plain dict. Folded weights are recognised
    by their centred rows and need no setting.

    Raises ModelError for tensors that are missing, extra or of another shape, and for features that
    neither has (rotary positions, gated neurons, parallel blocks); InputError for a missing
    setting.
    """
    checkpoint = checkpoint.unwrapped("embed.W_E")
    t, said = checkpoint.tensors, checkpoint.settings
    d_vocab, d_model = checkpoint.shape("embed.W_E", KIND, LIKE)
    context = checkpoint.shape("pos_embed.W_pos", KIND, LIKE)[0]
    n_heads, _, d_head = checkpoint.shape("blocks.0.attn.W_Q", KIND, LIKE)
    if len(checkpoint.shape("blocks.0.attn.W_O", KIND, LIKE)) == 2:
        return grokking.read(checkpoint, options)
    _check_settings(said)
    d_out = checkpoint.shape("unembed.W_U", KIND, LIKE)[1]
    heads = agreed("heads", options.heads, n_heads)
    layers = 1 + max(int(m[1]) for name in t if (m := re.match(r"blocks\.(\d+)\.", name)))
    neurons = t.get("blocks.0.mlp.W_in")
    normed = "ln_final.w" in t
    sizes = {"layers": layers, "d_model": d_model, "d_vocab": d_vocab, "context": context}
    d_mlp = None if neurons is None else int(neurons.shape[1])
    wanted = _shapes(heads=heads, d_head=d_head, d_mlp=d_mlp, normed=normed, d_out=d_out, **sizes)
    checkpoint.require(wanted, KIND, _BUFFERS)
    if options.attention_rate not in (None, 1):
        raise InputError("attention_rate belongs to the grokking code's layout. Leave it out.")
    causal = _causal(options, said)
    normalized = normed or _normalized(t, layers, options.normalization, said)
    activation = "gelu" if d_mlp is None else _activation(options, said)
    eps = float(said.get("eps") or 1e-5)
    source = checkpoint.double()

    def of_source(tokens: Tensor) -> Tensor:
        return forward(source, tokens, activation, eps, normalized=normalized, causal=causal)

    fills = heads * d_head == d_model and d_out == d_vocab
    if not (fills and normalized and causal and _spans(t)):
        config = toys.config(
            t, activation=activation, eps=eps, causal=causal, normalized=normalized
        )
        notes = _notes(t, normed or not normalized, d_mlp, activation, toy=True)
        return Standard(config, toys.filled(t, config), of_source, notes)
    named = _gpt2_names(t, layers, d_model, normed, d_mlp)
    tied = torch.equal(named["lm_head.weight"], named["transformer.wte.weight"])
    if tied:
        del named["lm_head.weight"]
    config = gpt2.config(
        heads=heads, d_mlp=d_mlp or 1, activation=activation, eps=eps, tied=tied, **sizes
    )
    return Standard(config, named, of_source, _notes(t, normed, d_mlp, activation))


def forward(
    t: Mapping[str, Tensor],
    tokens: Tensor,
    activation: str,
    eps: float,
    *,
    normalized: bool = True,
    causal: bool = True,
) -> Tensor:
    """HookedTransformer's own formula over its own tensors, [n, P] → [n, P, d_vocab_out]."""

    def norm(x: Tensor, name: str) -> Tensor:
        if not normalized:
            return x
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
        out = torch.einsum("nphe,hed->npd", attend(q, k, v, causal=causal), t[f"{at}.attn.W_O"])
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


def _causal(options: Options, said: Mapping[str, Any]) -> bool:
    """Whether attention is causal: as the cfg says, else as the user says, else yes."""
    direction = said.get("attention_dir")
    if direction not in (None, "causal", "bidirectional"):
        raise ModelError(f"its cfg says attention_dir={direction!r}. Wrap the model: interp.wrap.")
    saved = None if direction is None else direction == "causal"
    if options.causal is not None and saved is not None and options.causal != saved:
        raise InputError(
            f"causal={options.causal} was given, but its cfg says attention_dir={direction!r}. "
            f"Leave causal out."
        )
    known = options.causal if saved is None else saved
    return True if known is None else known


def _normalized(
    t: Mapping[str, Tensor], layers: int, given: str | None, said: Mapping[str, Any]
) -> bool:
    """Whether a model without layer-norm weights normalises (LNPre, or folded weights). Norms
    without weights look like no norms, but only folding centres the weights that read the
    stream."""
    known = given
    if known is None and "normalization_type" in said:
        known = said["normalization_type"] or "none"
    if known in ("LNPre", "none"):
        return known == "LNPre"
    if known is not None:
        raise ModelError(
            f"its normalisation is {known!r}, and without layer-norm weights it can only be "
            f"'LNPre' or 'none'. Study the model with interp.wrap."
        )
    names = [f"blocks.{layer}.{name}" for layer in range(layers) for name in _READS]
    weights = [t[name] for name in names if name in t] + [t["unembed.W_U"]]
    for weight in weights:
        mean = weight.double().mean(dim=-2).abs().max()  # over d_model
        if mean > _CENTRED * weight.abs().max():
            raise InputError(
                "there are no layer-norm weights, and the weights are not centred as folding "
                "leaves them, so nobody can tell a model without normalisation from one with "
                "norms that have no weights. Say what its cfg says as normalization_type: "
                "normalization='LNPre' (--normalization LNPre), or 'none' for None."
            )
    return True


def _shapes(
    *,
    layers: int,
    heads: int,
    d_head: int,
    d_model: int,
    d_mlp: int | None,
    d_vocab: int,
    d_out: int,
    context: int,
    normed: bool,
) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {
        "embed.W_E": (d_vocab, d_model),
        "pos_embed.W_pos": (context, d_model),
        "unembed.W_U": (d_model, d_out),
        "unembed.b_U": (d_out,),
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


def _spans(t: Mapping[str, Tensor]) -> bool:
    """Whether b_U lies in the span of W_U, as after folding, which moves the norm's bias there."""
    w_u, b_u = t["unembed.W_U"].double(), t["unembed.b_U"].double()
    if not b_u.any():
        return True
    left = (_as_norm_bias(t).double() @ w_u - b_u).abs().max() / b_u.abs().max()
    return bool(left <= _SPANNED)


def _as_norm_bias(t: Mapping[str, Tensor]) -> Tensor:
    """The norm bias β with β W_U = b_U: GPT-2's head has no bias, its last norm has one."""
    w_u, b_u = t["unembed.W_U"].double(), t["unembed.b_U"].double()
    if not b_u.any():
        return torch.zeros(w_u.shape[0])
    found = torch.linalg.lstsq(w_u.T, b_u[:, None], driver="gelsd").solution[:, 0]
    return found.to(t["unembed.b_U"].dtype)


def _notes(
    t: Mapping[str, Tensor], normed: bool, d_mlp: int | None, activation: str, toy: bool = False
) -> tuple[str, ...]:
    notes = [toys.NOTE] if toy else []
    if d_mlp is None and not toy:
        notes.append("there is no MLP: one of a single dead neuron stands in, adding exactly zero")
    elif d_mlp is not None:
        notes.append(f"the neurons compute {activation!r}: no tensor tells")
    if not normed:
        notes.append("layer norms have no weights of their own: ones and zeros stand in")
    if t["unembed.b_U"].any() and not toy:
        notes.append("the unembedding's bias lies in the bias of the last norm")
    return tuple(notes)

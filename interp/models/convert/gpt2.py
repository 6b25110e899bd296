"""GPT-2 in the layout of transformers: configuration, tensors and forward."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from interp.errors import InputError
from interp.models.convert.checkpoint import Shapes
from interp.models.convert.formulas import ACTIVATIONS, attend, check_activation, layer_norm
from interp.models.convert.standard import Options, agreed, only_keys, size_of

KEYS = ("n_head", "activation_function", "layer_norm_epsilon")
_HEAD = "lm_head.weight"


def configure(tensors: Mapping[str, Tensor], given: Mapping[str, Any], options: Options) -> Any:
    """The configuration of these tensors: sizes from their shapes, the rest from the settings.

    Raises InputError for an unknown setting, and for missing heads or activation; ModelError if a
    tensor that determines a size is missing.
    """
    only_keys(given, KEYS, "gpt2")
    d_vocab, d_model = size_of(tensors, "transformer.wte.weight", "gpt2")
    names = (re.match(r"transformer\.h\.(\d+)\.", name) for name in tensors)
    return config(
        heads=agreed("heads", options.heads, given.get("n_head")),
        layers=1 + max((int(match[1]) for match in names if match), default=0),
        d_model=d_model,
        d_mlp=size_of(tensors, "transformer.h.0.mlp.c_fc.weight", "gpt2")[1],
        d_vocab=d_vocab,
        context=size_of(tensors, "transformer.wpe.weight", "gpt2")[0],
        activation=check_activation(
            options.activation or given.get("activation_function"), "the mapping's config"
        ),
        eps=float(given.get("layer_norm_epsilon", 1e-5)),
        tied=_HEAD not in tensors,
    )


def config(
    *,
    heads: int,
    layers: int,
    d_model: int,
    d_mlp: int,
    d_vocab: int,
    context: int,
    activation: str,
    eps: float = 1e-5,
    tied: bool,
) -> Any:
    """A GPT2Config of these sizes. Raises InputError where the heads do not divide d_model."""
    from transformers import GPT2Config

    if heads < 1 or d_model % heads:
        raise InputError(
            f"{heads} heads do not divide the model's width {d_model}. Give the right number: "
            f"heads=… (--heads)."
        )
    return GPT2Config(
        n_layer=layers,
        n_head=heads,
        n_embd=d_model,
        n_inner=d_mlp,
        vocab_size=d_vocab,
        n_positions=context,
        activation_function=activation,
        layer_norm_epsilon=eps,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        dtype="float32",
        architectures=["GPT2LMHeadModel"],
    )


def shapes(config: Any) -> Shapes:
    """Tensor shapes of a GPT-2 folder of this configuration; linear weights are [in, out]."""
    d, m = config.n_embd, config.n_inner
    linear = {
        "attn.c_attn": (d, 3 * d),
        "attn.c_proj": (d, d),
        "mlp.c_fc": (d, m),
        "mlp.c_proj": (m, d),
    }
    out: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (config.vocab_size, d),
        "transformer.wpe.weight": (config.n_positions, d),
    }
    norms = ["transformer.ln_f"]
    for layer in range(config.n_layer):
        at = f"transformer.h.{layer}"
        norms += [f"{at}.ln_1", f"{at}.ln_2"]
        for name, shape in linear.items():
            out |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[1:]}
    out |= {f"{norm}.{part}": (d,) for norm in norms for part in ("weight", "bias")}
    return out if config.tie_word_embeddings else out | {_HEAD: (config.vocab_size, d)}


def forward(t: Mapping[str, Tensor], tokens: Tensor, config: Any) -> Tensor:
    """GPT-2's formula over tensors by their standard names, [n, P] → [n, P, d_vocab]."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ t[f"{name}.weight"] + t[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, t[f"{name}.weight"], t[f"{name}.bias"], config.layer_norm_epsilon)

    neurons = ACTIVATIONS[config.activation_function]
    x = t["transformer.wte.weight"][tokens] + t["transformer.wpe.weight"][: tokens.shape[1]]
    for layer in range(config.n_layer):
        at = f"transformer.h.{layer}"
        joined = linear(norm(x, f"{at}.ln_1"), f"{at}.attn.c_attn")
        q, k, v = (part.unflatten(-1, (config.n_head, -1)) for part in joined.chunk(3, dim=-1))
        x = x + linear(attend(q, k, v).flatten(-2), f"{at}.attn.c_proj")
        hidden = neurons(linear(norm(x, f"{at}.ln_2"), f"{at}.mlp.c_fc"))
        x = x + linear(hidden, f"{at}.mlp.c_proj")
    return norm(x, "transformer.ln_f") @ t.get(_HEAD, t["transformer.wte.weight"]).T

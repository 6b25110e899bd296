"""Llama in the layout of transformers: configuration, tensors and forward."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from interp.errors import InputError
from interp.models.convert.checkpoint import Shapes
from interp.models.convert.formulas import ACTIVATIONS, attend, check_activation, rms_norm, rotate
from interp.models.convert.standard import Options, agreed, only_keys, size_of

_NEEDED = ("max_position_embeddings", "rms_norm_eps", "rope_theta")
KEYS = (*_NEEDED, "num_attention_heads", "hidden_act")
_HEAD = "lm_head.weight"


def configure(tensors: Mapping[str, Tensor], given: Mapping[str, Any], options: Options) -> Any:
    """The configuration of these tensors: sizes from their shapes, the rest from the settings.

    Raises InputError for an unknown setting, for a missing one that no shape determines, and for
    heads that do not divide the projections; ModelError if a tensor that determines a size is
    missing.
    """
    from transformers import LlamaConfig

    only_keys(given, KEYS, "llama")
    if missing := [key for key in _NEEDED if key not in given]:
        raise InputError(
            f"the mapping's config lacks {', '.join(missing)}, which no tensor of a Llama tells. "
            f"Add what the model was trained with."
        )
    d_vocab, d_model = size_of(tensors, "model.embed_tokens.weight", "llama")
    queries = size_of(tensors, "model.layers.0.self_attn.q_proj.weight", "llama")[0]
    keys = size_of(tensors, "model.layers.0.self_attn.k_proj.weight", "llama")[0]
    heads = agreed("heads", options.heads, given.get("num_attention_heads"))
    if heads < 1 or queries % heads or keys % (queries // heads):
        raise InputError(
            f"{heads} heads do not divide queries of width {queries} and keys of width {keys}. "
            f"Give the right number: heads=… (--heads)."
        )
    names = (re.match(r"model\.layers\.(\d+)\.", name) for name in tensors)
    activation = options.activation or given.get("hidden_act")
    return LlamaConfig(
        num_hidden_layers=1 + max((int(match[1]) for match in names if match), default=0),
        num_attention_heads=heads,
        num_key_value_heads=keys // (queries // heads),
        head_dim=queries // heads,
        hidden_size=d_model,
        intermediate_size=size_of(tensors, "model.layers.0.mlp.up_proj.weight", "llama")[0],
        vocab_size=d_vocab,
        max_position_embeddings=int(given["max_position_embeddings"]),
        rms_norm_eps=float(given["rms_norm_eps"]),
        rope_parameters={"rope_type": "default", "rope_theta": float(given["rope_theta"])},
        hidden_act=check_activation(activation, "the mapping's config"),
        tie_word_embeddings=_HEAD not in tensors,
        bos_token_id=None,
        eos_token_id=None,
        dtype="float32",
        architectures=["LlamaForCausalLM"],
    )


def shapes(config: Any) -> Shapes:
    """Tensor shapes of a Llama folder of this configuration; weights are [out, in]."""
    d, m = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    out: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, d)}
    for layer in range(config.num_hidden_layers):
        at = f"model.layers.{layer}"
        out |= {
            f"{at}.self_attn.q_proj.weight": (queries, d),
            f"{at}.self_attn.k_proj.weight": (keys, d),
            f"{at}.self_attn.v_proj.weight": (keys, d),
            f"{at}.self_attn.o_proj.weight": (d, queries),
            f"{at}.mlp.gate_proj.weight": (m, d),
            f"{at}.mlp.up_proj.weight": (m, d),
            f"{at}.mlp.down_proj.weight": (d, m),
            f"{at}.input_layernorm.weight": (d,),
            f"{at}.post_attention_layernorm.weight": (d,),
        }
    out["model.norm.weight"] = (d,)
    return out if config.tie_word_embeddings else out | {_HEAD: (config.vocab_size, d)}


def forward(t: Mapping[str, Tensor], tokens: Tensor, config: Any) -> Tensor:
    """Llama's formula over tensors by their standard names, [n, P] → [n, P, d_vocab]."""
    eps, theta = config.rms_norm_eps, config.rope_parameters["rope_theta"]
    neurons = ACTIVATIONS[config.hidden_act]
    shared = config.num_attention_heads // config.num_key_value_heads
    x = t["model.embed_tokens.weight"][tokens]
    for layer in range(config.num_hidden_layers):
        at = f"model.layers.{layer}"
        stream = rms_norm(x, t[f"{at}.input_layernorm.weight"], eps)
        q, k, v = (
            (stream @ t[f"{at}.self_attn.{name}_proj.weight"].T).unflatten(
                -1, (-1, config.head_dim)
            )
            for name in "qkv"
        )
        k, v = (part.repeat_interleave(shared, dim=2) for part in (rotate(k, theta), v))
        z = attend(rotate(q, theta), k, v).flatten(-2)
        x = x + z @ t[f"{at}.self_attn.o_proj.weight"].T
        stream = rms_norm(x, t[f"{at}.post_attention_layernorm.weight"], eps)
        gate, up = (stream @ t[f"{at}.mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        x = x + (neurons(gate) * up) @ t[f"{at}.mlp.down_proj.weight"].T
    normed = rms_norm(x, t["model.norm.weight"], eps)
    return normed @ t.get(_HEAD, t["model.embed_tokens.weight"]).T

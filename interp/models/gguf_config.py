"""The transformers config of a GGUF file, from its own keys.

transformers' reader takes about ten keys of an architecture, leaves the rest at its classes'
defaults and says nothing. Here each key under the architecture's prefix is read, stands on a list
of harmless ones with a reason (`gguf_keys.HARMLESS`), or is refused by name. What a file leaves out
has llama.cpp's default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from interp.models.gguf_file import GgufFile
from interp.models.gguf_keys import Keys
from interp.models.gguf_rope import rope_parameters

_IDS = {
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
    "pad_token_id": "tokenizer.ggml.padding_token_id",
}
_LLAMA_BIASES = {
    "attention_bias": ("attn_q", "attn_k", "attn_v", "attn_output"),
    "mlp_bias": ("ffn_gate", "ffn_up", "ffn_down"),
}
_LOCAL_BASE = 10000.0  # of Gemma 3's sliding layers


def config_of(file: GgufFile) -> tuple[Any, frozenset[str]]:
    """The config, and the tensors that became part of it.

    Raises ModelError for an architecture that is not read, and for a key that would not be used.
    """
    from transformers import AutoConfig

    if file.values.get("general.type", "model") != "model":
        raise file.refused(f"holds {file.values['general.type']!r}, not a model")
    if file.architecture not in ARCHITECTURES:
        raise file.refused(
            f"is of the architecture {file.architecture!r}; those read here are "
            f"{', '.join(ARCHITECTURES)}",
            "Give the model's Hugging Face folder instead.",
        )
    model_type, read = ARCHITECTURES[file.architecture]
    keys = Keys(file)
    # None, not the class's default, where the file names no such token.
    fields = read(keys, file) | {name: file.values.get(key) for name, key in _IDS.items()}
    keys.finish()
    try:
        config = AutoConfig.for_model(model_type, **fields)
    except (ValueError, KeyError, TypeError) as error:
        raise file.refused(f"has sizes that {model_type} can't have ({error})") from error
    return config, frozenset(keys.used)


def _shared(keys: Keys, file: GgufFile) -> dict[str, Any]:
    """Sizes that every architecture states."""
    embedding = "token_embd.weight"
    if embedding not in keys.tensors:
        raise keys.refused(f"lacks the tensor {embedding!r}")
    words = file.shape(embedding)[0]
    keys.only("vocab_size", words)
    return {
        "vocab_size": words,
        "max_position_embeddings": keys.whole("context_length"),
        "num_hidden_layers": keys.whole("block_count"),
        "hidden_size": keys.whole("embedding_length"),
        "num_attention_heads": keys.whole("attention.head_count"),
        "tie_word_embeddings": "output.weight" not in keys.tensors,
    }


def _decoder(keys: Keys, file: GgufFile) -> dict[str, Any]:
    """A decoder with rotary positions and RMS norms: Llama, Qwen2, Qwen3, Phi-3, Gemma."""
    fields = _shared(keys, file)
    heads, width = fields["num_attention_heads"], fields["hidden_size"]
    head_dim = keys.whole("attention.key_length", width // heads)
    keys.only("attention.value_length", head_dim)
    keys.only("rope.dimension_count", head_dim)
    return fields | {
        "intermediate_size": keys.whole("feed_forward_length"),
        "num_key_value_heads": keys.whole("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "rms_norm_eps": float(keys.need("attention.layer_norm_rms_epsilon")),
    }


def _rotary(keys: Keys, fields: dict[str, Any]) -> dict[str, Any]:
    context = fields["max_position_embeddings"]
    return fields | {"rope_parameters": rope_parameters(keys, fields["head_dim"], context)}


def _plain_scale(keys: Keys, head_dim: int) -> None:
    """Scores divided by √head_dim: any other scale is refused."""
    scale = float(keys.take("attention.scale", 0.0))
    if scale and abs(scale - head_dim**-0.5) > 1e-6:
        raise keys.refused(f"scales its attention scores by {scale}, which would not be computed")


def _llama(keys: Keys, file: GgufFile) -> dict[str, Any]:
    fields = _rotary(keys, _decoder(keys, file))
    _plain_scale(keys, fields["head_dim"])
    if keys.take("tensor_data_layout", "Meta AI original pth") != "Meta AI original pth":
        raise keys.refused("orders the rows of q and k in an unknown way (tensor_data_layout)")
    for name, parts in _LLAMA_BIASES.items():
        fields[name] = all(f"blk.0.{part}.bias" in keys.tensors for part in parts)
    return fields


def _qwen(keys: Keys, file: GgufFile) -> dict[str, Any]:
    fields = _rotary(keys, _decoder(keys, file))
    _plain_scale(keys, fields["head_dim"])
    return fields | {"use_sliding_window": False}


def _qwen2(keys: Keys, file: GgufFile) -> dict[str, Any]:
    fields = _qwen(keys, file)
    if fields["head_dim"] * fields["num_attention_heads"] != fields["hidden_size"]:
        raise keys.refused("has heads of another width than Qwen2's (attention.key_length)")
    return {name: value for name, value in fields.items() if name != "head_dim"}


def _phi3(keys: Keys, file: GgufFile) -> dict[str, Any]:
    fields = _rotary(keys, _decoder(keys, file))
    rope = fields["rope_parameters"]
    fields["original_max_position_embeddings"] = rope.get(
        "original_max_position_embeddings", fields["max_position_embeddings"]
    )
    _plain_scale(keys, fields["head_dim"])
    return fields | {"sliding_window": keys.take("attention.sliding_window", 0) or None}


def _gemma(keys: Keys, file: GgufFile) -> dict[str, Any]:
    """Gemma 2 and 3: scores scaled by 1/√head_dim, by 1/√(d_model / heads) in the 27B models."""
    fields = _decoder(keys, file)
    large = {"gemma2": 46, "gemma3": 62}[file.architecture]
    heads, width, head_dim = (fields[n] for n in ("num_attention_heads", "hidden_size", "head_dim"))
    divisor = width // heads if fields["num_hidden_layers"] == large else head_dim
    if scale := float(keys.take("attention.scale", 0.0)):
        divisor = round(scale**-2)
    return fields | {
        "query_pre_attn_scalar": divisor,
        "sliding_window": keys.whole("attention.sliding_window"),
        "attn_logit_softcapping": keys.take("attn_logit_softcapping", 0.0) or None,
        "final_logit_softcapping": keys.take("final_logit_softcapping", 0.0) or None,
    }


def _gemma2(keys: Keys, file: GgufFile) -> dict[str, Any]:
    fields = _rotary(keys, _gemma(keys, file))
    fields["attn_logit_softcapping"] = fields["attn_logit_softcapping"] or 50.0
    fields["final_logit_softcapping"] = fields["final_logit_softcapping"] or 30.0
    keys.only("attention.sliding_window_pattern", 2)
    return fields


def _gemma3(keys: Keys, file: GgufFile) -> dict[str, Any]:
    """Every sixth layer attends to everything, with the file's base and scaling."""
    fields = _gemma(keys, file)
    keys.only("attention.sliding_window_pattern", 6)
    keys.only("rope.dimension_count_swa", fields["head_dim"])
    for name in ("key", "value"):
        keys.only(f"attention.{name}_length_swa", fields["head_dim"])
    local = float(keys.take("rope.freq_base_swa", _LOCAL_BASE))
    full = rope_parameters(keys, fields["head_dim"], fields["max_position_embeddings"])
    sliding = {"rope_type": "default", "rope_theta": local}
    return fields | {
        "rope_parameters": {"full_attention": full, "sliding_attention": sliding},
    }


def _gpt2(keys: Keys, file: GgufFile) -> dict[str, Any]:
    fields = _shared(keys, file)
    keys.only("attention.head_count_kv", fields["num_attention_heads"])
    return fields | {
        "n_inner": keys.whole("feed_forward_length"),
        "layer_norm_epsilon": float(keys.need("attention.layer_norm_epsilon")),
    }


# architecture → transformers' model type, and the reader of its keys
ARCHITECTURES: dict[str, tuple[str, Callable[[Keys, GgufFile], dict[str, Any]]]] = {
    "gpt2": ("gpt2", _gpt2),
    "llama": ("llama", _llama),
    "qwen2": ("qwen2", _qwen2),
    "qwen3": ("qwen3", _qwen),
    "gemma2": ("gemma2", _gemma2),
    "gemma3": ("gemma3_text", _gemma3),
    "phi3": ("phi3", _phi3),
}

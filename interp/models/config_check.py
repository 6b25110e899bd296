"""Settings of a config.json that would change the computation and that its class ignores.

Unknown metadata passes. A setting of the list below is refused if the architecture's source
never names it and its value is not the one that changes nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interp.errors import ModelError

# Settings that change nothing where they are None, or have the value beside them.
_SCALES = (
    "embedding_multiplier logit_scale logits_scaling residual_multiplier scale_emb "
    "partial_rotary_factor rotary_pct"
)
_SWITCHES = (
    "alibi attention_bias lm_head_bias mlp_bias multi_query parallel_attn qk_layernorm qk_norm "
    "qkv_bias rope_interleaved use_mrope use_parallel_residual use_qk_norm use_qkv_bias "
    "attention_chunk_size attn_logit_softcapping final_logit_softcapping n_routed_experts "
    "no_rope_layer_interval num_experts num_local_experts rotary_dim sliding_window"
)
_SIZES = (
    "attention_multiplier clip_qkv dim_model_base query_pre_attn_scalar scale_depth "
    "softmax_scale head_dim layer_types num_key_value_heads rope_theta"
)
COMPUTING: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(_SCALES.split(), (1,)),
    **dict.fromkeys(_SWITCHES.split(), (0,)),  # False too
    **dict.fromkeys(_SIZES.split(), ()),
    **dict.fromkeys(("no_rope_layers", "rope_parameters", "rope_scaling"), ({}, [])),
}
_ROPE_SETTINGS = ("rope_scaling", "rope_parameters", "rope_theta")
_ROPE_SHARED = {
    *("rope_type", "type", "rope_theta", "partial_rotary_factor"),
    *("mrope_section", "mrope_interleaved"),  # of pictures: equal positions in text
}
_ORIGINAL = "original_max_position_embeddings"
ROPE_KEYS: dict[str, set[str]] = {
    "default": set(),
    "linear": {"factor", _ORIGINAL},
    "dynamic": {"factor"},
    "yarn": {
        *("factor", _ORIGINAL, "attention_factor", "beta_fast", "beta_slow"),
        *("mscale", "mscale_all_dim", "truncate"),
    },
    "longrope": {"factor", _ORIGINAL, "attention_factor", "short_factor", "long_factor"},
    "llama3": {"factor", _ORIGINAL, "low_freq_factor", "high_freq_factor"},
    "proportional": {"factor"},
}
_OLD_NAMES = {"su": "longrope"}  # of Phi-3


def check_config(name: str, config: Mapping[str, Any]) -> None:
    """Raise ModelError for a setting that would change the model and would not be used."""
    if config.get("quantization_config"):
        raise ModelError(
            f"{name} holds quantised weights (quantization_config), whose scales would not be used "
            f"here. Dequantise the model and save it in float32 or bfloat16."
        )
    source, rotary = _source(str(config.get("model_type")))
    for setting, neutral in COMPUTING.items():
        value = config.get(setting)
        if value is None or value in neutral or _changes_nothing(setting, value, config):
            continue
        used = rotary if setting in _ROPE_SETTINGS else _names(source, setting)
        if not used:
            raise _refused(name, config, f"{setting} = {value!r}")
    if rotary:
        _check_rope(name, config, source)


def _names(source: str, setting: str) -> bool:
    return re.search(rf"\b{setting}\b", source) is not None


def _changes_nothing(setting: str, value: Any, config: Mapping[str, Any]) -> bool:
    """True for a value that repeats what the other settings say."""
    heads = config.get("num_attention_heads", config.get("n_head"))
    width = config.get("hidden_size", config.get("n_embd"))
    if setting == "num_key_value_heads":
        return bool(value == heads)
    if setting == "head_dim":
        return bool(heads and width and value * heads == width)
    if setting == "layer_types":
        return set(value) == {"full_attention"}
    return setting == "sliding_window" and config.get("use_sliding_window") is False


def _source(model_type: str) -> tuple[str, bool]:
    """Source of an architecture's config and model, and whether it has rotary parameters."""
    from transformers import AutoConfig

    try:
        made = AutoConfig.for_model(model_type)
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"transformers knows no {model_type!r} model. Convert it to a standard architecture."
        ) from error
    file = Path(inspect.getfile(type(made)))
    texts = [file.read_text(encoding="utf-8")]
    model = file.with_name(file.name.replace("configuration_", "modeling_"))
    if model.is_file():
        texts.append(model.read_text(encoding="utf-8"))
    return "\n".join(texts), hasattr(made, "rope_parameters")


def _check_rope(name: str, config: Mapping[str, Any], source: str) -> None:
    old, new = config.get("rope_scaling") or {}, config.get("rope_parameters") or {}
    if old and new and old != new:
        raise _refused(name, config, "rope_scaling and rope_parameters, and they differ")
    given = old or new
    if not isinstance(given, Mapping):
        raise _refused(name, config, f"rope_scaling = {given!r}")
    nested = [part for part in given.values() if isinstance(part, Mapping)]
    for rope in nested or [given]:
        if rope:
            _check_one_rope(name, config, rope, source)


def _check_one_rope(
    name: str, config: Mapping[str, Any], rope: Mapping[str, Any], source: str
) -> None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    kind = _OLD_NAMES.get(str(kind), str(kind))
    if kind not in ROPE_KEYS:
        raise _refused(name, config, f"rope_type = {kind!r}")
    if rope.get("type", kind) not in (kind, rope.get("rope_type", kind), *_OLD_NAMES):
        raise _refused(name, config, f"rope_type = {kind!r} and type = {rope['type']!r}")
    for key, value in rope.items():
        if (
            key in _ROPE_SHARED | ROPE_KEYS[kind]
            or value is None
            or (key == "factor" and value == 1)
        ):
            continue
        raise _refused(name, config, f"{key} = {value!r} in its {kind} rotary scaling")
    for key in ("rope_theta", _ORIGINAL):
        if config.get(key) is not None and rope.get(key, config[key]) != config[key]:
            raise _refused(name, config, f"two values of {key}, {config[key]} and {rope[key]}")
    partial = rope.get("partial_rotary_factor")
    if partial not in (None, 1, 1.0) and not _names(source, "partial_rotary_factor"):
        raise _refused(name, config, f"partial_rotary_factor = {partial}")


def _refused(name: str, config: Mapping[str, Any], what: str) -> ModelError:
    return ModelError(
        f"{name} has {what} in its config.json, which transformers does not compute in a "
        f"{config.get('model_type')!r} model. Remove it if the model was trained without it; "
        f"otherwise save the model in an architecture that has it, or wrap the module."
    )

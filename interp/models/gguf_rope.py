"""Rotary scaling of a GGUF file, as transformers' `rope_parameters`.

With base θ, head width d and pair i of 0 … d/2 − 1, llama.cpp rotates position p by

    p · θ^(−2i/d) / (s · f_i),      cosines and sines times m

s: `rope.scaling.factor`; f: the tensor `rope_freqs.weight` (Llama 3's scaling is stored as such a
tensor alone), or `rope_factors_short` / `rope_factors_long`; m: `rope.scaling.attn_factor`. YaRN
mixes s per frequency (2309.00071) and multiplies m by 1 + 0.1 ln s. transformers' reader ignores
all of these. Its "longrope" with equal short and long factors is exactly f, so each of them is a
config that its own rotary computes, and that survives saving.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from interp.models.gguf_keys import Keys

FREQS = "rope_freqs.weight"
SHORT, LONG = "rope_factors_short.weight", "rope_factors_long.weight"
_YARN_ONLY: dict[str, tuple[float, ...]] = {
    "yarn_ext_factor": (1.0, -1.0),
    "yarn_attn_factor": (1.0,),
    "yarn_log_multiplier": (0.0,),
}
_BASE = 10000.0  # llama.cpp's default


def rope_parameters(keys: Keys, head_dim: int, context: int) -> dict[str, Any]:
    """The `rope_parameters` that compute the file's rotation.

    Raises ModelError for a scaling that transformers' rotary can't express.
    """
    found = _scaling(keys, head_dim, context)
    return {"rope_theta": float(keys.take("rope.freq_base", _BASE)), **found}


def _scaling(keys: Keys, head_dim: int, context: int) -> dict[str, Any]:
    kind = keys.take("rope.scaling.type", "linear")  # llama.cpp's default
    scale = float(keys.take("rope.scaling.factor", 0.0) or keys.take("rope.scale_linear", 0.0) or 1)
    keys.take("rope.scale_linear", 0.0)
    attention = float(keys.take("rope.scaling.attn_factor", 1.0))
    original = int(keys.take("rope.scaling.original_context_length", 0) or context)
    fast = float(keys.take("rope.scaling.yarn_beta_fast", 32))
    slow = float(keys.take("rope.scaling.yarn_beta_slow", 1))
    for name, allowed in _YARN_ONLY.items():
        keys.only(f"rope.scaling.{name}", *allowed)
    if not (0 < scale < math.inf and 0 < attention < math.inf and min(fast, slow) > 0):
        raise keys.refused("has a rotary scaling that is not positive (rope.scaling.*)")
    if SHORT in keys.tensors or LONG in keys.tensors:
        return _by_length(keys, str(kind), head_dim, original, scale, attention)
    if kind == "yarn":
        return _yarn(keys, scale, attention, original, (fast, slow))
    if kind not in ("none", "linear"):
        raise keys.refused(f"has rope.scaling.type = {kind!r}, which is not computed here")
    scale = 1.0 if kind == "none" else scale
    if _per_file(keys) or attention != 1.0:
        factors = np.full(head_dim // 2, scale)
        if _per_file(keys):
            factors = factors * keys.factors(FREQS, head_dim // 2)
        return _per_frequency(factors, factors, context, attention)
    return {"rope_type": "default"} if scale == 1.0 else {"rope_type": "linear", "factor": scale}


def _per_file(keys: Keys) -> bool:
    """True where llama.cpp divides by `rope_freqs.weight`: in other architectures it has no place,
    and is refused as such."""
    return FREQS in keys.tensors and keys.architecture == "llama"


def _yarn(
    keys: Keys, scale: float, attention: float, original: int, betas: tuple[float, float]
) -> dict[str, Any]:
    if _per_file(keys):
        raise keys.refused(f"has {FREQS!r} beside YaRN scaling, which is not computed here")
    return {
        "rope_type": "yarn",
        "factor": scale,
        "original_max_position_embeddings": original,
        "beta_fast": betas[0],
        "beta_slow": betas[1],
        "attention_factor": attention * (0.1 * math.log(max(scale, 1.0)) + 1.0),
    }


def _by_length(
    keys: Keys, kind: str, head_dim: int, original: int, scale: float, attention: float
) -> dict[str, Any]:
    """Phi-3's two sets of factors: one for short contexts, one beyond `original` tokens."""
    if kind not in ("linear", "longrope") or _per_file(keys):
        raise keys.refused(f"has {SHORT!r} beside another rotary scaling, which is not computed")
    short, long = (keys.factors(name, head_dim // 2) * scale for name in (SHORT, LONG))
    return _per_frequency(short, long, original, attention)


def _per_frequency(short: Any, long: Any, original: int, attention: float) -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "short_factor": [float(x) for x in short],
        "long_factor": [float(x) for x in long],
        "original_max_position_embeddings": original,
        "attention_factor": attention,
        "factor": 1.0,
    }

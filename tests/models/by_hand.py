"""A tiny Llama whose weights and rotary frequencies the tests set by hand, and its GGUF file.

The frequencies come from slow loops over the published formulas, not from any library's config: a
reader that drops a scaling can't agree with them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

WIDTH, DEEP, HEADS, KV_HEADS, HEAD, INNER, CONTEXT = 32, 2, 4, 2, 8, 48, 64
BASE = 10000.0
LETTERS = [*"0123456789+=", "12", "<eos>"]
NAMES = {
    "token_embd": "model.embed_tokens",
    "output": "lm_head",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
KEYS: dict[str, Any] = {
    "block_count": DEEP,
    "context_length": CONTEXT,
    "embedding_length": WIDTH,
    "feed_forward_length": INNER,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": BASE,
    "rope.dimension_count": HEAD,
    "vocab_size": len(LETTERS),
}


def module(frequencies: Iterable[float] | None = None, scale: float = 1.0, seed: int = 0) -> Any:
    """The model, with these rotary frequencies (None: θ^(−2i/d)) and cosines times `scale`."""
    config = LlamaConfig(
        vocab_size=len(LETTERS), hidden_size=WIDTH, intermediate_size=INNER,
        num_hidden_layers=DEEP, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        max_position_embeddings=CONTEXT, rms_norm_eps=1e-5, attn_implementation="eager",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = LlamaForCausalLM(config).eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn_like(parameter) * (0.5 if parameter.ndim > 1 else 1.0))
    rotary = made.model.rotary_emb
    rotary.inv_freq.copy_(torch.tensor(list(frequencies or plain())))
    rotary.attention_scaling = scale
    return made


def plain() -> list[float]:
    return [BASE ** (-2 * i / HEAD) for i in range(HEAD // 2)]


def linear(factor: float) -> list[float]:
    return [f / factor for f in plain()]


def yarn(factor: float, original: int, fast: float = 32, slow: float = 1) -> list[float]:
    """Equation 23 of 2309.00071: pairs that turn more than `fast` times in the original context
    keep their frequency, those that turn less than `slow` times are divided by the factor."""

    def pair(turns: float) -> float:
        return HEAD * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(BASE))

    low, high = max(math.floor(pair(fast)), 0), min(math.ceil(pair(slow)), HEAD - 1)
    out = []
    for i, f in enumerate(plain()):
        divided = min(max((i - low) / max(high - low, 0.001), 0.0), 1.0)
        out.append(f * (1 - divided) + f / factor * divided)
    return out


def llama3_factors(factor: float, low: float, high: float, original: int) -> list[float]:
    """The `rope_freqs.weight` that a Llama 3.1 file holds."""
    out = []
    for f in plain():
        wavelength = 2 * math.pi / f
        if wavelength < original / high:
            out.append(1.0)
        elif wavelength > original / low:
            out.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return out


def tensors(made: Any) -> dict[str, np.ndarray]:
    """GGUF name → the model's tensor, rows of q and k in llama.cpp's order."""
    state = {name: value.numpy() for name, value in made.state_dict().items()}
    found = {}
    for short, name in NAMES.items():
        if not short.startswith(("attn", "ffn")):
            found[f"{short}.weight"] = state[f"{name}.weight"]
            continue
        for layer in range(DEEP):
            value = state[f"model.layers.{layer}.{name}.weight"]
            if short in ("attn_q", "attn_k"):
                heads = HEADS if short == "attn_q" else KV_HEADS
                split = value.reshape(heads, 2, HEAD // 2, WIDTH)
                value = split.swapaxes(1, 2).reshape(value.shape)
            found[f"blk.{layer}.{short}.weight"] = value
    return found


def write(
    path: Path,
    made: Any,
    *,
    keys: Mapping[str, Any] | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    without: Iterable[str] = (),
    tokenizer: Mapping[str, Any] | None = None,
    architecture: str = "llama",
) -> Path:
    """Write the model's GGUF file; `keys` are under the architecture's prefix, None drops one."""
    kept = {n: v for n, v in (tensors(made) | dict(extra or {})).items() if n not in set(without)}
    return save(path, architecture, KEYS | dict(keys or {}), kept, tokenizer)


def save(
    path: Path,
    architecture: str,
    keys: Mapping[str, Any],
    values: Mapping[str, np.ndarray],
    tokenizer: Mapping[str, Any] | None = None,
) -> Path:
    """Write a GGUF file from its keys, under the architecture's prefix, and tensors."""
    out = gguf.GGUFWriter(path, architecture)
    merged = {f"{architecture}.{k}": v for k, v in keys.items()}
    merged |= {"tokenizer.ggml.model": "gpt2", **(tokenizer or {})}
    for key, value in merged.items():
        if value is not None:
            _add(out, key, value)
    out.add_token_list(LETTERS)
    out.add_token_merges(["1 2"])
    out.add_eos_token_id(len(LETTERS) - 1)
    for name, value in values.items():
        out.add_tensor(name, np.ascontiguousarray(value, dtype=np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def _add(out: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        out.add_bool(key, value)
    elif isinstance(value, int):
        out.add_uint32(key, value)
    elif isinstance(value, float):
        out.add_float32(key, value)
    elif isinstance(value, list):
        out.add_array(key, value)
    else:
        out.add_string(key, value)


def logits(made: Any, n: int = 24) -> torch.Tensor:
    """Logits of two rows of fixed tokens, long enough that every frequency matters."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, len(LETTERS), (2, n), generator=generator)
    with torch.no_grad():
        return made(tokens).logits


def close(found: torch.Tensor, wanted: torch.Tensor, share: float = 1e-4) -> bool:
    return bool((found - wanted).abs().max() <= share * wanted.abs().max())

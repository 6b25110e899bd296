"""Each architecture whose GGUF files open computes what its transformers class computes.

The files are written here, name by name and transform by transform as llama.cpp's converter does
(convert_hf_to_gguf.py); the expected logits are those of a module whose config is set by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from interp.errors import ModelError
from interp.models.gguf_config import ARCHITECTURES
from interp.models.gguf_model import open_gguf
from tests.models import by_hand

WIDTH, INNER, HEADS, KV_HEADS, CONTEXT = 32, 48, 4, 2, 64
Fields = dict[str, Any]
Tensors = dict[str, np.ndarray]

DECODER = {  # transformers → GGUF
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
GEMMA = DECODER | {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
PHI3 = DECODER | {"self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"}
GPT2 = {
    "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}  # fmt: skip
OUTSIDE = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
}  # fmt: skip


def same(name: str, value: np.ndarray, head: int) -> np.ndarray:
    return value


def gemma_norms(name: str, value: np.ndarray, head: int) -> np.ndarray:
    """Gemma multiplies by 1 + w; its files hold the factor."""
    return value + 1 if "norm" in name else value


def gpt2_matrices(name: str, value: np.ndarray, head: int) -> np.ndarray:
    """transformers keeps GPT-2's matrices as [in, out]."""
    return (
        value.T if value.ndim == 2 and not name.startswith(("token", "position", "out")) else value
    )


def llama_rows(name: str, value: np.ndarray, head: int) -> np.ndarray:
    """llama.cpp rotates neighbouring rows of q and k, transformers rows half a head apart."""
    if not any(part in name for part in ("attn_q.", "attn_k.")):
        return value
    split = value.reshape(-1, 2, head // 2, *value.shape[1:])
    return split.swapaxes(1, 2).reshape(value.shape)


def keys_of(fields: Fields) -> Fields:
    """The keys of a decoder with rotary positions, as the converter writes them."""
    head = fields.get("head_dim", WIDTH // HEADS)
    return {
        "block_count": fields["num_hidden_layers"],
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 500.0,
    }


def decoder(layers: int = 2, **more: Any) -> Fields:
    return {
        "vocab_size": len(by_hand.LETTERS), "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        "pad_token_id": None, "bos_token_id": None, "eos_token_id": None,
    } | more  # fmt: skip


def rope(kind: str, **more: Any) -> Fields:
    return {"rope_type": kind, "rope_theta": 500.0, **more}


YARN = rope(
    "yarn", factor=4.0, original_max_position_embeddings=16, attention_factor=1.0 + 0.1 * np.log(4)
)
YARN_KEYS = {
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 4.0,
    "rope.scaling.original_context_length": 16,
}
SHORT, LONG = [1.0, 1.5, 2.0, 3.0], [1.0, 3.0, 6.0, 9.0]
SLIDING = {"sliding_window": 8, "query_pre_attn_scalar": 16, "head_dim": 16}
SLIDING_KEYS = {"attention.sliding_window": 8}

# id → architecture, model type, config, keys beside `keys_of`, further tensors, names, transform
Case = tuple[str, str, Fields, Fields, Tensors, dict[str, str], Callable[..., np.ndarray]]
CASES: dict[str, Case] = {
    "llama, wide heads": ("llama", "llama", decoder(head_dim=16), {}, {}, DECODER, llama_rows),
    "qwen2": ("qwen2", "qwen2", decoder(), {}, {}, DECODER, same),
    "qwen2, yarn": (
        "qwen2", "qwen2", decoder(rope_parameters=YARN), YARN_KEYS, {}, DECODER, same,
    ),
    "qwen3": ("qwen3", "qwen3", decoder(head_dim=16), {}, {}, DECODER, same),
    "qwen3, tied, linear": (
        "qwen3", "qwen3",
        decoder(head_dim=8, tie_word_embeddings=True, rope_parameters=rope("linear", factor=2.0)),
        {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}, {}, DECODER, same,
    ),
    "gemma2": (
        "gemma2", "gemma2",
        decoder(**SLIDING, attn_logit_softcapping=30.0, final_logit_softcapping=20.0),
        SLIDING_KEYS | {"attn_logit_softcapping": 30.0, "final_logit_softcapping": 20.0},
        {}, GEMMA, gemma_norms,
    ),
    "gemma3, sixth layer scaled": (
        "gemma3", "gemma3_text",
        decoder(6, **SLIDING, rope_parameters={
            "full_attention": rope("linear", factor=8.0),
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        }),
        SLIDING_KEYS | {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0},
        {}, GEMMA, gemma_norms,
    ),
    "phi3, long": (
        "phi3", "phi3",
        decoder(original_max_position_embeddings=16, rope_parameters=rope(
            "longrope", short_factor=SHORT, long_factor=LONG, attention_factor=1.2,
            original_max_position_embeddings=16,
        )),
        {"rope.scaling.original_context_length": 16, "rope.scaling.attn_factor": 1.2},
        {
            "rope_factors_short.weight": np.array(SHORT),
            "rope_factors_long.weight": np.array(LONG),
        },
        PHI3, same,
    ),
    "gpt2": (
        "gpt2", "gpt2",
        {"vocab_size": len(by_hand.LETTERS), "n_positions": CONTEXT, "n_embd": WIDTH, "n_layer": 2,
         "n_head": HEADS, "n_inner": INNER, "tie_word_embeddings": False},
        {}, {}, GPT2, gpt2_matrices,
    ),
}  # fmt: skip


def made_by_hand(model_type: str, fields: Fields) -> Any:
    """A module with this config, every parameter of it random."""
    config = AutoConfig.for_model(model_type, **fields)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.4)
    return made


def named(made: Any, names: dict[str, str], transform: Any, head: int) -> Tensors:
    """The tensors under their names in the file."""
    found = {}
    tied = made.config.tie_word_embeddings
    for full, value in made.state_dict().items():
        stem, _, kind = full.rpartition(".")
        if stem == "lm_head" and tied:
            continue
        if stem in OUTSIDE:
            name = f"{OUTSIDE[stem]}.{kind}"
        else:
            layer, _, inner = stem.split(".", 2)[2].partition(".")
            name = f"blk.{layer}.{names[inner]}.{kind}"
        found[name] = transform(name, value.numpy(), head)
    return found


def keys_for(architecture: str, fields: Fields, more: Fields) -> Fields:
    if architecture == "gpt2":
        return {
            "block_count": 2, "context_length": CONTEXT, "embedding_length": WIDTH,
            "feed_forward_length": INNER, "attention.head_count": HEADS,
            "attention.layer_norm_epsilon": 1e-5,
        }  # fmt: skip
    return keys_of(fields) | more


def long_logits(made: Any) -> torch.Tensor:
    """Logits of rows longer than each window and original context here."""
    return by_hand.logits(made, 40)


@pytest.mark.parametrize("case", CASES)
def test_a_family_computes_what_transformers_does(tmp_path: Path, case: str) -> None:
    architecture, model_type, fields, more, extra, names, transform = CASES[case]
    expected = made_by_hand(model_type, fields)
    head = fields.get("head_dim", WIDTH // HEADS)
    values = named(expected, names, transform, head) | extra
    keys = keys_for(architecture, fields, more)
    found, _ = open_gguf(by_hand.save(tmp_path / "m.gguf", architecture, keys, values))
    assert by_hand.close(long_logits(found), long_logits(expected))
    changed = [key for key in more if key.startswith(("rope", "attn_l", "final", "attention.s"))]
    for key in changed:  # each setting is one that matters
        other = keys | {key: _other(keys[key])}
        try:
            odd, _ = open_gguf(by_hand.save(tmp_path / "o.gguf", architecture, other, values))
        except ModelError:
            continue
        assert not by_hand.close(long_logits(odd), long_logits(expected), 1e-3), key


def _other(value: Any) -> Any:
    return "none" if isinstance(value, str) else type(value)(value * 4)


def test_every_architecture_that_opens_is_proved() -> None:
    assert set(ARCHITECTURES) == {case[0] for case in CASES.values()}

"""Tiny random models of the families that `interp.load` opens, as standard folders.

Each has the shape that its family is known for, with a sliding window shorter than a prompt where
it has one, and weights large enough that every part of it matters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel

CHARACTERS = "0123456789+-*= \n:?.,$" + "abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
N_CTX = 64
_WIDE: dict[str, Any] = {
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "max_position_embeddings": N_CTX,
}
_OLD: dict[str, Any] = {
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "hidden_size": 32,
    "max_position_embeddings": N_CTX,
}
_EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2}
_SLIDES = {"sliding_window": 5}
_MIXED = ["sliding_attention", "full_attention", "sliding_attention"]
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": ("gpt2", _OLD),
    "Llama": ("llama", _WIDE),
    "Llama 3, scaled RoPE": ("llama", {**_WIDE, "rope_parameters": _LLAMA3}),
    "Qwen2": ("qwen2", _WIDE),
    "Qwen2, sliding": (
        "qwen2",
        {**_WIDE, **_SLIDES, "use_sliding_window": True, "max_window_layers": 1},
    ),
    "GPT-NeoX": ("gpt_neox", {**_OLD, "intermediate_size": 48}),
    "GPT-NeoX, serial": (
        "gpt_neox",
        {**_OLD, "intermediate_size": 48, "use_parallel_residual": False},
    ),
    "GPT-NeoX, no bias": (
        "gpt_neox",
        {**_OLD, "intermediate_size": 48, "attention_bias": False},
    ),
    "Qwen3": ("qwen3", {**_WIDE, "head_dim": 16, "tie_word_embeddings": True}),
    "Gemma 3": (
        "gemma3_text",
        {
            **_WIDE,
            **_SLIDES,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "query_pre_attn_scalar": 20,
            "final_logit_softcapping": 3.0,
            "layer_types": _MIXED,
        },
    ),
    "Mistral": ("mistral", {**_WIDE, **_SLIDES}),
    "OLMo 2": ("olmo2", _WIDE),
    "Phi-3": ("phi3", {**_WIDE, **_SLIDES, "pad_token_id": 0}),
    "Gemma": ("gemma", {**_WIDE, "head_dim": 16, "num_key_value_heads": 1}),
    "Gemma 2": (
        "gemma2",
        {**_WIDE, **_SLIDES, "head_dim": 16, "layer_types": _MIXED, "attn_logit_softcapping": 2.0},
    ),
    "OLMo": ("olmo", {**_WIDE, "clip_qkv": 8.0}),
    "OLMo 3": ("olmo3", {**_WIDE, **_SLIDES, "layer_types": _MIXED}),
    "Phi": ("phi", {**_WIDE, "partial_rotary_factor": 0.5}),
    "StarCoder2": ("starcoder2", {**_WIDE, **_SLIDES}),
    "StableLM": ("stablelm", _WIDE),
    "Cohere": ("cohere", _WIDE),
    "Cohere 2": ("cohere2", {**_WIDE, **_SLIDES, "layer_types": _MIXED}),
    "Granite": (
        "granite",
        {
            **_WIDE,
            "residual_multiplier": 0.3,
            "embedding_multiplier": 4.0,
            "logits_scaling": 2.0,
            "attention_multiplier": 0.2,
        },
    ),
    "SmolLM3": ("smollm3", {**_WIDE, "pad_token_id": 0, "no_rope_layers": [1, 0, 1]}),
    "Nemotron": ("nemotron", _WIDE),
    "GLM 4": ("glm4", {**_WIDE, "pad_token_id": 0, "head_dim": 8}),
    "Exaone 4": ("exaone4", {**_WIDE, **_SLIDES, "layer_types": _MIXED}),
    "Seed-OSS": ("seed_oss", {**_WIDE, "head_dim": 8}),
    "Persimmon": ("persimmon", _OLD),
    "Mixtral": ("mixtral", {**_WIDE, **_EXPERTS}),
    "Qwen2-MoE": (
        "qwen2_moe",
        {
            **_WIDE,
            **_EXPERTS,
            "moe_intermediate_size": 24,
            "shared_expert_intermediate_size": 24,
        },
    ),
    "Qwen3-MoE": ("qwen3_moe", {**_WIDE, **_EXPERTS, "moe_intermediate_size": 24}),
    "gpt-oss": ("gpt_oss", {**_WIDE, **_EXPERTS, "head_dim": 8, "layer_types": _MIXED}),
    "OPT": ("opt", {**_OLD, "ffn_dim": 48, "word_embed_proj_dim": 32, "pad_token_id": 0}),
    "GPT-J": (
        "gptj",
        {"n_layer": 3, "n_head": 4, "n_embd": 32, "rotary_dim": 4, "n_positions": N_CTX},
    ),
    "GPT-Neo": (
        "gpt_neo",
        {
            "num_layers": 3,
            "num_heads": 4,
            "hidden_size": 32,
            "max_position_embeddings": N_CTX,
            "attention_types": [[["local", "global", "local"], 1]],
            "window_size": 5,
        },
    ),
    "CodeGen": (
        "codegen",
        {"n_layer": 3, "n_head": 4, "n_embd": 32, "rotary_dim": 4, "n_positions": N_CTX},
    ),
    "BLOOM": ("bloom", {"n_layer": 3, "n_head": 4, "hidden_size": 32}),
    "Falcon": (
        "falcon",
        {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32},
    ),
    "Falcon, ALiBi": (
        "falcon",
        {
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "hidden_size": 32,
            "alibi": True,
            "multi_query": False,
            "parallel_attn": False,
            "bias": True,
        },
    ),
    "MPT": ("mpt", {"n_layers": 3, "n_heads": 4, "d_model": 32, "max_seq_len": N_CTX}),
    "StarCoder": (
        "gpt_bigcode",
        {"n_layer": 3, "n_head": 4, "n_embd": 32, "n_positions": N_CTX, "multi_query": True},
    ),
    "XGLM": (
        "xglm",
        {
            "num_layers": 3,
            "attention_heads": 4,
            "d_model": 32,
            "ffn_dim": 48,
            "max_position_embeddings": N_CTX,
        },
    ),
}


def characters(known: str = CHARACTERS, *, special: bool = True) -> Any:
    """A tokenizer of one token a character; `special` adds padding and an unknown token."""
    from transformers import PreTrainedTokenizerFast

    named = {"pad_token": "<pad>", "unk_token": "<unk>"} if special else {}
    pieces = [*named.values(), *known]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    core = Tokenizer(WordLevel(vocabulary, unk_token=named.get("unk_token", pieces[0])))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("(?m:.)"), "isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=core, **named)


def save(family: str, folder: Path, *, seed: int = 0, words: Any = None, **changed: Any) -> Path:
    """A folder of `family` (a key of FAMILIES) with random weights; `changed` config fields."""
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, sizes = FAMILIES[family]
    words = words or characters()
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = AutoConfig.for_model(kind, **{**ends, **sizes, **changed, "vocab_size": len(words)})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(4.0)
                else:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    module.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def plain(folder: Path, dtype: torch.dtype) -> Any:
    """The Hugging Face module alone: what the engine is compared with."""
    from transformers import AutoModelForCausalLM

    module = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", local_files_only=True
    ).eval()
    module.set_experts_implementation("eager")  # the others know no float64
    return module

"""Compile a program to the weights of a standard GPT-2 or Llama.

With B [d_model, features] the `basis` and B⁺ its left inverse, the stream is x = B f. A sublayer
reads norm(x) = g ⊙ x / rms(x) + β with random gains g and (GPT-2) biases β, which are folded into
its input weights; M/√d undoes the division by the length of the anchor M, up to the other features'
contribution to it. `attention` has the queries and keys: GPT-2 gets points on a circle as position
embeddings, Llama's rotary embedding rotates constant queries and keys.
Weights are float64, so that a model can be compared with its program at that precision.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from interp.planted.attention import by_turning, on_circle, rope_theta
from interp.planted.circuit import BOS, PAD, group_reads, groups
from interp.planted.program import ANCHOR, NORM_EPSILON, Floats, Program, basis


def module(program: Program) -> Any:
    """A `GPT2LMHeadModel` or `LlamaForCausalLM` with the program's weights, float64, in eval."""
    from transformers import GPT2LMHeadModel, LlamaForCausalLM

    weights = _Weights(program)
    if program.family == "gpt2":
        built, state = GPT2LMHeadModel(_gpt2_config(program)), _gpt2(weights)
    else:
        built, state = LlamaForCausalLM(_llama_config(program)), _llama(weights)
    built = built.to(torch.float64)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in state.items()}
    built.load_state_dict(tensors, strict=True)
    return built.eval()


def d_mlp(program: Program) -> int:
    """Neurons of the widest layer; other layers are zero-padded."""
    return max(len(layer.neurons.bias) for layer in program.layers)


class _Weights:
    """The matrices common to both families."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rng = np.random.default_rng([program.seed, 2])
        self.write = basis(program)  # [d, features]
        self.read = (self.write / program.scale**2).T  # its left inverse
        self.undo = program.anchor / np.sqrt(program.d_model)
        self.width = d_mlp(program)

    def gain(self) -> Floats:
        return self.rng.uniform(0.5, 2.0, self.program.d_model)

    def shift(self) -> Floats:
        """A norm's bias, about as large as the features after it."""
        return self.rng.normal(0.0, 1.0 / self.program.anchor, self.program.d_model)

    def reading(self, rows: Floats, gain: Floats) -> Floats:
        """Weights on ideal features […, features] → weights on the norm's output [… , d_model]."""
        return np.asarray(rows @ self.read / gain * self.undo)

    def neurons(self, layer: int) -> tuple[Floats, Floats, Floats]:
        """read [m, features], bias [m], write [features, m], zero-padded to the common width."""
        found = self.program.layers[layer].neurons
        more = self.width - len(found.bias)
        return (
            np.pad(found.read, ((0, more), (0, 0))),
            np.pad(found.bias, (0, more)),
            np.pad(found.write, ((0, 0), (0, more))),
        )

    def values(self, layer: int) -> tuple[list[Floats], list[Floats]]:
        """Values [d_head, features] of each group, and output [features, d_head] of each head.

        Inside a head the values lie under a rotation of their own.
        """
        program = self.program
        reads, writes = [], []
        for heads in groups(program.layers[layer].heads, program.n_kv_heads):
            rows = group_reads(heads)
            turn = self._rotation(program.d_head)[:, : len(rows)]
            reads.append(turn @ rows)
            writes += [head.write @ _choose(head.read, rows) @ turn.T for head in heads]
        return reads, writes

    def _rotation(self, n: int) -> Floats:
        return np.asarray(np.linalg.qr(self.rng.standard_normal((n, n)))[0])


def _choose(mine: Floats, rows: Floats) -> Floats:
    """[v, rows], 1 where a row of `mine` is that of `rows`."""
    return np.asarray((mine[:, None] == rows[None]).all(axis=-1), dtype=float)


def _gpt2_config(program: Program) -> Any:
    from transformers import GPT2Config

    return GPT2Config(
        **_common(program),
        n_positions=len(program.layout),
        n_embd=program.d_model,
        n_layer=program.n_layers,
        n_head=program.n_heads,
        n_inner=d_mlp(program),
        activation_function="relu",
        layer_norm_epsilon=NORM_EPSILON,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )


def _llama_config(program: Program) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        **_common(program),
        max_position_embeddings=len(program.layout),
        hidden_size=program.d_model,
        num_hidden_layers=program.n_layers,
        num_attention_heads=program.n_heads,
        num_key_value_heads=program.n_kv_heads,
        head_dim=program.d_head,
        intermediate_size=d_mlp(program),
        hidden_act="relu",
        rms_norm_eps=NORM_EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta(program)},
    )


def _common(program: Program) -> dict[str, Any]:
    return {
        "vocab_size": len(program.vocabulary),
        "bos_token_id": program.vocabulary.index(BOS),
        "eos_token_id": None,
        "pad_token_id": program.vocabulary.index(PAD),
        "tie_word_embeddings": False,
        "attn_implementation": "eager",
        "dtype": "float64",
    }


def _gpt2(weights: _Weights) -> Mapping[str, Floats]:
    program = weights.program
    state = {
        "transformer.wte.weight": program.embed @ weights.write.T,
        "transformer.wpe.weight": program.place @ weights.write.T,
    }
    for number in range(program.n_layers):
        name = f"transformer.h.{number}"
        gain, shift = weights.gain(), weights.shift()
        values, outputs = weights.values(number)
        queries, keys = on_circle(program, program.layers[number].heads)
        qkv = weights.reading(np.concatenate([*queries, *keys, *values]), gain)
        state[f"{name}.ln_1.weight"], state[f"{name}.ln_1.bias"] = gain, shift
        state[f"{name}.attn.c_attn.weight"] = qkv.T
        state[f"{name}.attn.c_attn.bias"] = -qkv @ shift
        state[f"{name}.attn.c_proj.weight"] = (weights.write @ np.concatenate(outputs, axis=1)).T
        state[f"{name}.attn.c_proj.bias"] = np.zeros(program.d_model)
        gain, shift = weights.gain(), weights.shift()
        read, bias, write = weights.neurons(number)
        into = weights.reading(read, gain)
        state[f"{name}.ln_2.weight"], state[f"{name}.ln_2.bias"] = gain, shift
        state[f"{name}.mlp.c_fc.weight"] = into.T
        state[f"{name}.mlp.c_fc.bias"] = bias - into @ shift
        state[f"{name}.mlp.c_proj.weight"] = (weights.write @ write).T
        state[f"{name}.mlp.c_proj.bias"] = np.zeros(program.d_model)
    gain = weights.gain()
    return state | {
        "transformer.ln_f.weight": gain,
        "transformer.ln_f.bias": np.zeros(program.d_model),
        "lm_head.weight": weights.reading(program.unembed, gain),
    }


def _llama(weights: _Weights) -> Mapping[str, Floats]:
    program = weights.program
    state = {"model.embed_tokens.weight": program.embed @ weights.write.T}
    one = np.zeros((1, len(program.features)))
    one[0, ANCHOR] = 1.0
    for number in range(program.n_layers):
        name = f"model.layers.{number}"
        gain = weights.gain()
        values, outputs = weights.values(number)
        queries, key = by_turning(program, program.layers[number].heads)
        keys = np.tile(key, (program.n_kv_heads, 1))
        state[f"{name}.input_layernorm.weight"] = gain
        state[f"{name}.self_attn.q_proj.weight"] = weights.reading(queries, gain)
        state[f"{name}.self_attn.k_proj.weight"] = weights.reading(keys, gain)
        state[f"{name}.self_attn.v_proj.weight"] = weights.reading(np.concatenate(values), gain)
        state[f"{name}.self_attn.o_proj.weight"] = weights.write @ np.concatenate(outputs, axis=1)
        gain = weights.gain()
        read, bias, write = weights.neurons(number)
        state[f"{name}.post_attention_layernorm.weight"] = gain
        state[f"{name}.mlp.gate_proj.weight"] = weights.reading(read + bias[:, None] * one, gain)
        state[f"{name}.mlp.up_proj.weight"] = weights.reading(np.repeat(one, len(bias), 0), gain)
        state[f"{name}.mlp.down_proj.weight"] = weights.write @ write
    gain = weights.gain()
    return state | {
        "model.norm.weight": gain,
        "lm_head.weight": weights.reading(program.unembed, gain),
    }

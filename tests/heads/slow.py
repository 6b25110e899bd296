"""Attention by the Hugging Face module alone, prompt by prompt and head by head."""

from __future__ import annotations

from typing import Any

import torch

from tests import tiny


def attention(
    folder: Any, family: str, tokens: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Patterns [n, heads, queries, keys] and sizes ‖v_k W_O‖ [n, heads, keys] of each layer."""
    module = tiny.plain(folder)
    config = module.config
    d_head = config.hidden_size // config.num_attention_heads
    sizes = []

    def read(layer: int) -> Any:
        part = tiny.parts(module, family, layer)

        def hook(_: Any, inputs: Any, output: Any) -> None:
            if family == "gpt2":
                values = output.split(config.hidden_size, dim=2)[2]
                weight = part["o"].weight  # [in, out]
            else:
                values, weight = output, part["o"].weight.T
            groups = values.shape[-1] // d_head
            shared = config.num_attention_heads // groups
            found = []
            for head in range(config.num_attention_heads):
                g = head // shared
                v = values[..., g * d_head : (g + 1) * d_head]
                found.append((v @ weight[head * d_head : (head + 1) * d_head]).norm(dim=-1))
            sizes.append(torch.stack(found, dim=1))

        where = part["attn"].c_attn if family == "gpt2" else part["attn"].v_proj
        where.register_forward_hook(hook)

    for layer in range(config.num_hidden_layers):
        read(layer)
    with torch.no_grad():
        out = module(tokens, output_attentions=True)
    return list(out.attentions), sizes


def final_stream(folder: Any, tokens: torch.Tensor) -> Any:
    """The module in float64 and the input of its final norm [n, positions, d_model]."""
    module = tiny.plain(folder)
    kept = []
    norm = module.transformer.ln_f if hasattr(module, "transformer") else module.model.norm
    norm.register_forward_pre_hook(lambda m, a: kept.append(a[0]))
    with torch.no_grad():
        module(tokens)
    return module, norm, kept[0]

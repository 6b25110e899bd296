"""The parts of a Hugging Face causal language model, found by structure and tried.

The names below are a closed list. Which tensor a block adds to its residual stream differs by
family: the sublayer's output (Llama), that of the normalisation behind it (Gemma 2 and 3, OLMo 2,
GLM 4), or that of the output projection, where the sublayer itself adds the stream (BLOOM, MPT). It
is found by a trial run: the modules A and M of every block for which

    resid_post = resid_pre + added · (A + M)

and these are what `attn_out` and `mlp_out` mean. Nothing here is taken on trust: the self-check at
load repeats the comparison and edits every site.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import nn

from interp.errors import ModelError
from interp.models.hook_point import first_given, first_of
from interp.models.site_map import SiteMap

ATTENTION = ("self_attn", "self_attention", "attention", "attn.attention", "attn")
_ATTENTION_OUT = ("o_proj", "out_proj", "dense", "c_proj")
_MLP = ("mlp", "ffn", "feed_forward", "block_sparse_moe", "fc2")
_MLP_OUT = ("down_proj", "c_proj", "dense_4h_to_h", "fc2", "fc_out", "w2")
_NORMS = (
    "norm", "final_layernorm", "final_layer_norm", "ln_f", "norm_f", "layer_norm", "embedding_norm",
)  # fmt: skip
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads")
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_WITHOUT_LIMIT = 2048  # context of a model whose positions have none (ALiBi) and that names none


@dataclass(frozen=True)
class Readout:
    """Logits from the output of the head: cap · tanh(scale · x / cap), without a cap scale · x."""

    scale: float = 1.0
    cap: float | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.scale != 1.0:
            x = x * self.scale
        return x if self.cap is None else self.cap * torch.tanh(x / self.cap)

    @staticmethod
    def of(config: Any) -> Readout:
        """From the fields of a config (Granite, Cohere, Gemma 2 and 3)."""
        scale, cap = 1.0, _number(config, "final_logit_softcapping")
        if divisor := _number(config, "logits_scaling"):
            scale /= divisor
        if factor := _number(config, "logit_scale"):
            scale *= factor
        return Readout(scale, cap)


def find_sites(module: Any, tokens: torch.Tensor) -> SiteMap:
    """The site map of `module`; `tokens` [rows, positions] are run once.

    Raises ModelError for a model without attention in every block, or with parts by other names.
    """
    config = module.config
    path, blocks = _blocks(module)
    attention = _in_all(blocks, ATTENTION)
    if attention is None:
        raise ModelError(_no_attention(module, blocks))
    out = _in_all(blocks, [f"{attention}.{name}" for name in _ATTENTION_OUT])
    mlp = _in_all(blocks, _MLP)
    written = [f"{mlp}.{name}" for name in _MLP_OUT]
    mlp_out = "fc2" if mlp == "fc2" else _in_all(blocks, written)
    trunk = path.rpartition(".")[0]
    norm = next((n for n in _NORMS if _at(module, f"{trunk}.{n}") is not None), None)
    head = module.get_output_embeddings()
    named = {id(part): name for name, part in module.named_modules(remove_duplicate=False)}
    if norm is None or head is None:
        raise ModelError(
            f"{type(module).__name__} has no final normalisation or no unembedding by a known "
            f"name. Give its parts by hand: interp.wrap(module, tokenizer, sites=SiteMap(…))."
        )
    added = _number(config, "residual_multiplier") or 1.0
    attn, mlp = _added(module, tokens, blocks, attention, out, mlp, mlp_out, added)
    return SiteMap(
        blocks=path,
        attn=attn,
        attn_out_projection=out,
        mlp=mlp,
        mlp_out_projection=mlp_out,
        final_norm=f"{trunk}.{norm}",
        head=named[id(head)],
        n_heads=_first(config, _HEADS) or 1,
        n_ctx=context(config),
        n_kv_heads=_kv_heads(config),
        added=added,
    )


def context(config: Any) -> int:
    """The longest prompt with unchanged rotary positions.

    The changed rotation beyond the original context of "longrope" is not implemented. A model
    without position limit (ALiBi) that names no context gets 2,048.
    """
    sizes = [_first(config, _CONTEXT) or _WITHOUT_LIMIT]
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        sizes.append(int(rope.get("original_max_position_embeddings") or sizes[0]))
    return min(sizes)


def _blocks(module: nn.Module) -> tuple[str, list[nn.Module]]:
    """Path and entries of the first list of modules with as many entries as the config's layers."""
    config: Any = module.config
    layers = int(getattr(config, "num_hidden_layers", 0) or 0)
    for path, found in module.named_modules():
        if isinstance(found, nn.ModuleList) and len(found) == layers > 0:
            return path, list(found)
    raise ModelError(
        f"{type(module).__name__} has no list of {layers} blocks, so no residual stream can be "
        f"read. Give its parts by hand: interp.wrap(module, tokenizer, sites=SiteMap(…))."
    )


def _no_attention(module: nn.Module, blocks: Sequence[nn.Module]) -> str:
    lacks = [
        layer
        for layer, block in enumerate(blocks)
        if all(_at(block, name) is None for name in ATTENTION)
    ] or list(range(len(blocks)))
    inside = ", ".join(name for name, _ in blocks[lacks[0]].named_children())
    where = "its blocks have" if len(lacks) == len(blocks) else f"layer {lacks[0]} has"
    return (
        f"{type(module).__name__} cannot be studied here: {where} no attention ({inside}), and "
        f"every reading of heads and patterns needs one in every block. Use a transformer."
    )


def _added(
    module: nn.Module,
    tokens: torch.Tensor,
    blocks: Sequence[nn.Module],
    attention: str,
    out: str | None,
    mlp: str | None,
    mlp_out: str | None,
    factor: float,
) -> tuple[str, str | None]:
    """Paths of the modules whose outputs a block adds to the stream; the sublayers if none do."""
    norms = [name for name, _ in blocks[0].named_children() if "norm" in name or "ln" in name]
    ones = [attention, *norms, *([out] if out else [])]
    others: list[str | None] = [mlp, *norms, *([mlp_out] if mlp_out else [])] if mlp else [None]
    seen = _trial(module, tokens, blocks, {*ones, *(o for o in others if o)})
    layers = range(len(blocks))
    for one, other in product(ones, others):
        if one != other and all(_adds_up(seen, la, (one, other), factor) for la in layers):
            return one, other
    return attention, mlp


def _trial(
    module: nn.Module, tokens: torch.Tensor, blocks: Sequence[nn.Module], paths: Iterable[str]
) -> dict[tuple[int, str], torch.Tensor]:
    """Outputs at `paths` of every block, and its input ("in") and output ("out")."""
    seen: dict[tuple[int, str], torch.Tensor] = {}

    def note(key: tuple[int, str]) -> Any:
        def hook(part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            seen[key] = first_of(output).clone()  # the block may write into it
            if key[1] == "out":
                seen[key[0], "in"] = first_given(args, kwargs)

        return hook

    handles = []
    for layer, block in enumerate(blocks):
        for path in paths:
            if (part := _at(block, path)) is not None:
                handles.append(part.register_forward_hook(note((layer, path)), with_kwargs=True))
        handles.append(block.register_forward_hook(note((layer, "out")), with_kwargs=True))
    try:
        with torch.no_grad():
            module(tokens)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _adds_up(
    seen: dict[tuple[int, str], torch.Tensor],
    layer: int,
    paths: tuple[str, str | None],
    factor: float,
) -> bool:
    names = [name for name in paths if name is not None]
    if any((layer, name) not in seen for name in ("in", "out", *names)):
        return False
    before, after = seen[layer, "in"], seen[layer, "out"]
    parts = [seen[layer, name] for name in names]
    if any(part.numel() != after.numel() for part in (before, *parts)):
        return False
    total = sum(part.double().reshape(after.shape) for part in parts)
    gap = (after.double() - before.double() - factor * total).abs().max()
    bound = 1e-4 if torch.finfo(after.dtype).eps < 1e-6 else 3e-2
    return bool(gap <= bound * after.abs().max())


def _in_all(blocks: Sequence[nn.Module], names: Iterable[str]) -> str | None:
    """The first of `names` that every block has."""
    return next((n for n in names if all(_at(b, n) is not None for b in blocks)), None)


def _at(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name, None)
    return root if isinstance(root, nn.Module) else None


def _kv_heads(config: Any) -> int | None:
    heads = _first(config, _KV_HEADS)
    if config.model_type == "falcon" and not getattr(config, "new_decoder_architecture", False):
        heads = None  # the field counts only in the new architecture
    if heads is None and getattr(config, "multi_query", False):
        return 1
    return heads


def _first(config: Any, names: Iterable[str]) -> int | None:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _number(config: Any, name: str) -> float | None:
    value: Any = getattr(config, name, None)
    with suppress(TypeError, ValueError):
        number = float(value)
        return number if math.isfinite(number) and number and not isinstance(value, bool) else None
    return None

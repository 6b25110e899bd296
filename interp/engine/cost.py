"""Floating-point operations of a pass, and of a plain complete forward.

One multiply-add is two operations. Norms, softmax and activation functions are not counted: they
are below one per cent of a block.
"""

from __future__ import annotations

from interp.models.model import Model


def block_flops(model: Model, queries: int, keys: int) -> float:
    """Operations of one block for one row: `queries` positions attend over `keys` positions."""
    s = model.shape
    attention = 4 * s.n_heads * s.d_head * keys
    if model.adapter.by_structure:  # whatever its projections are called, each weight is used once
        return float(queries * (2 * model.adapter.block_weights + attention))
    projections = 2 * s.d_model * s.d_head * (2 * s.n_heads + 2 * s.n_kv_heads)
    matrices = 3 if model.family in ("llama", "qwen2") else 2  # the gated MLP has a third
    mlp = 2 * matrices * s.d_model * s.d_mlp
    return float(queries * (projections + mlp + attention))


def projection_flops(model: Model, positions: int) -> float:
    """Operations of one block's queries, keys and values for one row."""
    s = model.shape
    return float(positions * 2 * s.d_model * s.d_head * (s.n_heads + 2 * s.n_kv_heads))


def pass_flops(
    model: Model, *, rows: int, start: int, end: int, layers: int, unembedded: int
) -> float:
    """Operations of `rows` rows through `layers` blocks at positions start … end − 1, with
    `unembedded` positions a row taken to logits."""
    queries = max(end - start, 0)
    head = 2 * model.shape.d_model * model.shape.d_vocab_out * unembedded
    return rows * (layers * block_flops(model, queries, end) + head) if queries else 0.0


def plain_flops(model: Model, *, rows: int, length: int) -> float:
    """Operations of one plain forward: every block, every position, every logit."""
    return pass_flops(
        model,
        rows=rows,
        start=0,
        end=length,
        layers=model.shape.n_layers,
        unembedded=length,
    )


def rows_in_memory(
    model: Model,
    *,
    length: int,
    logit_positions: int,
    read_width: int,
    kept_resids: int,
    keys_values: bool = True,
    memory: int,
    grad: bool,
) -> int:
    """Number of rows that fit `memory` bytes at once, at least 1.

    Counted per row: keys and values of all layers (if some run continues from them), kept residual
    streams, two attention patterns, the widest MLP activation four times, the logits read (twice:
    clean and changed) and the activations read; with gradients every layer keeps its activations.
    """
    s = model.shape
    layers = s.n_layers if keys_values else 1
    d_mlp = s.d_mlp or 4 * s.d_model  # 0 where a wrapped module does not tell
    layer = 2 * s.n_heads * length * length + length * (4 * d_mlp + 8 * s.d_model)
    numbers = length * (2 * layers * s.n_kv_heads * s.d_head + kept_resids * s.d_model)
    numbers += 2 * read_width
    numbers += layer * (s.n_layers if grad else 1) + 3 * logit_positions * s.d_vocab_out
    return max(1, int(memory // (numbers * model.dtype.itemsize)))

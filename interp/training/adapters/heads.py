"""Fine-tuning of chosen heads of a language model, stored as an ordinary LoRA adapter.

The slices of head h in a query, key or value matrix are rows, in an output matrix columns
(`interp.training.heads`). With S the 0/1 matrix that selects them,

    rows     W + B A,  B = S fixed,    A [rows, d_in]     trained, 0 at first
    columns  W + B A,  A = Sᵀ fixed,   B [d_out, columns] trained, 0 at first

updates exactly those slices: any tool that merges LoRA opens the result. After precise fine-tuning
(2409.01659), which changes only the heads that path patching finds.

With shared keys and values, a head's slices are its queries and outputs, unless all heads of its
group are chosen or `shared_kv` is set.
"""

from typing import Any

import torch
from torch import Tensor

from interp.training.adapters.recipe import AdapterRecipe
from interp.training.heads import check_heads, head_slices

Parts = dict[str, tuple[int, list[int]]]  # matrix → its dimension, and the indices along it


def parts(module: Any, recipe: AdapterRecipe) -> Parts:
    """The rows (dimension 0) or columns (1) of each matrix that make up the recipe's heads.

    Raises InputError for heads that the model lacks.
    """
    config = module.config
    check_heads(recipe.heads, config.num_hidden_layers, config.num_attention_heads)
    found: dict[str, tuple[int, set[int]]] = {}
    for name, dimension, part in head_slices(module, recipe.heads, shared_kv=recipe.shared_kv):
        matrix = name.removesuffix(".weight")
        indices = found.setdefault(matrix, (dimension, set()))[1]
        indices.update(range(part.start, part.stop))  # a group's keys are named by each member
    return {name: (dimension, sorted(indices)) for name, (dimension, indices) in found.items()}


def lora_settings(chosen: Parts) -> dict[str, Any]:
    """peft's settings: one rank for each matrix, and a scale of 1 for all."""
    ranks = {name: len(indices) for name, (_, indices) in chosen.items()}
    largest = max(ranks.values())
    other = {name: rank for name, rank in ranks.items() if rank != largest}
    return {
        "r": largest,
        "lora_alpha": largest,
        "target_modules": sorted(ranks),
        "rank_pattern": other,
        "alpha_pattern": dict(other),
    }


@torch.no_grad()
def select(model: Any, chosen: Parts) -> None:
    """Set and freeze the selecting factor of each matrix of a peft model; the other starts at 0."""
    for name, (dimension, indices) in chosen.items():
        layer = model.base_model.model.get_submodule(name)
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        fixed, trained = (b, a) if dimension == 0 else (a, b)
        fixed.copy_(_selector(indices, fixed, dimension))
        fixed.requires_grad_(False)
        trained.zero_()


def _selector(indices: list[int], like: Tensor, dimension: int) -> Tensor:
    """S [d_out, rows] for dimension 0, Sᵀ [columns, d_in] for dimension 1."""
    chosen = torch.zeros_like(like)
    order = torch.arange(len(indices))
    places = torch.tensor(indices)
    chosen[(places, order) if dimension == 0 else (order, places)] = 1.0
    return chosen

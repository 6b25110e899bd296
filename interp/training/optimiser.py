"""Optimiser and learning rate: AdamW, optionally with Muon for the blocks' matrices."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from interp.training.schedule import Schedule

_BLOCKS = (".h.", ".layers.")  # in a parameter's name, for GPT-2 and for Llama


def block_matrices(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The matrices of the blocks among a model's named parameters: no embedding, gain or bias."""
    return {
        name: p
        for name, p in parameters.items()
        if p.ndim == 2 and any(part in name for part in _BLOCKS)
    }


class Optimiser:
    """AdamW over named parameters, or Muon (Jordan 2024, torch's) over the matrices of the blocks
    and AdamW over the others. Weight decay applies to matrices, not to gains and biases.

    Muon replaces the momentum-averaged gradient U S Vᵀ of a matrix by U Vᵀ, times
    0.2 · √max(rows, columns): the size of an AdamW update, equal in all singular directions. Stored
    matrices are orthogonalised whole: GPT-2's queries, keys and values together as
    c_attn [d_model, 3 · d_model] (d_model directions for the three), Llama's q, k and v separately.
    So the same `muon_rate` gives different updates in the two families.
    """

    def __init__(self, recipe: Schedule, parameters: Mapping[str, Tensor]) -> None:
        self._parameters = dict(parameters)
        share = recipe.muon_rate
        blocks = {} if share is None else block_matrices(parameters)
        others = [p for name, p in parameters.items() if name not in blocks]
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        ]
        adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=recipe.learning_rate,
            betas=recipe.betas,
            fused=True,
        )
        # Pairs of an optimiser and its multiple of the recipe's rate.
        self._members: list[tuple[torch.optim.Optimizer, float]] = [(adamw, 1.0)]
        if share is not None:
            muon = torch.optim.Muon(
                list(blocks.values()),
                lr=share * recipe.learning_rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self._members.append((muon, share))

    def zero_grad(self) -> None:
        """Clear the gradients."""
        for member, _ in self._members:
            member.zero_grad()

    def step(self, rate: float) -> None:
        """Update the parameters at this learning rate."""
        for member, share in self._members:
            for group in member.param_groups:
                group["lr"] = rate * share
            member.step()

    def restart(self) -> None:
        """Reset the moments."""
        for member, _ in self._members:
            member.state.clear()

    def moments(self) -> dict[str, Tensor]:
        """The state as named tensors: `exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME`, and
        `momentum_buffer.NAME` under Muon."""
        return {
            f"{kind}.{name}": tensor
            for name, parameter in self._parameters.items()
            for member, _ in self._members
            for kind, tensor in member.state.get(parameter, {}).items()
        }

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Restore the state from named tensors, the inverse of `moments`."""
        for member, _ in self._members:
            own = {id(p) for group in member.param_groups for p in group["params"]}
            for name, parameter in self._parameters.items():
                found = {
                    kind: tensor
                    for kind, _, of, tensor in ((*k.partition("."), t) for k, t in saved.items())
                    if of == name
                }
                if found and id(parameter) in own:
                    member.state[parameter] = found


def learning_rate(recipe: Schedule, step: int) -> float:
    """The learning rate of a step 0 … steps - 1: linear warm-up, then decay to `final_rate` of the
    peak.

    cosine: f + (1 - f) · (1 + cos πt) / 2,  linear: 1 - (1 - f) · t,  t from 0 to 1 after the
    warm-up
    """
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    if recipe.decay == "constant":
        return recipe.learning_rate
    t = (step - recipe.warmup) / max(1, recipe.steps - 1 - recipe.warmup)
    left = (1 + math.cos(math.pi * t)) / 2 if recipe.decay == "cosine" else 1 - t
    return recipe.learning_rate * (recipe.final_rate + (1 - recipe.final_rate) * left)

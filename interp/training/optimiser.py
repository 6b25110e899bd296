"""The optimiser and its learning rate: AdamW, optionally with Muon for the blocks' matrices."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from interp.training.schedule import Schedule

_BLOCKS = (".h.", ".layers.")  # in a parameter's name, for GPT-2 and for Llama


def block_matrices(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The matrices of a model's blocks among its named parameters: no embedding, gain or bias."""
    return {
        name: p
        for name, p in parameters.items()
        if p.ndim == 2 and any(part in name for part in _BLOCKS)
    }


class Optimiser:
    """AdamW over named parameters, or Muon (Jordan 2024, torch's) over the matrices of the blocks
    and AdamW over all else. Matrices decay, gains and biases do not.

    Muon replaces a matrix' averaged gradient U S Vᵀ by U Vᵀ, times 0.2 · √max(rows, columns): an
    update of the size that AdamW's has, in all directions at once. A matrix is what the
    architecture stores as one: GPT-2's queries, keys and values are orthogonalised together, as
    c_attn [d_model, 3 · d_model] (d_model directions for the three), Llama's q, k and v each by
    itself. So one `muon_rate` is not the same update in both families.
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
        # Each with what its rate is of the recipe's.
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
        """Forget the gradients."""
        for member, _ in self._members:
            member.zero_grad()

    def step(self, rate: float) -> None:
        """Move the parameters at this learning rate."""
        for member, share in self._members:
            for group in member.param_groups:
                group["lr"] = rate * share
            member.step()

    def restart(self) -> None:
        """Forget the moments."""
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
        """Inverse of `moments`."""
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
    """The rate of step 0 … steps - 1: a linear warm-up, then down to `final_rate` of the peak.

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

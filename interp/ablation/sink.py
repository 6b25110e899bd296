"""Keys and values of the sink, which every token may attend to at every layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from interp.ablation.places import Places
from interp.engine.block_steps import KeysValues, embed, own_blocks, step
from interp.models.model import Model


@dataclass(frozen=True, eq=False)
class Sink:
    """Keys and values of the sink, one group for each distinct beginning of the prompts.

    group    int64 [n], the beginning of each prompt
    layers   keys and values [groups, heads, sink, d_head] of each layer; empty without a sink
    """

    group: torch.Tensor
    layers: list[KeysValues]

    @classmethod
    def of(cls, model: Model, places: Places) -> Sink:
        """The sink of these prompts. Raises ModelError for a wrapped module, whose attention cannot
        be masked."""
        own_blocks(model)
        n, length = len(places.batch), places.sink
        if length == 0:
            return cls(torch.zeros(n, dtype=torch.int64), [])
        tokens, group = torch.unique(places.batch.tokens[:, :length], dim=0, return_inverse=True)
        positions = torch.arange(length).expand(len(tokens), -1)
        resid = embed(model, tokens.reshape(-1), positions.reshape(-1))
        resid = resid.reshape(len(tokens), length, -1)
        layers = []
        for layer in range(model.shape.n_layers):
            resid, own = step(model, layer, resid, positions)
            layers.append(own)
        return cls(group, layers)

    def keys(self, layer: int, groups: torch.Tensor) -> KeysValues | None:
        """Keys and values for rows with these beginnings, None without a sink."""
        if not self.layers:
            return None
        found = self.layers[layer]
        return found.take(groups.to(found.k.device))

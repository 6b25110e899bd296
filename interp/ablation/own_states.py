"""States of the evaluated prompts in the full model, within a memory limit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation.places import Places
from interp.engine.block_steps import prefix_states
from interp.engine.requests import Cancel
from interp.models.model import Model

Ints = npt.NDArray[np.int64]


class OwnStates:
    """The states of the evaluated prompts at every depth: `memory` limits how many depths are held
    at once, and other depths are recomputed."""

    def __init__(self, model: Model, places: Places, memory: int, cancel: Cancel | None) -> None:
        self.model, self.sink, self.memory, self.cancel = model, places.sink, memory, cancel
        self.tokens = places.batch.tokens[:, : places.end]
        self.index = torch.from_numpy(beginnings(self.tokens.numpy()))
        self.first = 0  # depth of the first of `states`
        self.states = torch.empty(0)  # [depths, beginnings, d_model]

    def at(self, depth: int, rows: Ints, columns: Ints) -> torch.Tensor:
        if not 0 <= depth - self.first < len(self.states):
            self._make(depth)
        return self.states[depth - self.first][self.index[rows, self.sink + columns]]

    def _make(self, depth: int) -> None:
        """Compute the states from this depth on, or of every depth if they fit in `memory`."""
        shape, count = self.model.shape, int(self.index.max()) + 1
        every = shape.n_layers + 1
        depths = max(1, self.memory // (count * shape.d_model * self.model.dtype.itemsize))
        self.first = 0 if depths >= every else depth
        depths = min(depths, every - self.first)
        self.states = torch.empty(0)  # freed before the next are computed
        states = torch.empty(depths, count, shape.d_model, dtype=self.model.dtype)
        found_of = prefix_states(self.model, self.tokens, memory=self.memory, cancel=self.cancel)
        for rows, found in found_of:
            own = torch.empty(found.states.shape[1], dtype=torch.int64)
            own[found.index.reshape(-1)] = self.index[torch.from_numpy(rows)].reshape(-1)
            states[:, own] = found.states[self.first : self.first + depths].cpu()
        self.states = states


def beginnings(tokens: Ints) -> Ints:
    """A number for the prefix that ends at each position of some rows, [n, T]: equal for equal
    prefixes."""
    order = np.lexsort(tokens.T[::-1])
    new = np.ones(tokens.shape, dtype=bool)
    new[1:] = np.logical_or.accumulate(tokens[order][1:] != tokens[order][:-1], axis=1)
    number = np.cumsum(new).reshape(new.shape) - 1
    latest = np.maximum.accumulate(np.where(new, np.arange(len(tokens))[:, None], 0), axis=0)
    out = np.empty(tokens.shape, dtype=np.int64)
    out[order] = np.take_along_axis(number, latest, axis=0)
    return out

"""Positions that all rows of a minibatch share: run for one row, kept for the next minibatch."""

from __future__ import annotations

import torch

from interp.engine.passes import Job, forward
from interp.models.model import Model

KeysValues = dict[int, tuple[torch.Tensor, torch.Tensor]]


def common_prefix(tokens: torch.Tensor) -> int:
    """How many positions of `tokens` [n, T] are the same in all rows, from the first on."""
    same = (tokens == tokens[:1]).all(dim=0)
    return int(same.int().cumprod(0).sum())


class SharedPrefix:
    """Runs what minibatches begin with, in the blocks that anybody needs.

    Minibatches of one template begin alike, so the last prefix is kept: a pass over one row reads
    all weights, which in a language model takes as long as several rows.
    """

    def __init__(self, model: Model, stop_layer: int | None) -> None:
        # Not the sweep that asks, which holds this: all that it read would live in a circle.
        self._model, self._stop_layer = model, stop_layer
        self._last: tuple[tuple[int, ...], KeysValues] | None = None

    def __call__(
        self, tokens: torch.Tensor, rows: slice, width: int
    ) -> tuple[KeysValues, Job | None]:
        """Keys and values of `tokens` [n, T], whose n rows are the same, and the pass that it took:
        None where the last minibatch began so too. `rows` and `width` are as in `Job`."""
        key, job = tuple(tokens[0].tolist()), None
        if self._last is None or self._last[0] != key:
            one = slice(rows.start, rows.start + 1)
            job = Job(tokens[:1], one, width, stop_layer=self._stop_layer, keep=True)
            with self._model.lock:
                self._last = key, forward(self._model.adapter, job).keys_values
        n = len(tokens)
        return {
            layer: (k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1))
            for layer, (k, v) in self._last[1].items()
        }, job

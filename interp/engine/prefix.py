"""Common prefix of a minibatch: run for one row, cached for the next minibatch."""

from __future__ import annotations

import torch

from interp.engine.passes import Job, forward
from interp.models.model import Model

KeysValues = dict[int, tuple[torch.Tensor, torch.Tensor]]


def common_prefix(tokens: torch.Tensor) -> int:
    """Length of the common prefix of all rows of `tokens` [n, T]."""
    same = (tokens == tokens[:1]).all(dim=0)
    return int(same.int().cumprod(0).sum())


class SharedPrefix:
    """Runs the common prefix of minibatches, in the needed blocks.

    Minibatches of one template share a prefix, so the last one is cached: a pass over one row reads
    all weights, which in a language model takes as long as several rows.
    """

    def __init__(self, model: Model, stop_layer: int | None) -> None:
        # No reference to the calling sweep, which holds this: a cycle would keep its tensors alive.
        self._model, self._stop_layer = model, stop_layer
        self._last: tuple[tuple[int, ...], KeysValues] | None = None

    def __call__(
        self, tokens: torch.Tensor, rows: slice, width: int
    ) -> tuple[KeysValues, Job | None]:
        """Keys and values of `tokens` [n, T], n equal rows, and the pass that computed them: None
        if the last minibatch had the same prefix. `rows` and `width` are as in `Job`."""
        key, job = tuple(tokens[0].tolist()), None
        if self._model.adapter.rounds_by_width:
            key = (*key, width)
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

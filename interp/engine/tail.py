"""The last block at the positions that are read: the others need only their keys and values.

Nothing above the last block looks at its output before the first position read. There its queries,
output projection and MLP, four fifths of a block, are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, Protocol

import torch

from interp.engine.edits import NO_LAYER, Edit

AFTER_ATTENTION = ("z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post")


class Enough(BaseException):
    """Ends a block once its keys and values are known. Not an Exception: no module catches it."""


class Collect:
    """Key/value store that keeps what a block gives it and ends the block."""

    def __init__(self) -> None:
        self.found: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, k: torch.Tensor, v: torch.Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.found = (k, v)
        raise Enough


class Pass(Protocol):
    """What `tail_start` asks of a pass (`engine.passes.Job`)."""

    start: int
    first_layer: int
    stop_layer: int | None
    edits: Sequence[Edit]
    keep: bool
    logit_positions: torch.Tensor | None
    all_logits: bool
    tail: bool
    grad: bool

    @property
    def want(self) -> Set[tuple[str, int]]: ...


def later(x: Any, first: int, axis: int) -> Any:
    """Masks or rotary angles from the position `first` on, in whatever the adapter keeps them."""
    if x is None:
        return None
    if isinstance(x, Mapping):
        return {kind: later(part, first, axis) for kind, part in x.items()}
    if isinstance(x, tuple | list):
        return tuple(later(part, first, axis) for part in x)
    return x.narrow(axis, first, x.shape[axis] - first)


def tail_start(n_layers: int, job: Pass) -> int:
    """First position that the last block must compute in full; the pass's own first one where none
    can be skipped: edits or reads before its attention, at its earlier positions, or of the final
    norm."""
    last = n_layers - 1
    if not job.tail or job.grad or job.keep or job.all_logits or job.stop_layer is not None:
        return job.start
    if job.logit_positions is None or job.first_layer > last:
        return job.start
    if any(layer in (last, NO_LAYER) for _, layer in job.want):
        return job.start
    for edit in job.edits:
        if NO_LAYER in edit.layers or (last in edit.layers and edit.site not in AFTER_ATTENTION):
            return job.start
    read = job.logit_positions[job.logit_positions >= job.start]
    return max(job.start, int(read.min())) if read.numel() else job.start


def skipped_places(edit: Edit, rows: slice, n: int, start: int, tail: int) -> int:
    """(row, position) places of an edit of the last block between `start` and `tail`: without any
    effect, but edited as far as anyone can tell."""
    if edit.positions is None:
        return n * (tail - start)
    where = edit.positions[rows]
    return int(((where >= start) & (where < tail)).sum())

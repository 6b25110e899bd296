"""Schedule of an ablation: the layers that wait, transfer and compute.

    layers 0 … wait−1   the tokens wait: before layer `wait` each except the sink is replaced
    transfer layers     the last tokens look at all before them, the others at self and sink only
    compute layers      every token looks only at itself and the sink
    other layers        unmodified

`wait` is a count: wait=15 means that layers 0 to 14 wait, which arXiv 2509.09650 and its code call
L_wait = 14. `transfer` and `compute` are indices.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from interp.ablation.visible import PEEK, SELF, check_mask
from interp.errors import InputError

Head = tuple[int, int]


def _indices(name: str, values: int | Iterable[int]) -> tuple[int, ...]:
    try:
        found = (values,) if isinstance(values, int) else tuple(values)
        return tuple(sorted({operator.index(i) for i in found}))
    except TypeError as error:
        raise InputError(f"{name} are layer indices, whole numbers, not {values!r}.") from error


def _pairs(heads: Iterable[Iterable[int]]) -> tuple[Head, ...]:
    try:
        return tuple(
            sorted({(operator.index(layer), operator.index(head)) for layer, head in heads})
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"heads are pairs (layer, head), not {heads!r}.") from error


@dataclass(frozen=True)
class Schedule:
    """Which layers wait, transfer and compute; `Schedule()` is the full model.

    Args:
        wait: the number of layers that wait, from layer 0 on.
        transfer, compute: layer indices, all after the layers that wait.
        heads: the (layer, head) pairs that may look in transfer layers; the other heads take the
            compute mask. None: all heads.
        transfer_mask, compute_mask: the attention masks of these layers (`visible.MASKS`).

    Raises:
        InputError: for negative or overlapping layers, heads outside the transfer layers and
            unknown masks. `check` compares the layers with the model when the schedule is used.
    """

    wait: int = 0
    transfer: tuple[int, ...] = ()
    compute: tuple[int, ...] = ()
    heads: tuple[Head, ...] | None = None
    transfer_mask: str = PEEK
    compute_mask: str = SELF

    def __post_init__(self) -> None:
        if not isinstance(self.wait, int):
            raise InputError(f"wait is a number of layers, a whole one, not {self.wait!r}.")
        for name in ("transfer", "compute"):
            object.__setattr__(self, name, _indices(name, getattr(self, name)))
        if self.heads is not None:
            object.__setattr__(self, "heads", _pairs(self.heads))
        for mask in (self.transfer_mask, self.compute_mask):
            check_mask(mask)
        self._check_layers()

    def _check_layers(self) -> None:
        if self.wait < 0 or min((*self.transfer, *self.compute, 0)) < 0:
            raise InputError("layers are counted from 0: none can be negative.")
        if both := set(self.transfer) & set(self.compute):
            raise InputError(f"layer {min(both)} cannot both transfer and compute: choose one.")
        if early := [i for i in (*self.transfer, *self.compute) if i < self.wait]:
            raise InputError(
                f"layer {min(early)} waits: wait={self.wait} means layers 0 to {self.wait - 1}. "
                f"Let transfer and compute begin at layer {self.wait}."
            )
        out = [head for head in self.heads or () if head[0] not in self.transfer]
        if out:
            raise InputError(
                f"head {out[0][1]} of layer {out[0][0]} cannot look: that is no transfer layer of "
                f"this schedule ({', '.join(map(str, self.transfer)) or 'it has none'})."
            )

    @classmethod
    def all_for_one(
        cls, n_layers: int, wait: int, width: int, start: int | None = None
    ) -> Schedule:
        """The subgraph of arXiv 2509.09650: wait, then `width` layers of transfer from index
        `start` (None: where waiting ends), and compute in every other layer."""
        first = wait if start is None else start
        if first < wait or width < 0 or first + width > n_layers:
            raise InputError(
                f"{width} transfer layers from index {first} on, after {wait} that wait, do not "
                f"fit {n_layers} layers."
            )
        transfer = tuple(range(first, first + width))
        compute = tuple(i for i in range(wait, n_layers) if i not in transfer)
        return cls(wait, transfer, compute)

    def check(self, n_layers: int, n_heads: int, name: str) -> None:
        """Raise InputError for layers and heads that the model called `name` lacks."""
        if self.wait > n_layers:
            raise InputError(
                f"wait={self.wait} is past the last layer: {name} has {n_layers} layers, so at "
                f"most {n_layers} can wait (indices 0 to {n_layers - 1})."
            )
        for layer in (*self.transfer, *self.compute):
            if layer >= n_layers:
                raise InputError(
                    f"layer {layer} does not exist: {name} has layers 0 to {n_layers - 1}."
                )
        for layer, head in self.heads or ():
            if not 0 <= head < n_heads:
                raise InputError(
                    f"head {head} of layer {layer} does not exist: {name} has heads 0 to "
                    f"{n_heads - 1}."
                )

    def looking(self, layer: int) -> tuple[int, ...] | None:
        """The heads that may look in a transfer layer, None for all."""
        if self.heads is None:
            return None
        return tuple(head for at, head in self.heads if at == layer)

    @property
    def cuts(self) -> bool:
        """True if any token is replaced or any attention edge is cut."""
        return bool(self.wait or self.transfer or self.compute)

    def spec(self) -> dict[str, Any]:
        """The schedule as JSON values."""
        return {
            "wait": self.wait,
            "transfer": list(self.transfer),
            "compute": list(self.compute),
            "heads": None if self.heads is None else [list(head) for head in self.heads],
            "transfer_mask": self.transfer_mask,
            "compute_mask": self.compute_mask,
        }

    @classmethod
    def of(cls, given: Schedule | Mapping[str, Any]) -> Schedule:
        """The given schedule, or a schedule from its JSON values (the inverse of `spec`; missing
        values take the defaults of `Schedule()`).

        Raises InputError for invalid values, and for an empty mapping, the schedule of a search
        that found none.
        """
        if isinstance(given, cls):
            return given
        known = [part.name for part in fields(cls)]
        names = ", ".join(known)
        if not isinstance(given, Mapping) or not given:
            raise InputError(
                f"a schedule is a Schedule or a mapping with {names}; not {given!r}. The full "
                "model is Schedule()."
            )
        if unknown := sorted(set(given) - set(known)):
            raise InputError(f"a schedule has no {unknown[0]!r}: it has {names}.")
        return cls(**given)

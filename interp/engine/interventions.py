"""Interventions as data: frozen, comparable, serialisable values.

Each has a site, layers (None: all), roles (None: every position), heads (None: all) and, if needed,
a source of new values. The engine applies a list of interventions in order.

| value           | effect at the chosen places, x the activation, s the source's value            |
| Replace         | x ← s                                                                          |
| Add             | x ← x + scale · s                                                              |
| Scale           | x ← factor · x                                                                 |
| Project         | x ← x − (x·u)u, or x ← x − (x·u)u + value·u, with u the unit vector of s       |
| MaskAttention   | pattern ← 0 on the masked edges, rows renormalised to sum 1                    |
| Freeze          | x ← the value of the run without interventions (for path patching)             |
| UserHook        | x ← function(x): any user code; recorded in the Result                         |
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from interp.errors import InputError

Layers = tuple[int, ...] | None
Roles = tuple[str, ...] | None
Heads = tuple[int, ...] | None


def tensor_hash(tensor: torch.Tensor) -> str:
    """sha256 over dtype, shape and bytes; equal hashes mean the same source."""
    data = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{data.dtype} {tuple(data.shape)} ".encode())
    digest.update(data.view(torch.uint8).numpy().tobytes() if data.numel() else b"")
    return digest.hexdigest()


@dataclass(frozen=True)
class Zero:
    """Zeros."""

    def spec(self) -> dict[str, Any]:
        return {"kind": "zero"}


@dataclass(frozen=True)
class Mean:
    """Mean over all rows of the batch at the same site, layer and role, from a first pass."""

    def spec(self) -> dict[str, Any]:
        return {"kind": "mean"}


@dataclass(frozen=True)
class Clean:
    """The value of the run without interventions."""

    def spec(self) -> dict[str, Any]:
        return {"kind": "clean"}


@dataclass(frozen=True, eq=False)
class Constant:
    """One tensor for every row, role and layer, shaped as one position or one head of it."""

    value: torch.Tensor
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        value = self.value.detach().clone()
        if not torch.isfinite(value).all():
            raise InputError("a Constant source must be finite: it holds NaN or infinity.")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "digest", tensor_hash(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def spec(self) -> dict[str, Any]:
        return {"kind": "constant", "sha256": self.digest, "shape": list(self.value.shape)}


@dataclass(frozen=True, eq=False)
class Rows:
    """A separate value for every row and role: layer → tensor [n, roles, …].

    `Rows.of(run, site)` takes them from another run, row by row.
    """

    values: Mapping[int, torch.Tensor]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.values:
            raise InputError("a Rows source needs values for at least one layer.")
        held = {int(layer): value.detach().clone() for layer, value in self.values.items()}
        digest = hashlib.sha256(
            " ".join(f"{layer}:{tensor_hash(held[layer])}" for layer in sorted(held)).encode()
        ).hexdigest()
        object.__setattr__(self, "values", held)
        object.__setattr__(self, "digest", digest)

    @classmethod
    def of(cls, run: Any, site: str) -> Rows:
        """Activations that another Run read at `site`, row by row."""
        found = {layer: value for (name, layer), value in run.activations.items() if name == site}
        if not found:
            raise InputError(f"that run did not read {site!r}: add Read({site!r}, …) to its reads.")
        return cls(found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def spec(self) -> dict[str, Any]:
        return {"kind": "rows", "sha256": self.digest, "layers": sorted(self.values)}


Source = Zero | Mean | Clean | Constant | Rows


def selection(name: str, value: Any) -> tuple[Any, ...] | None:
    """A tuple of one or several names or numbers; None stays None and means all.

    Raises InputError for an empty selection, a role that is no string or a non-integer number.
    """
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = (value,)
    items = tuple(value)
    if not items:
        raise InputError(f"{name} is empty: name some, or leave it out for all.")
    if name in ("roles", "keys", "operand_digits"):
        if wrong := [item for item in items if not isinstance(item, str)]:
            raise InputError(f"{name} are named by text such as 'a0', not by {wrong[0]!r}.")
        return items
    try:
        return tuple(operator.index(item) for item in items)
    except TypeError as error:
        raise InputError(f"{name} must be whole numbers, not {items!r}.") from error


def _finite(name: str, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, not {value!r}.")


@dataclass(frozen=True, kw_only=True)
class _Edit:
    layers: Layers = None
    roles: Roles = None
    heads: Heads = None

    def __post_init__(self) -> None:
        for name in ("layers", "roles", "heads"):
            object.__setattr__(self, name, selection(name, getattr(self, name)))

    def spec(self) -> dict[str, Any]:
        """JSON description of the intervention; tensors appear as their hashes."""
        out: dict[str, Any] = {"intervention": type(self).__name__}
        for key, value in vars(self).items():
            if hasattr(value, "spec"):
                value = value.spec()
            elif callable(value):
                value = getattr(value, "__qualname__", repr(value))
            out[key] = list(value) if isinstance(value, tuple) else value
        return out


@dataclass(frozen=True)
class Replace(_Edit):
    """Set the activation to the source's value."""

    site: str
    source: Source


@dataclass(frozen=True)
class Add(_Edit):
    """Add `scale` times the source's value."""

    site: str
    source: Constant | Rows
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _finite("scale", self.scale)


@dataclass(frozen=True)
class Scale(_Edit):
    """Multiply by `factor`; 1 changes nothing."""

    site: str
    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _finite("factor", self.factor)


@dataclass(frozen=True)
class Project(_Edit):
    """Remove the component along `direction`, or set it to `value` times the unit vector."""

    site: str
    direction: Constant
    value: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _finite("value", self.value)
        if self.direction.value.ndim != 1 or not self.direction.value.any():
            raise InputError(
                f"a direction is one vector [width] that is not zero; this one has shape "
                f"{list(self.direction.value.shape)} and norm {float(self.direction.value.norm())}."
            )


@dataclass(frozen=True)
class Freeze(_Edit):
    """Hold the activation at its value in the run without interventions."""

    site: str

    @property
    def source(self) -> Source:
        return Clean()


@dataclass(frozen=True)
class MaskAttention(_Edit):
    """Cut attention edges and renormalise the remaining pattern.

    `roles` are the queries (None: all), `keys` the attended roles (None: all). `mode="block"` cuts
    those edges; `mode="only"` cuts all others of these queries. A query without any key left
    raises: it has no valid renormalisation.
    """

    keys: Roles = None
    mode: Literal["block", "only"] = "block"
    site: str = field(default="pattern", init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "keys", selection("keys", self.keys))
        if self.mode not in ("block", "only"):
            raise InputError(f"unknown mask mode {self.mode!r}. Use 'block' or 'only'.")


@dataclass(frozen=True)
class UserHook(_Edit):
    """Apply `function` to the whole activation of the site (shapes: `interp.models.adapter`)."""

    site: str
    function: Callable[[torch.Tensor], torch.Tensor]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.roles is not None or self.heads is not None:
            raise InputError(
                "a UserHook sees the whole activation: select roles and heads inside it."
            )


Intervention = Replace | Add | Scale | Project | Freeze | MaskAttention | UserHook

"""Interventions as data: frozen, comparable, serialisable values.

Each has a site, layers (None: all), roles (None: every position), heads (None: all; at `mlp_post`
they are neurons) and, if needed, a source of new values. The engine applies a list of interventions
in order.

| value           | effect at the chosen places, x the activation, s the source's value            |
| Replace         | x ← s                                                                          |
| Add             | x ← x + scale · s                                                              |
| Scale           | x ← factor · x                                                                 |
| Project         | x ← x − (x·u)u, or x ← x − (x·u)u + value·u, with u the unit vector of s       |
| MaskAttention   | pattern ← 0 on the masked edges, the rest of each row scaled to keep its sum   |
| Freeze          | x ← the value of the run without interventions (for path patching)             |
| UserHook        | x ← function(x): any user code; recorded in the Result                         |
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
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
    """Mean over all rows of the batch at the same site, layer and role, from a first pass; an
    intervention without roles takes the mean at every role."""

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
        value = check_tensor("a Constant", self.value).detach().clone()
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
        if not isinstance(self.values, Mapping):
            raise InputError(
                f"a Rows source maps layers to tensors, it is no {kind(self.values)}: write "
                f"Rows({{layer: tensor}}), or Rows.of(run, site)."
            )
        if not self.values:
            raise InputError("a Rows source needs values for at least one layer.")
        for layer, value in self.values.items():
            selection("the layers of a Rows source", layer)
            check_tensor(f"a Rows source at layer {layer}", value)
        held = {int(layer): value.detach().clone() for layer, value in self.values.items()}
        digest = hashlib.sha256(
            " ".join(f"{layer}:{tensor_hash(held[layer])}" for layer in sorted(held)).encode()
        ).hexdigest()
        object.__setattr__(self, "values", held)
        object.__setattr__(self, "digest", digest)

    @classmethod
    def of(cls, run: Any, site: str) -> Rows:
        """Activations that another Run read at `site`, row by row."""
        if not hasattr(run, "activations"):
            raise InputError(
                f"Rows.of takes a Run, as engine.run gives it, not a {kind(run)}: "
                f"Rows.of(engine.run(model, batch, reads=[{site!r}]), {site!r})."
            )
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
_REMEDIES = {Rows: "Rows.of(run, site)", Constant: "Constant(tensor)"}


def kind(value: object) -> str:
    """The type of a value as text, for an error: "numpy.ndarray", "str", "class Zero"."""
    if isinstance(value, type):
        return f"class {value.__name__}"
    of = type(value)
    return of.__name__ if of.__module__ == "builtins" else f"{of.__module__}.{of.__name__}"


def check_tensor(what: str, value: object) -> torch.Tensor:
    """The value; InputError unless it is a tensor of real numbers."""
    if not isinstance(value, torch.Tensor):
        raise InputError(
            f"{what} holds a torch tensor, not a {kind(value)}: write torch.as_tensor(value)."
        )
    if value.is_complex() or value.dtype == torch.bool:
        raise InputError(f"{what} holds real numbers, not {value.dtype}: write value.float().")
    return value


def _check_source(what: object, name: str, kinds: tuple[type, ...]) -> None:
    """Raise InputError unless the field `name` is one of these sources."""
    given = getattr(what, name)
    if isinstance(given, kinds):
        return
    known = ", ".join(_REMEDIES.get(one, f"{one.__name__}()") for one in kinds)
    raise InputError(f"the {name} of {type(what).__name__} is {known}, not a {kind(given)}.")


def check_site(site: object) -> None:
    """Raise InputError unless a site is named by text."""
    if not isinstance(site, str):
        raise InputError(f"a site is named by text such as 'resid_post', not by {site!r}.")


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
        if any(isinstance(item, bool) for item in items):
            raise TypeError
        return tuple(operator.index(item) for item in items)
    except TypeError as error:
        raise InputError(f"{name} must be whole numbers, not {items!r}.") from error


def _finite(name: str, value: float | None, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(
            f"{name} is one number for all places, not a {kind(value)}: write float(value), or one "
            f"intervention for each number."
        )
    if not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, not {value!r}.")


@dataclass(frozen=True, kw_only=True)
class _Edit:
    layers: Layers = None
    roles: Roles = None
    heads: Heads = None

    def __post_init__(self) -> None:
        check_site(getattr(self, "site", None))
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

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_source(self, "source", (Zero, Mean, Clean, Constant, Rows))


@dataclass(frozen=True)
class Add(_Edit):
    """Add `scale` times the source's value."""

    site: str
    source: Constant | Rows
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_source(self, "source", (Constant, Rows))
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
        _finite("value", self.value, optional=True)
        _check_source(self, "direction", (Constant,))
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
    """Cut attention edges and renormalise the remaining pattern to the row's sum: 1 for a softmax,
    its own where attention rows do not sum to 1 (`model.adapter.unit_rows`).

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
        if not callable(self.function):
            raise InputError(
                f"a UserHook applies a function of one tensor, not a {kind(self.function)}: "
                f"UserHook('resid_post', lambda x: x)."
            )
        if self.roles is not None or self.heads is not None:
            raise InputError(
                "a UserHook sees the whole activation: select roles and heads inside it."
            )


Intervention = Replace | Add | Scale | Project | Freeze | MaskAttention | UserHook


def as_interventions(given: object, owner: str = "interventions") -> tuple[Intervention, ...]:
    """The interventions of a list or tuple. Raises InputError for anything else."""
    if isinstance(given, _Edit):
        name = type(given).__name__
        raise InputError(f"{owner} is a list of interventions, not one {name}: write [{name}(…)].")
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise InputError(
            f"{owner} is a list of interventions, not a {kind(given)}: write "
            f"[Replace(site, Zero())]."
        )
    found = tuple(given)
    for one in found:
        if not isinstance(one, _Edit):
            raise InputError(
                f"{owner} holds a {kind(one)}, which is no intervention: write "
                f"Replace(site, source), Add, Scale, Project, Freeze, MaskAttention or UserHook."
            )
    return found

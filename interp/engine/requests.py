"""Request and result types of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from interp.engine.interventions import as_interventions, check_site, kind, selection
from interp.errors import Cancelled, InputError, MissingError

if TYPE_CHECKING:
    from interp.engine.interventions import Intervention
    from interp.models.prompts import PromptBatch

Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class Read:
    """Keep the activation of `site` at `layers` (None: all) and `roles` (None: every position).

    A role is "c2" for the token itself or "predicts(c2)" for the position before it. Short forms of
    a Read: ("resid_post", 0), "resid_post.0" and "resid_post".
    """

    site: str
    layers: tuple[int, ...] | None = None
    roles: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_site(self.site)
        object.__setattr__(self, "layers", selection("layers", self.layers))
        object.__setattr__(self, "roles", selection("roles", self.roles))

    @classmethod
    def of(cls, given: ReadLike) -> Read:
        """A Read, from a Read or a short form. Raises InputError for anything else."""
        if isinstance(given, Read):
            return given
        if isinstance(given, str):
            site, _, layer = given.partition(".")
            if not layer:
                return cls(site)
            if layer.isdigit():
                return cls(site, (int(layer),))
        elif isinstance(given, tuple) and len(given) in (2, 3) and isinstance(given[0], str):
            return cls(*given)
        raise InputError(
            f"{given!r} names no activation: write Read(site, layers, roles), (site, layer), "
            "'resid_post.0', or 'resid_post' for every layer"
        )


ReadLike = Read | str | tuple[Any, ...]


def as_reads(given: object) -> tuple[Read, ...]:
    """The reads of a list or tuple. Raises InputError for one read without the list, and for
    anything that names no activation."""
    if (
        isinstance(given, Read | str)
        or not isinstance(given, Iterable)
        or isinstance(given, Mapping)
    ):
        one = repr(given) if isinstance(given, str) else "Read(site, layers, roles)"
        raise InputError(f"reads is a list of reads, not a {kind(given)}: write [{one}].")
    return tuple(Read.of(read) for read in given)


class RoleLogits(torch.Tensor):
    """Logits [n, roles, d_vocab]; a role as index raises with the call that takes one.

    Whatever is computed from them is a plain tensor.
    """

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # as of nn.Parameter: results are not of this class
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    def __getitem__(self, index: Any) -> torch.Tensor:
        if named := [
            i for i in (index if isinstance(index, tuple) else (index,)) if isinstance(i, str)
        ]:
            raise InputError(
                f"logits are a tensor [prompt, role, token], which takes no name {named[0]!r}: "
                f"run.logit({named[0]!r}) gives the logits that predict a role."
            )
        return self.as_subclass(torch.Tensor)[index]


class Kept(dict[tuple[str, int], torch.Tensor]):
    """Tensors by (site, layer); a key that was not read raises with those that were."""

    def __missing__(self, key: object) -> torch.Tensor:
        known = [f"({site!r}, {layer})" for site, layer in self]
        shown = ", ".join(known[:6]) + (", …" if len(known) > 6 else "")
        told = f"keys are (site, layer): {shown}." if known else "nothing was read."
        raise MissingError(
            f"this run holds no {key!r}; {told} Add Read(site, layers) to its reads."
        )


@dataclass(frozen=True)
class Savings:
    """Computation that the engine skips. No option changes a result.

    Args:
        prefix: positions shared by all rows, or by a variant and the clean run.
        layers: blocks below a variant's first intervention.
        logits: the unembedding at unread positions.
        early_stop: blocks above the last read, positions after it, and in the last block those
            before the first.
        stacks: one pass for variants that start at the same place; it saves calls, no arithmetic.
    """

    prefix: bool = True
    layers: bool = True
    logits: bool = True
    early_stop: bool = True
    stacks: bool = True

    @classmethod
    def none(cls) -> Savings:
        return cls(False, False, False, False, False)


@dataclass(frozen=True)
class Resources:
    """Execution options, passed to the engine."""

    memory: int = 2**30
    cancel: Cancel | None = None
    progress: Progress | None = None
    savings: Savings | None = None


@dataclass(frozen=True)
class Variant:
    """One changed run: different prompts (same number of rows), interventions, or both."""

    name: str
    interventions: tuple[Intervention, ...] = ()
    batch: PromptBatch | None = None

    def __post_init__(self) -> None:
        owner = f"the second argument of Variant {self.name!r}"
        object.__setattr__(self, "interventions", as_interventions(self.interventions, owner))


@dataclass(frozen=True)
class Cost:
    """Floating-point operations of a run, and of a plain complete forward."""

    flops: float
    plain_flops: float
    seconds: float

    @property
    def share(self) -> float:
        """Operations spent as a share of the plain forward's."""
        return self.flops / self.plain_flops if self.plain_flops else 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.flops + other.flops,
            self.plain_flops + other.plain_flops,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, eq=False)
class Run:
    """Result of one run, rows in the order of the batch.

    `logits` [n, roles, d_vocab] are those that predict `logit_roles` (NaN where a row lacks the
    role). `activations` and `gradients` map (site, layer) to [n, roles, …]; `ln_final` has layer
    -1; `pattern` is [n, query roles, heads, keys]. `fired` counts the places each intervention
    edited; `changed` says whether any logit moved by more than equal means (None where not
    compared).
    """

    name: str
    logits: torch.Tensor | None
    logit_roles: tuple[str, ...]
    activations: Mapping[tuple[str, int], torch.Tensor]
    gradients: Mapping[tuple[str, int], torch.Tensor]
    fired: tuple[int, ...]
    changed: bool | None
    cost: Cost

    def __post_init__(self) -> None:
        if self.logits is not None:
            object.__setattr__(self, "logits", self.logits.as_subclass(RoleLogits))
        for name in ("activations", "gradients"):
            object.__setattr__(self, name, Kept(getattr(self, name)))

    def __repr__(self) -> str:
        held = {site: "" for site, _ in self.activations}
        parts = [] if self.logits is None else [f"logits at {', '.join(self.logit_roles)}"]
        parts += [f"activations of {', '.join(held)}"] if held else []
        parts += [f"{len(self.gradients)} gradients"] if self.gradients else []
        parts += [] if self.changed is None else [f"changed={self.changed}"]
        return f"Run({self.name!r}, {', '.join(parts) or 'nothing read'})"

    def logit(self, role: str) -> torch.Tensor:
        """Logits that predict `role`, [n, d_vocab]. Raises InputError if not requested."""
        if self.logits is None or role not in self.logit_roles:
            asked = ", ".join(self.logit_roles) or "none"
            raise InputError(f"logits for {role!r} were not asked for (logits: {asked}).")
        return self.logits[:, self.logit_roles.index(role)]  # a plain tensor


@dataclass
class Cancel:
    """A cancellation flag, checked between batches. Safe to set from another thread."""

    _event: threading.Event = field(default_factory=threading.Event)

    def set(self) -> None:
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled once `set` has been called."""
        if self._event.is_set():
            raise Cancelled("stopped on request; results so far were discarded.")


def tolerance(dtype: torch.dtype) -> float:
    """Largest difference of two equal logits, as a share of the largest |logit|."""
    known = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 4e-3}
    return known.get(dtype, 3e-2)  # the two 16-bit types: eight units in the last place

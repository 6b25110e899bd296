"""Activations of every probed site, from one pass of the model.

They are float32 [n, width], one array per hook and place, in memory if the budget allows and in a
memory-mapped file otherwise. The engine runs a few rows at a time, so that its own memory stays a
small part of the budget.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interp.engine._run import run
from interp.engine.requests import Cancel, Read
from interp.errors import InputError, SiteError, nearest
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from probes.places import roles_at

SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z", "mlp_post")
ENGINE_SHARE = 16  # a run and its minibatches each get 1/16 of the memory held or allowed
ENGINE_LEAST = 2**24  # bytes; with less a language model would run row by row
_FLOAT = np.dtype(np.float32)

Step = Callable[[], None]


class Hook(NamedTuple):
    """Site and layer of a probe, and its head if the site is z."""

    site: str
    layer: int
    head: int = -1


EMBEDDING = Hook("resid_pre", 0)
"""Token and position embeddings alone: the stream before the first block."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Arrays [places, n, width] by (site, layer)."""

    places: tuple[str, ...]
    arrays: dict[tuple[str, int], npt.NDArray[np.float32]] = field(repr=False)
    n_heads: int

    def at(self, hook: Hook, place: str) -> npt.NDArray[np.float32]:
        """Activations [n, width] of one hook at one place; NaN in rows without the place."""
        whole = self.arrays[hook.site, hook.layer][self.places.index(place)]
        if hook.head < 0:
            return whole
        width = whole.shape[1] // self.n_heads
        return whole[:, hook.head * width : (hook.head + 1) * width]


def hooks(
    model: Model,
    sites: Sequence[str],
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> tuple[Hook, ...]:
    """All hooks of these sites; z has one per head.

    Raises SiteError for a site that the model lacks or that is neither residual stream nor sublayer
    output, InputError for a layer or head that does not exist.
    """
    if not sites:
        raise InputError(f"there is no site: name some of {', '.join(SITES)}")
    for site in sites:
        if site not in SITES:
            raise SiteError(f"no probe reads {site!r}: choose {nearest(site, SITES)}")
        model.require_site(site)
    depth, width = model.shape.n_layers, model.shape.n_heads
    chosen = _within("layer", range(depth) if layers is None else layers, depth)
    wanted = _within("head", range(width) if heads is None else heads, width)
    if heads is not None and "z" not in sites:
        raise InputError("heads= is for the site 'z': add it to sites")
    return tuple(
        Hook(site, layer, head)
        for site in dict.fromkeys(sites)
        for layer in chosen
        for head in (wanted if site == "z" else (-1,))
    )


def _within(what: str, numbers: Sequence[int], count: int) -> tuple[int, ...]:
    if isinstance(numbers, str) or not isinstance(numbers, Iterable):
        raise InputError(f"{what}s are a list of whole numbers, not {numbers!r}: write [0, 1]")
    numbers = tuple(numbers)
    if not numbers:
        raise InputError(f"no {what} is named: name some, or leave them out for all")
    if odd := [i for i in numbers if isinstance(i, bool) or not isinstance(i, Integral)]:
        raise InputError(f"a {what} is a whole number, not {odd[0]!r}: write [0, 1]")
    if wrong := [i for i in numbers if not 0 <= i < count]:
        raise InputError(f"{what} {wrong[0]} does not exist: they go from 0 to {count - 1}")
    return tuple(dict.fromkeys(int(i) for i in numbers))


def width(model: Model, site: str) -> int:
    """Number of features of a site at one position, over all heads."""
    shape = model.shape
    return {"z": shape.n_heads * shape.d_head, "mlp_post": shape.d_mlp}.get(site, shape.d_model)


def bytes_of(model: Model, keys: Sequence[tuple[str, int]], n: int, places: int) -> int:
    """Size in bytes of the activations of these sites and layers."""
    return sum(width(model, site) for site, _ in keys) * n * places * _FLOAT.itemsize


def keys_of(found: Sequence[Hook]) -> tuple[tuple[str, int], ...]:
    """The (site, layer) pairs of these hooks."""
    return tuple(dict.fromkeys((hook.site, hook.layer) for hook in found))


def chunks(model: Model, keys: Sequence[tuple[str, int]], n: int, places: int, memory: int) -> int:
    """Rows per run of the engine, so that its output stays small beside the stored activations."""
    a_row = bytes_of(model, keys, 1, places)
    share = min(memory, n * a_row) // ENGINE_SHARE
    return int(min(n, max(share // max(1, a_row), 16)))


@contextmanager
def extracted(
    model: Model,
    batch: PromptBatch,
    found: Sequence[Hook],
    places: Sequence[str],
    *,
    memory: int,
    store: Path | None = None,
    cancel: Cancel | None = None,
    step: Step | None = None,
) -> Iterator[Activations]:
    """Context manager: the activations of `found` at `places`, valid within the block.

    Args:
        memory: bytes; above two thirds of it they go to files, in `store` or a temporary folder.
        step: called after each minibatch of `chunks` rows.

    Raises:
        InputError: if the folder lacks space, or a row that has the place has NaN activations.
    """
    keys, n = keys_of(found), len(batch)
    total = bytes_of(model, keys, n, len(places))
    with ExitStack() as stack:
        folder = None
        if 3 * total > 2 * memory:
            folder = store or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            (site, layer): _array(folder, f"{site}-{layer}", (len(places), n, width(model, site)))
            for site, layer in keys
        }
        rows = chunks(model, keys, n, len(places), memory)
        share = max(min(memory, total) // ENGINE_SHARE, ENGINE_LEAST)
        readers = [_reader(batch, place) for place in places]
        roles = tuple(dict.fromkeys(role for reader in readers for role in reader[0]))
        reads = [
            Read(site, tuple(la for s, la in keys if s == site), roles)
            for site in dict.fromkeys(site for site, _ in keys)
        ]
        for array in arrays.values():
            if isinstance(array, np.memmap) and store is not None:
                stack.callback(Path(str(array.filename)).unlink, missing_ok=True)
        for start in range(0, n, rows):
            if cancel is not None:
                cancel.check()
            part = slice(start, min(start + rows, n))
            _fill(arrays, model, batch, part, reads, roles, readers, share)
            if step is not None:
                step()
        yield Activations(tuple(places), arrays, model.shape.n_heads)


def _array(folder: Path | None, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if folder is None:
        return np.empty(shape, dtype=_FLOAT)
    try:
        return np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=_FLOAT, shape=shape
        )
    except OSError as error:
        raise InputError(
            f"the activations do not fit into {folder} ({error.strerror}): name another folder as "
            "store=, fewer prompts or fewer sites"
        ) from error


Reader = tuple[tuple[str, ...], npt.NDArray[np.intp]]


def _reader(batch: PromptBatch, place: str) -> Reader:
    """The roles at a place, and each row's index into them (-1: none)."""
    roles = roles_at(batch, place)
    names = tuple(dict.fromkeys(role for role in roles.tolist() if role))
    index = {role: i for i, role in enumerate(names)}
    return names, np.array([index.get(role, -1) for role in roles.tolist()], dtype=np.intp)


def _fill(
    arrays: dict[tuple[str, int], npt.NDArray[np.float32]],
    model: Model,
    batch: PromptBatch,
    part: slice,
    reads: Sequence[Read],
    roles: tuple[str, ...],
    readers: Sequence[Reader],
    memory: int,
) -> None:
    """Run the rows of `part` and store their activations in `arrays`."""
    mine = batch[part]
    present = [role for role in roles if (mine.find(role) >= 0).any()]
    if not present:  # of sums under ten none has a "c1"
        for target in arrays.values():
            target[:, part] = np.nan
        return
    asked = [Read(read.site, read.layers, tuple(present)) for read in reads]
    activations = run(model, mine, reads=asked, logits=None, memory=memory).activations
    for key, target in arrays.items():
        values = _flat(activations[key])
        for place, (names, which) in enumerate(readers):
            columns = np.array([present.index(r) if r in present else 0 for r in names])
            here = which[part]
            rows = np.arange(len(here))
            out = values[rows, columns[here]]
            out[here < 0] = np.nan
            target[place, part] = out


def _flat(value: Any) -> npt.NDArray[np.float32]:
    """Flatten [n, roles, …] to [n, roles, width]."""
    return np.asarray(value.float().flatten(2).numpy())

"""Long sweeps that survive a kill and split over machines: finished cells are kept in a folder.

A cell is a changed run of the same prompts: its name and interventions. Cells are measured in
chunks. With a folder, each finished chunk is written there atomically, under a key of everything
that its numbers depend on: weights, precision, prompts, sources and what is read. A call with the
same folder measures what is missing only. `shard="1/4"` measures every fourth chunk, from the
first; cells of other shards that are not kept yet are NaN. A last call without a shard merges them,
and measures nothing that is there.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.engine.interventions import Intervention
from interp.engine.requests import Resources
from interp.errors import InputError, StorageError
from interp.heads.cells import PARTS, Reader, parts_of_cells
from interp.heads.metrics import Floats, Readout
from interp.heads.pairs import Pairs
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.atomic import write_atomic

_CELLS = 64  # in a chunk


def shard_of(shard: str | None) -> tuple[int, int]:
    """Index from 0 and count of "1/4"; (0, 1) for None. Raises InputError for anything else."""
    if shard is None:
        return 0, 1
    index, slash, count = str(shard).partition("/")
    if slash and index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count):
        return int(index) - 1, int(count)
    raise InputError(f"shard={shard!r}: write '1/4' to '4/4' for the parts of four")


Cells = Mapping[str, tuple[Intervention, ...]]
Measure = Callable[[Cells, Resources], Floats]
"""Numbers [cells, …] of some cells."""


def read_cells_kept(
    model: Model,
    batch: PromptBatch,
    cells: Cells,
    pairs: Pairs,
    read: Reader,
    resources: Resources,
    *,
    keep: str | Path | None,
    shard: str | None,
) -> Readout:
    """Readouts [cells, n, answers], as `read_cells`, NaN where another shard has to measure.

    Raises InputError for a shard without a folder, StorageError where the folder cannot be used.
    """

    def measure(some: Cells, resources: Resources) -> Floats:
        return parts_of_cells(model, batch, some, pairs, read, resources)

    found = kept_cells(
        measure, model, batch, cells, resources,
        shape=(len(pairs), len(pairs.answers), PARTS), reads=(read.right, read.other),
        about={"needs": sorted(read.needs)}, keep=keep, shard=shard,
    )  # fmt: skip
    return read.readout(found)


def kept_cells(
    measure: Measure,
    model: Model,
    batch: PromptBatch,
    cells: Cells,
    resources: Resources,
    *,
    shape: tuple[int, ...],
    reads: Sequence[npt.NDArray[Any]],
    about: Mapping[str, Any],
    keep: str | Path | None,
    shard: str | None = None,
) -> Floats:
    """Numbers [cells, *shape] that `measure` gives for the cells: kept in a folder, or all at once
    without one. `reads` and `about` are what the numbers depend on beside the prompts and cells.

    Raises as `read_cells_kept`.
    """
    index, count = shard_of(shard)
    if keep is None:
        if count > 1:
            raise InputError("a shard needs a folder that all shards share: give keep=")
        return measure(cells, resources)
    folder = Path(keep) / _key(model, batch, cells, reads, about)
    names = list(cells)
    chunks = [names[i : i + _CELLS] for i in range(0, len(names), _CELLS)]
    out = np.full((len(names), *shape), np.nan)
    for number, chunk in enumerate(chunks):
        path = folder / f"{number:05d}.npy"
        rows = slice(number * _CELLS, number * _CELLS + len(chunk))
        if path.is_file():
            out[rows] = _load(path, out[rows].shape)
        elif number % count == index:
            some = {name: cells[name] for name in chunk}
            out[rows] = measure(some, replace(resources, progress=None))
            _save(path, out[rows])
        if resources.progress is not None:
            resources.progress(number + 1, len(chunks))
    return out


def _key(
    model: Model,
    batch: PromptBatch,
    cells: Cells,
    reads: Sequence[npt.NDArray[Any]],
    about: Mapping[str, Any],
) -> str:
    told = {
        "weights": model.hash,
        "dtype": str(model.dtype),
        "cells": {name: [what.spec() for what in edits] for name, edits in cells.items()},
        **about,
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    for array in (batch.tokens.numpy(), *reads):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def _load(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read ({error}): delete it, and run again") from error
    if found.shape != shape:
        raise StorageError(f"{path} holds another sweep: delete it, and run again")
    return np.asarray(found, dtype=float)


def _save(path: Path, values: npt.NDArray[np.float64]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be written ({error}): name another") from error

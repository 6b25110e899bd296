"""Assemble cells into a ProbeSweep; merge shards of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.errors import InputError
from interp.results.resampling import resampling
from probes.cell_scores import ProbeCell
from probes.design import Design
from probes.results.sweep import ProbeSweep
from probes.study import Study


def assemble(study: Study, found: Sequence[ProbeCell], settings: Mapping[str, Any]) -> ProbeSweep:
    """Return the ProbeSweep of a study from its cells.

    If a target's held-out rows differ between roles (some prompts lack a role), the table has the
    union of these rows, and a cell is NaN in rows without its role.
    """
    rows = _held_out(study)
    width = max(len(mine) for mine in rows.values())
    index = np.full((len(rows), width), -1, dtype=np.int64)
    true = np.full((len(rows), width), np.nan, dtype=np.float32)
    for i, target in enumerate(study.targets):
        mine = rows[target.name]
        index[i, : len(mine)] = mine
        true[i, : len(mine)] = target.values(study.batch.problems)[mine]
    predicted = np.full((len(found), width), np.nan, dtype=np.float32)
    tests = {(place, target.name): design.test for place, design, target in _each(study)}
    for i, cell in enumerate(found):
        name, place = str(cell.row["target"]), str(cell.row["role"])
        predicted[i, np.searchsorted(rows[name], tests[place, name])] = cell.predicted
    task = study.batch.problems.task
    labels = {target.name: target.labels(task) for target in study.targets}
    return ProbeSweep(
        model=study.model.id,
        task=task.name,
        n=len(study.batch),
        n_distinct=study.batch.n_distinct,
        seed=study.seed,
        settings=settings,
        format=study.batch.format,
        cells=pd.DataFrame([cell.row for cell in found]),
        names=tuple(target.name for target in study.targets),
        labels={name: mine for name, mine in labels.items() if mine is not None},
        rows=index,
        true=true,
        predicted=predicted,
        resampled=resampling(study.batch.problems).over,
    )


def merge(sweeps: Sequence[ProbeSweep]) -> ProbeSweep:
    """Merge the shards of one sweep; q is recomputed over all cells.

    Raises InputError for sweeps of different models, problems or settings.
    """
    if not sweeps:
        raise InputError("there is no sweep to merge")
    first = sweeps[0]
    for other in sweeps[1:]:
        same = (
            other.model == first.model
            and _without_shard(other.settings) == _without_shard(first.settings)
            and other.names == first.names
            and np.array_equal(other.rows, first.rows)
        )
        if not same:
            raise InputError("these are no shards of one sweep: model, problems or settings differ")
    cells = pd.concat([sweep.cells for sweep in sweeps], ignore_index=True)
    if cells.duplicated(["target", "site", "layer", "head", "role"]).any():
        raise InputError("two shards hold the same cell: give each shard once")
    settings = dict(first.settings) | {"shard": None}
    predicted = np.concatenate([sweep.predicted for sweep in sweeps])
    return replace(first, cells=cells, predicted=predicted, settings=settings)


def _without_shard(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "shard"}


def _each(study: Study) -> list[tuple[str, Design, Any]]:
    return [
        (place, design, target)
        for place in study.places
        for design in study.designs[place]
        for target in design.targets
    ]


def _held_out(study: Study) -> dict[str, npt.NDArray[np.int64]]:
    """The held-out rows of each target, over all roles, in order."""
    found: dict[str, npt.NDArray[np.int64]] = {}
    for _, design, target in _each(study):
        before = found.get(target.name, np.empty(0, dtype=np.int64))
        found[target.name] = np.union1d(before, design.test)
    return {target.name: found[target.name] for target in study.targets}

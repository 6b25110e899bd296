"""Run a probe sweep: one pass of the model, then the probes of each hook."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from interp.engine.requests import Cancel, Progress
from interp.errors import StorageError
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.untrained import untrained
from interp.results.atomic import write_atomic
from probes.activations import EMBEDDING, Activations, Hook, chunks, extracted, keys_of
from probes.cell_scores import Frame, ProbeCell, cells, frame
from probes.design import Design
from probes.fitting import Found, fit_design
from probes.places import bos_tokens
from probes.references import references
from probes.resample import Resamples
from probes.scores import score
from probes.targets import Target, trained_in


class FinishedHooks:
    """Store of a sweep's finished hooks, in a folder or in memory."""

    def __init__(self, folder: Path | None, what: Mapping[str, Any]) -> None:
        """`what` identifies the sweep: model hash, problems and settings, as JSON values. Several
        sweeps may share the folder."""
        key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = None if folder is None else folder / key
        self._held: dict[Hook, list[ProbeCell]] = {}

    def has(self, hook: Hook) -> bool:
        return hook in self._held or (self.folder is not None and self._path(hook).is_file())

    def write(self, hook: Hook, found: list[ProbeCell]) -> None:
        """Write atomically. Raises StorageError on failure and leaves no partial file."""
        if self.folder is None:
            self._held[hook] = found
            return
        rows = json.dumps([cell.row for cell in found])
        buffer = io.BytesIO()
        predicted = {f"cell{i}": cell.predicted for i, cell in enumerate(found)}
        np.savez(buffer, rows=np.array(rows), **predicted)  # type: ignore[arg-type]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path(hook), buffer.getvalue())

    def read(self, hook: Hook) -> list[ProbeCell]:
        """Raises StorageError for a damaged file."""
        if self.folder is None:
            return self._held[hook]
        path = self._path(hook)
        try:
            with np.load(path, allow_pickle=False) as held:
                rows = json.loads(str(held["rows"]))
                return [ProbeCell(row, held[f"cell{i}"]) for i, row in enumerate(rows)]
        except (OSError, ValueError, KeyError) as error:
            raise StorageError(f"{path} is damaged ({error}): delete it and run again") from error

    def _path(self, hook: Hook) -> Path:
        assert self.folder is not None
        return self.folder / f"{hook.site}-{hook.layer}-{hook.head}.npz"


FORM = 4  # format version of finished hooks on disk; other versions are recomputed

Step = Callable[[], None]
Designs = Mapping[str, Sequence[Design]]
Probes = dict[str, list[list[Found]]]  # place → design → target


@dataclass(frozen=True, eq=False)
class Study:
    """Inputs and resource limits of a sweep; see `probes.probe`."""

    model: Model
    batch: PromptBatch
    places: tuple[str, ...]
    targets: tuple[Target, ...]
    hooks: tuple[Hook, ...]
    designs: Designs
    controls: tuple[str, ...]
    seed: int
    memory: int
    store: Path | None
    jobs: int
    backend: str


def measure(
    study: Study,
    resume: Path | None,
    settings: Mapping[str, Any],
    progress: Progress | None,
    cancel: Cancel | None,
) -> list[ProbeCell]:
    """Cells of every hook of the study; hooks found in the folder `resume` are not recomputed."""
    what = {**settings, "shard": None, "model": study.model.hash, "seed": study.seed}
    what |= {
        "form": FORM,
        "rows": study.batch.problems.rows.tobytes().hex(),
        "bos": bos_tokens(study.batch),
    }
    parts = FinishedHooks(resume, what)
    missing = [hook for hook in study.hooks if not parts.has(hook)]
    if missing:
        _make(study, missing, parts, progress, cancel)
    return [cell for hook in study.hooks for cell in parts.read(hook)]


def _make(
    study: Study,
    missing: Sequence[Hook],
    parts: FinishedHooks,
    progress: Progress | None,
    cancel: Cancel | None,
) -> None:
    with_other = "untrained" in study.controls and not study.model.wrapped
    step = _steps(study, missing, with_other, progress)
    scores = _untrained_scores(study, missing, step, cancel) if with_other else {}
    with_embedding = _with_embedding(study)
    wanted = [*missing, EMBEDDING] if with_embedding else missing
    with extracted(
        study.model, study.batch, wanted, study.places, memory=study.memory, store=study.store,
        cancel=cancel, step=step,
    ) as activations:  # fmt: skip
        frames = _frames(study, activations if with_embedding else None)
        for hook, found in _fit(study, study.designs, activations, missing, step, cancel):
            made = []
            for place, by_design in found.items():
                for shared, probes in zip(frames[place], by_design, strict=True):
                    made += cells(shared, hook, probes)
            for cell in made:
                key = (hook, str(cell.row["role"]), str(cell.row["target"]))
                cell.row["untrained"] = scores.get(key, float("nan"))
            parts.write(hook, made)


def _with_embedding(study: Study) -> bool:
    """Whether the token's embedding is read: as a control, or as the reference of a fact about a
    whole number, which a single token may hold."""
    return "embedding" in study.controls or any(target.about for target in study.targets)


def _untrained_scores(
    study: Study, missing: Sequence[Hook], step: Step, cancel: Cancel | None
) -> dict[tuple[Hook, str, str], float]:
    """Scores of the same probes on the same architecture with random weights."""
    plain = {
        place: [design.without_controls() for design in mine]
        for place, mine in study.designs.items()
    }
    other = untrained(study.model, seed=study.seed)
    batch = replace(study.batch, model=other.id)
    scores = {}
    with extracted(
        other, batch, missing, study.places, memory=study.memory, store=study.store,
        cancel=cancel, step=step,
    ) as activations:  # fmt: skip
        for hook, found in _fit(study, plain, activations, missing, step, cancel):
            for place, by_design in found.items():
                for design, probes in zip(plain[place], by_design, strict=True):
                    for i, target in enumerate(design.targets):
                        said = probes[i].predicted
                        value = score(target, design.test_values[:, i], said)
                        scores[hook, place, target.name] = value
    return scores


def _frames(study: Study, activations: Activations | None) -> dict[str, list[Frame]]:
    """References and resamples of each place."""
    weights: dict[bytes, Resamples] = {}
    trained = trained_in(study.model.card, study.targets, study.batch.problems.task)
    out = {}
    for place in study.places:
        embedding = None if activations is None else activations.at(EMBEDDING, place)
        found = references(study.batch, study.designs[place], embedding, study.memory)
        out[place] = [
            frame(
                study.batch, design, against, weights,
                [target.name in trained for target in design.targets], study.seed,
            )
            for design, against in zip(study.designs[place], found, strict=True)
        ]  # fmt: skip
    return out


def _fit(
    study: Study,
    designs: Designs,
    activations: Activations,
    wanted: Sequence[Hook],
    step: Step,
    cancel: Cancel | None,
) -> Iterator[tuple[Hook, Probes]]:
    """Fit and yield the probes of each hook, in `study.jobs` joblib processes or threads."""
    jobs = _jobs(study, designs, activations, wanted)
    calls = (
        joblib.delayed(_fit_hook)(
            {place: activations.at(hook, place) for place in study.places},
            {place: designs[place] for place in study.places},
            study.memory // jobs,
        )
        for hook in wanted
    )
    workers = joblib.Parallel(n_jobs=jobs, backend=study.backend, return_as="generator")
    # One BLAS thread per job: at these sizes several would contend. joblib limits the threads of
    # its processes.
    with threadpool_limits(1, user_api="blas"):
        for hook, found in zip(wanted, workers(calls), strict=True):
            if cancel is not None:
                cancel.check()
            step()
            yield hook, found


def _jobs(study: Study, designs: Designs, activations: Activations, wanted: Sequence[Hook]) -> int:
    """The requested number of jobs, or as many as fit into memory. Each job holds one matrix per
    fold and a few more, [features, features], and its rows in float64."""
    with joblib.parallel_config(backend=study.backend):  # processes may be forbidden, threads not
        asked = joblib.effective_n_jobs(study.jobs)
    width = max(activations.at(hook, study.places[0]).shape[1] for hook in wanted)
    n = len(study.batch)
    folds = max(len(np.unique(d.split.fold)) for mine in designs.values() for d in mine)
    each = 8 * ((folds + 3) * min(n, width) ** 2 + 2 * n * width)
    return int(max(1, min(asked, study.memory // each)))


def _fit_hook(
    arrays: Mapping[str, npt.NDArray[np.float32]], designs: Designs, memory: int
) -> Probes:
    """Fit all probes of one hook; the maps are discarded."""
    return {
        place: [
            [replace(found, map=None) for found in fit_design(arrays[place], design, memory=memory)]
            for design in mine
        ]
        for place, mine in designs.items()
    }


def _steps(study: Study, missing: Sequence[Hook], twice: bool, progress: Progress | None) -> Step:
    """Progress callback, called once per minibatch and once per hook, with a known total."""
    n = len(study.batch)
    total = 0
    for wanted in [[*missing, EMBEDDING] if _with_embedding(study) else missing,
                   *([missing] if twice else [])]:  # fmt: skip
        rows = chunks(study.model, keys_of(wanted), n, len(study.places), study.memory)
        total += -(-n // rows) + len(missing)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return step

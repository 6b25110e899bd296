"""Checkpoint series of a training, and any analysis by training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from safetensors.torch import load_file

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.engine.progress import shows_progress
from interp.errors import InputError, ModelError
from interp.loading import load
from interp.many.calling import Analysis, apply, arguments, of_model, title
from interp.many.results.over_checkpoints import OverSeries
from interp.models.fixtures import INSTALL_MODELS, fixture_folder, fixture_folders, read_card
from interp.models.weights import weight_hash
from interp.results.identity import ModelId

if TYPE_CHECKING:
    from interp.engine.requests import Cancel
    from interp.models.model import Model


_WEIGHTS = ("model.safetensors", "adapter_model.safetensors")


@dataclass(frozen=True)
class Series:
    """The checkpoints of one training, oldest first.

    Args:
        name: the name of the trained model, or its folder.
        steps: optimiser steps, ascending.
        folders: one folder for each step, for `interp.load`.
    """

    name: str
    steps: tuple[int, ...]
    folders: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[int]:
        return iter(self.steps)

    def folder(self, step: int) -> Path:
        """The folder of a step. Raises InputError, with the existing steps, for any other."""
        if step not in self.steps:
            known = ", ".join(map(str, self.steps))
            raise InputError(f"no checkpoint of {self.name} at step {step}; there are {known}")
        return self.folders[self.steps.index(step)]

    def named(self, step: int) -> str:
        """The checkpoint as `interp.load` takes it: "mod113@1250" of a shipped model, otherwise
        its folder. Raises as `folder`."""
        folder = self.folder(step)
        return f"{self.name}@{step}" if fixture_folder(self.name) else str(folder)

    def load(self, step: int, **options: Any) -> Model:
        """The model after `step` steps; options as `interp.load`.

        Raises ModelError if its weights differ from those that its card describes.
        """
        folder = self.folder(step)
        model = load(self.named(step), **options)
        said = (read_card(folder) or {}).get("weight_hash")
        weights = folder / next(name for name in _WEIGHTS if (folder / name).is_file())
        if said is not None and weight_hash(load_file(weights)) != said:
            raise ModelError(f"{weights} is not what its card describes: train the series again")
        return model


def checkpoints(name: str | Path) -> Series:
    """The checkpoints of a shipped model or of a trained folder.

    Raises ModelError if there are none (only a recipe with `series=(…)` keeps them), or if they
    and the finished model are not all of one run.
    """
    path = fixture_folder(str(name)) or Path(name).expanduser()
    folders = sorted(
        folder
        for folder in path.glob("series/step-*")
        if any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
    )
    if not folders:
        having = [key for key, folder in fixture_folders().items() if (folder / "series").is_dir()]
        known = f"those that ship one: {', '.join(having)}" if having else INSTALL_MODELS
        raise ModelError(
            f"{name} has no checkpoint series. Use {known}; or train with --set series=[0,100,1000]"
        )
    _check_one_run(path, folders)
    steps = tuple(int(folder.name.partition("-")[2]) for folder in folders)
    return Series(str(name), steps, tuple(folders))


def _check_one_run(model: Path, folders: Sequence[Path]) -> None:
    """Raise ModelError if the cards, the finished model's included, differ in recipe or seed."""
    runs = {folder.name: (read_card(folder) or {}).get("run") for folder in folders}
    finished = read_card(model) or {}
    if "recipe" in finished:
        own = finished["recipe"]
        runs[model.name] = {"recipe": own.get("name"), "seed": own.get("seed")}
    first = next(iter(runs))
    for name, run in runs.items():
        if run != runs[first]:
            raise ModelError(
                f"the checkpoints in {model / 'series'} are of different trainings: {first} is of "
                f"{_told(runs[first])}, {name} of {_told(run)}. Delete the folder of those that do "
                "not belong, or train again with resume=False (--no-resume)"
            )


def _told(run: Mapping[str, Any] | None) -> str:
    return f"{run['recipe']}, seed {run['seed']}" if run else "an unknown run"


@shows_progress
def over_checkpoints(
    of: Series | str | Path,
    analysis: Analysis,
    asked: Problems | Task | str | None = None,
    *,
    steps: Sequence[int] | None = None,
    cancel: Cancel | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> OverSeries:
    """Metrics of an analysis by training step, from a run on every checkpoint of a series.

    Args:
        of: a series, or the name or folder of a model that has one.
        analysis, asked, options: as `interp.over_seeds`; all checkpoints get the same problems.
        steps: the steps of the checkpoints to run; None for all.
        cancel: passed on to the analysis. progress: counts checkpoints.

    Does not show: changes between two checkpoints.

    Raises:
        ModelError: for a model without checkpoints; InputError: for a step that was not kept.
    """
    found = of if isinstance(of, Series) else checkpoints(of)
    chosen = found.steps if steps is None else tuple(sorted(steps))
    if not chosen:
        raise InputError("no step was asked for; leave steps out for all of them")
    for step in chosen:
        found.folder(step)  # checks every step before the first run
    results, hashes = [], []
    each: dict[str, dict[str, Any]] = {}
    for at, step in enumerate(chosen):
        model = found.load(step)
        each[model.name] = of_model(options, model)
        results.append(apply(analysis, model, asked, each[model.name], cancel))
        hashes.append(model.hash)
        if progress is not None:
            progress(at + 1, len(chosen))
    rows = [
        (step, metric, float(value))
        for step, result in zip(chosen, results, strict=True)
        for metric, value in result.metrics.items()
    ]
    return OverSeries(
        model=ModelId(found.name, hashes[-1]),
        task=results[0].task,
        n=min(result.n for result in results),
        n_distinct=min(result.n_distinct for result in results),
        seed=results[0].seed,
        settings=arguments(asked, options, each, model, found.name)
        | {"steps": None if steps is None else list(chosen)},
        analysed=results[0].analysis,
        function=title(analysis),
        steps=chosen,
        hashes=tuple(hashes),
        values=pd.DataFrame(rows, columns=["step", "metric", "value"]),
    )

"""One analysis on several models: agreement of metrics and Grids across seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.engine.progress import shows_progress
from interp.errors import InputError, ModelError
from interp.loading import load
from interp.many.calling import Analysis, apply, arguments, check_same_sample, of_model, title
from interp.many.results.over_seeds import Agreement
from interp.models.fixtures import MODELS_APART, fixture_folder, fixture_folders
from interp.results.grid import Grid
from interp.results.result import Result
from interp.training.saved_recipes import differing_fields

if TYPE_CHECKING:
    from interp.engine.requests import Cancel
    from interp.models.model import Model

EXCHANGEABLE = ("head", "neuron")
"""Axes whose numbers mean nothing across seeds: head 2 of one model is not head 2 of another."""


def seeds_of(name: str) -> tuple[str, ...]:
    """The shipped models that share one name: `add5`, `add5-s1`, `add5-s2`.

    The match is by name only; `over_seeds` compares the recipes in their cards.

    Raises ModelError if none of that name is shipped, or one is not installed.
    """
    folders = sorted({*fixture_folders(), *MODELS_APART})
    found = tuple(
        other
        for other in folders
        if other == name or (other.startswith(f"{name}-s") and other[len(name) + 2 :].isdigit())
    )
    if not found:
        raise ModelError(f"no model {name!r} is shipped; there are {', '.join(folders)}")
    for other in found:
        fixture_folder(other)  # raises if not installed
    return found


@shows_progress
def over_seeds(
    models: Sequence[str | Model],
    analysis: Analysis,
    asked: Problems | Task | str | None = None,
    *,
    exchangeable: Sequence[str] = EXCHANGEABLE,
    shuffles: int = 200,
    cancel: Cancel | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Agreement:
    """Agreement of an analysis across models, which it runs on each.

    The table has the mean and range of every metric. Every Grid is compared cell by cell, for each
    pair of models: Spearman's rank correlation of the cells that both have, the share of cells
    whose sign agrees, and as control the correlation with the cells of one model shuffled.
    Exchangeable axes (heads, neurons) are summed over first. The summary metrics leave out Grids
    that are equal in all models, such as an oracle, as they carry no information about the models.
    If the recipes in the models' cards differ in more than name and seed, settings and verdict name
    the fields: the models then differ in more than the seed.

    Args:
        models: names as `interp.load` takes them, or loaded models; at least two.
        analysis: a function of a model that returns a Result, `interp.attribution.counterfactual`.
        asked: a task's name, a Task or Problems, the same for all models. For a task, the sample
            comes from the problems held out from training (`interp.models.asking`).
        exchangeable: axes to sum over, because their indices do not correspond across seeds.
        shuffles: the number of shuffles of the control (seed 0).
        options: further arguments of the analysis. A plain function is called with each model, and
            the analysis gets its return value.
        cancel: passed on to the analysis. progress: counts models.

    Does not show: that models with equal results use the same computation. Cells that depend on
    each other (neighbouring digits) also make the correlation exceed the shuffled one too easily.

    Raises:
        InputError: for fewer than two models, the same one twice, Results of different kinds, or a
            task whose sample differs between models.
    """
    if not isinstance(models, list | tuple) or len(models) < 2:
        raise InputError("agreement needs at least two models: give a list, or interp.seeds_of(…)")
    results: list[Result] = []
    opened: list[Model] = []
    own: dict[str, dict[str, Any]] = {}
    for at, each in enumerate(models):
        model = load(each) if isinstance(each, str) else each
        opened.append(model)
        own[model.name] = of_model(options, model)
        results.append(apply(analysis, model, asked, own[model.name], cancel))
        if progress is not None:
            progress(at + 1, len(models))
    names = [model.name for model in opened]
    if len(set(names)) < len(names):
        raise InputError(f"a model is given twice: {', '.join(names)}")
    if len({type(result) for result in results}) > 1:
        raise InputError(f"{title(analysis)} gave Results of different kinds: compare like to like")
    check_same_sample(asked, opened, results)
    cells = _cells(names, results, tuple(exchangeable))
    tasks = {result.task for result in results}
    return Agreement(
        model=None,
        task=tasks.pop() if len(tasks) == 1 else "",
        n=min(result.n for result in results),
        n_distinct=min(result.n_distinct for result in results),
        seed=results[0].seed,
        settings=arguments(asked, options, own, opened[0], opened[0].id.name)
        | {"exchangeable": list(exchangeable), "shuffles": shuffles}
        | {"recipes_differ_in": _differing(opened)},
        analysed=results[0].analysis,
        function=title(analysis),
        models=tuple(names),
        hashes=tuple(model.hash for model in opened),
        values=_values(names, results),
        cells=cells,
        pairs=_pairs(names, cells, shuffles),
    )


def _differing(models: Sequence[Model]) -> list[str] | None:
    """The fields in which the recipes of the models' cards differ, apart from name and seed; None
    if a model has no card with a recipe."""
    recipes = [(model.card or {}).get("recipe") for model in models]
    known = [recipe for recipe in recipes if recipe]
    return list(differing_fields(known)) if len(known) == len(recipes) else None


def _values(names: list[str], results: list[Result]) -> pd.DataFrame:
    rows = [
        (metric, name, float(value))
        for name, result in zip(names, results, strict=True)
        for metric, value in result.metrics.items()
    ]
    return pd.DataFrame(rows, columns=["metric", "model", "value"])


def _cells(names: list[str], results: list[Result], exchangeable: tuple[str, ...]) -> pd.DataFrame:
    """One row for each Grid, cell and model."""
    parts = []
    for name, result in zip(names, results, strict=True):
        for grid, value in grids(result).items():
            table = _totals(value, exchangeable).frame("value")
            axes = [axis for axis in table.columns if not axis.startswith("value")]
            label = table[axes].astype(str).agg(" ".join, axis=1) if axes else "all"
            parts.append(
                pd.DataFrame({"grid": grid, "cell": label, "model": name, "value": table["value"]})
            )
    if not parts:
        return pd.DataFrame(
            {"grid": np.array([], str), "cell": np.array([], str), "model": np.array([], str)}
        ).assign(value=np.array([], float))
    return pd.concat(parts, ignore_index=True)


def grids(result: Result) -> dict[str, Grid]:
    """The Grids among a Result's fields; for a Result with tables of numbers, its `grids`."""
    found = {field.name: getattr(result, field.name) for field in fields(result)}
    return {
        name: value
        for name, value in (found | getattr(result, "grids", {})).items()
        if isinstance(value, Grid)
    }


def _totals(grid: Grid, exchangeable: tuple[str, ...]) -> Grid:
    """The Grid summed over its exchangeable axes; a sum of NaN alone stays NaN."""
    summed = tuple(at for at, axis in enumerate(grid.axes) if axis.name in exchangeable)
    if not summed:
        return Grid(grid.values, grid.axes)
    kept = tuple(axis for axis in grid.axes if axis.name not in exchangeable)
    unknown = np.isnan(grid.values).all(axis=summed)
    return Grid(np.where(unknown, np.nan, np.nansum(grid.values, axis=summed)), kept)


def _pairs(names: list[str], cells: pd.DataFrame, shuffles: int) -> pd.DataFrame:
    """One row for each Grid and pair of models."""
    rng = np.random.default_rng(0)
    rows = []
    for grid, part in cells.groupby("grid", sort=False):
        table = part.pivot(index="cell", columns="model", values="value")
        for first, second in combinations(names, 2):
            both = table[[first, second]].dropna().to_numpy()
            x, y = both.T
            control = [rank_correlation(x, rng.permutation(y)) for _ in range(shuffles)]
            rows.append(
                {
                    "grid": grid,
                    "first": first,
                    "second": second,
                    "cells": len(both),
                    "identical": bool(len(both) and np.array_equal(x, y)),
                    "rank_correlation": rank_correlation(x, y),
                    "same_sign": float((np.sign(x) == np.sign(y)).mean()) if len(x) else np.nan,
                    "shuffled": float(np.quantile(control, 0.95)) if control else np.nan,
                }
            )
    columns = ["grid", "first", "second", "cells", "identical", "rank_correlation", "same_sign"]
    return pd.DataFrame(rows, columns=[*columns, "shuffled"])


def rank_correlation(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Spearman's correlation: Pearson's of the ranks, ties at their mean rank; NaN below 3 cells
    or if either is constant."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    ranks = [pd.Series(values).rank().to_numpy() for values in (x, y)]
    return float(np.corrcoef(*ranks)[0, 1])

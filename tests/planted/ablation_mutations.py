"""The search for wait, transfer and compute, made wrong in small ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from interp.ablation.batched_schedules import BatchedSchedules, StagedSchedule
from interp.ablation.replacement_states import ReplacementStates
from interp.ablation.schedule import Schedule


def _one_less(deepest_wait: Callable[..., Any]) -> Callable[..., Any]:
    """What a confusion of counts and indices does."""
    return lambda *args: None if (wait := deepest_wait(*args)) is None else max(wait - 1, 0)


def _layer_above(at: Callable[..., Any]) -> Callable[..., Any]:
    """Waiting tokens are given what they have one layer later."""

    def moved(replaced: ReplacementStates, depth: int) -> Any:
        return at(replaced, min(depth + 1, replaced.model.shape.n_layers))

    return moved


def _next_head(looking: Callable[..., Any]) -> Callable[..., Any]:
    """Each head's lower neighbour looks in its place; the first head's upper one."""

    def moved(schedule: Schedule, layer: int) -> Any:
        heads = looking(schedule, layer)
        return None if heads is None else tuple(head - 1 if head else 1 for head in heads)

    return moved


def _layer_later(of: Callable[..., Any]) -> Any:
    def moved(cls: type[StagedSchedule], schedule: Schedule, n_layers: int) -> StagedSchedule:
        cell = of(schedule, n_layers)
        return replace(cell, looks=(*cell.looks[-1:], *cell.looks[:-1]))

    return classmethod(moved)


def _others_rows(read: Callable[..., Any]) -> Callable[..., Any]:
    """Every prompt is credited with its neighbour's answer."""
    return lambda cells, states: read(cells, states.roll(1, dims=0))


def _no_key(build_table: Callable[..., Any]) -> Callable[..., Any]:
    """Means over all prompts at the role, whatever the token."""
    return lambda model, batch, given, **options: build_table(model, batch, "nothing", **options)


def _nobody_looks(seen: Callable[..., Any]) -> Callable[..., Any]:
    return lambda places, mask, *args: seen(places, "self-peek", *args)


def _dearest_first(both: Callable[..., Any]) -> Callable[..., Any]:
    """Heads are cut in the wrong order."""

    def flipped(*args: Any) -> Any:
        kept, difference = both(*args)
        return (kept[::-1], difference[::-1]) if len(kept) > 1 else (kept, difference)

    return flipped


def _layers_late(measure: Callable[..., Any]) -> Callable[..., Any]:
    def shifted(*args: Any) -> Any:
        table, right = measure(*args)
        return table.assign(layer=np.where(table["layer"] < 0, -1, table["layer"] + 1)), right

    return shifted


_SEARCH = "interp.ablation.search"
ABLATION: tuple[tuple[str, Any, str, Callable[..., Any]], ...] = (
    ("wait off by one", _SEARCH, "_deepest_wait", _one_less),
    ("states of the layer above", ReplacementStates, "at", _layer_above),
    ("heads shifted by one", Schedule, "looking", _next_head),
    ("transfer layers off by one", StagedSchedule, "of", _layer_later),
    ("answers of others", BatchedSchedules, "_read", _others_rows),
    ("own token forgotten", "interp.ablation.replacement_states", "build_table", _no_key),
    ("nobody looks", "interp.ablation.batched_schedules", "_seen", _nobody_looks),
    ("heads ranked upside down", _SEARCH, "_both", _dearest_first),
    ("removed layers off by one", "interp.ablation._af1", "measure", _layers_late),
)

"""The difference of two Results of one analysis, cell by cell.

    d = b − a                       over the labels that both have
    low  = d − √((b − b_low)² + (a_high − a)²)
    high = d + √((b_high − b)² + (a − a_low)²)

The interval recovers the variances from both Results' own intervals (MOVER, Zou and Donner 2008),
as for independent samples; where both were asked the same prompts, and these are hard or easy for
both, it is wider than need be. Where the prompts are the same and both Results keep the values by
prompt behind the Grid, the difference is taken prompt by prompt and resampled instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from interp.errors import InputError, nearest
from interp.many._over_seeds import EXCHANGEABLE, grids
from interp.many.results.compare import Comparison
from interp.results.grid import Axis, Grid
from interp.results.intervals import Interval, mean_interval
from interp.results.result import Result

Floats = npt.NDArray[np.float64]


def compare(
    first: Result,
    second: Result,
    *,
    grid: str | None = None,
    at: Mapping[str, str] | None = None,
) -> Comparison:
    """One Grid of two Results side by side, and second − first where their labels agree.

    Args:
        first, second: Results of one analysis: of two models, checkpoints, seeds or tasks.
        grid: which Grid of theirs; None means the main one, the first field.
        at: labels at which further axes are held, {"layer": "0"}.

    Returns:
        Both Grids, and the difference over the labels that both have, with an interval where both
        have one.

    Does not show: that heads or neurons of the same number in two models do the same.

    Raises:
        InputError: for Results of different kinds, a Grid or label that they lack, Grids with other
            axes, or without a label in common.
    """
    for one in (first, second):
        if not isinstance(one, Result):
            raise InputError(f"compare takes two Results, not a {type(one).__name__}")
    if type(first) is not type(second):
        raise InputError(
            f"a {type(first).__name__} and a {type(second).__name__} cannot be compared: take two "
            "Results of one analysis"
        )
    name = _named(first, grid)
    same = _problems(first) == _problems(second)
    a, b = (_held(_grid(one, name), dict(at or {})) for one in (first, second))
    shared = _shared(a, b)
    change = _difference(_cut(a, shared), _cut(b, shared), shared)
    paired = _paired(first, second, a, b) if same else None
    if paired is not None:
        change = Grid(change.values, change.axes, *paired)
    seeds = (first.seed, second.seed)
    return Comparison(
        model=first.model if first.model == second.model else None,
        task=first.task if first.task == second.task else "",
        n=min(first.n, second.n),
        n_distinct=min(first.n_distinct, second.n_distinct),
        seed=first.seed if first.seed == second.seed else None,
        settings={
            "at": dict(at) if at else None,
            "asked_for": grid,
            "seeds": list(seeds),
            "n": [first.n, second.n],
            "same_prompts": same,
        },
        analysed=first.analysis,
        grid=name,
        names=_names(first, second),
        hashes=tuple("" if x.model is None else x.model.hash for x in (first, second)),
        codes=(first.code, second.code),
        first=a,
        second=b,
        difference=change,
        paired=paired is not None,
        alone=tuple(_alone(a, b, shared)),
        exchangeable=_exchangeable(first, second, a),
    )


def comparable(kind: type[Result]) -> bool:
    """Whether Results of this type hold a Grid, read off their fields."""
    declared = [str(field.type) for field in kind.__dataclass_fields__.values()]
    return any(re.search(r"\bGrid\b", text) for text in declared) or hasattr(kind, "grids")


def _named(result: Result, grid: str | None) -> str:
    known = list(grids(result))
    if not known:
        raise InputError(
            f"a {type(result).__name__} holds no Grid to compare: interp.over_seeds compares its "
            "metrics"
        )
    if grid is not None and grid not in known:
        raise InputError(f"there is no Grid {grid!r}: choose {nearest(grid, known)}")
    return known[0] if grid is None else grid


def _grid(result: Result, name: str) -> Grid:
    found = grids(result)
    if name not in found:
        raise InputError(f"one of the two has no Grid {name!r}: it has {', '.join(found)}")
    return found[name]


def _held(grid: Grid, at: Mapping[str, str]) -> Grid:
    held = grid.at(**at)
    if not isinstance(held, Grid):
        raise InputError("every axis is held: leave one free in at=")
    return held


def _shared(a: Grid, b: Grid) -> tuple[Axis, ...]:
    names = [axis.name for axis in a.axes]
    if names != [axis.name for axis in b.axes]:
        others = [axis.name for axis in b.axes]
        raise InputError(f"the axes differ: {', '.join(names)} against {', '.join(others)}")
    found = []
    for axis in a.axes:
        both = [label for label in axis.labels if label in b.axis(axis.name).labels]
        if not both:
            raise InputError(
                f"no {axis.name.replace('_', ' ')} is in both: there is nothing to subtract"
            )
        found.append(Axis(axis.name, tuple(both)))
    return tuple(found)


def _cut(grid: Grid, axes: Sequence[Axis]) -> Grid:
    """The Grid at these labels alone."""
    where = np.ix_(
        *([own.labels.index(x) for x in axis.labels]
          for own, axis in zip(grid.axes, axes, strict=True))
    )  # fmt: skip
    ends = (None if end is None else end[where] for end in (grid.low, grid.high))
    return Grid(grid.values[where], tuple(axes), *ends)


def _difference(a: Grid, b: Grid, axes: Sequence[Axis]) -> Grid:
    change = b.values - a.values
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Grid(change, tuple(axes))
    low = change - np.hypot(b.values - b.low, a.high - a.values)
    high = change + np.hypot(b.high - b.values, a.values - a.low)
    return Grid(change, tuple(axes), low, high)


def _paired(first: Result, second: Result, a: Grid, b: Grid) -> Interval | None:
    """Interval of the mean difference of values by prompt; None where not both Grids are means of
    values that their Result keeps."""
    kept = [_by_prompt(one, grid) for one, grid in ((first, a), (second, b))]
    if kept[0] is None or kept[1] is None or kept[0].shape != kept[1].shape or a.axes != b.axes:
        return None
    groups = getattr(first, "group", None)
    return mean_interval(kept[1] - kept[0], groups, seed=first.seed or 0)


def _by_prompt(result: Result, grid: Grid) -> Floats | None:
    """Values [n, …cells] whose means are the Grid's, if the Result keeps them."""
    values = np.asarray(getattr(result, "by_prompt", np.nan), dtype=np.float64)
    if values.shape[1:] != grid.shape or len(values) < 2:
        return None
    known = np.isfinite(values)
    means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    same = np.isclose(means, grid.values, rtol=1e-4, atol=1e-6) | ~known.any(axis=0)
    return values if same.all() else None


def _alone(a: Grid, b: Grid, shared: Sequence[Axis]) -> list[str]:
    """Labels that one of the two lacks, "answer_digit c5 (first)"."""
    return [
        f"{axis.name.replace('_', ' ')} {label} ({which})"
        for which, grid in (("first", a), ("second", b))
        for axis, both in zip(grid.axes, shared, strict=True)
        for label in axis.labels
        if label not in both.labels
    ]


def _names(first: Result, second: Result) -> tuple[str, str]:
    """What sets the two apart: model, task, and seed or sample where these are equal."""
    parts = [
        (one.model.name if one.model else "", one.task, f"seed {one.seed}", f"n = {one.n:,}")
        for one in (first, second)
    ]
    differing = [i for i in range(4) if parts[0][i] != parts[1][i]] or [0, 2]
    kept = sorted({0, *differing})
    a, b = (", ".join(part[i] for i in kept if part[i]) for part in parts)
    return (a, b) if a != b else (f"{a} (first)", f"{b} (second)")


def _problems(result: Result) -> object:
    return result.task, result.settings.get("problems"), result.settings.get("format")


def _exchangeable(first: Result, second: Result, grid: Grid) -> tuple[str, ...]:
    """Axes whose numbers mean nothing across the two models."""
    if first.model == second.model:
        return ()
    named = ("node", "component", *EXCHANGEABLE)
    return tuple(axis.name for axis in grid.axes if axis.name in named)

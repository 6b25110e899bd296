"""Statistics of per-prompt effects: intervals, false-discovery rate, choice and score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from interp.arithmetic.problems import Problems
from interp.heads.metrics import Floats
from interp.results.grid import Axis, Grid
from interp.results.intervals import benjamini_hochberg, mean_interval
from interp.results.resampling import resampling

LEVEL = 0.05
_BOUND = float(norm.ppf(0.975))  # of a 95 % interval, in standard errors


def mean_of(values: Floats) -> Floats:
    """Mean over axis 0 of what is known, NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def estimate(
    values: Floats, groups: npt.NDArray[np.int64], axes: tuple[Axis, ...], seed: int
) -> Grid:
    """Mean over prompts (axis 0) with a bootstrap interval over `groups`."""
    finite = np.where(np.isfinite(values), values, np.nan)
    return Grid(mean_of(finite), axes, *mean_interval(finite, groups, seed=seed))


def discoveries(effect: Grid, floor: float = 0.0) -> Floats:
    """False-discovery rate q of each cell's mean effect being zero (Benjamini and Hochberg). A mean
    not above `floor` has p = 1: rounding is often of one sign, and would pass for an effect.

    Two-sided p from the normal approximation, for a few dozen prompts on. The standard error is
    the bootstrap's towards zero, since effects are often skewed.
    """
    assert effect.low is not None and effect.high is not None
    nearer = np.where(effect.values > 0, effect.low, effect.high)
    error = np.abs(effect.values - nearer) / _BOUND
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(np.abs(effect.values) <= floor, 0.0, np.abs(effect.values) / error)
    p = 2 * norm.sf(z)
    return benjamini_hochberg(np.where(np.isnan(effect.values) | np.isnan(error), np.nan, p))


def halves(problems: Problems, seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Two disjoint halves of the rows; equal problems stay together."""
    _, group = np.unique(problems.rows, axis=0, return_inverse=True)
    order = np.random.default_rng([seed, 1]).permutation(int(group.max()) + 1)
    first = order[group.ravel()] < (group.max() + 1) / 2
    return np.flatnonzero(first), np.flatnonzero(~first)


def chosen_and_scored(
    by_prompt: Floats,
    names: tuple[str, ...],
    problems: Problems,
    seed: int,
    *,
    most: int = 20,
) -> pd.DataFrame:
    """The nodes with the largest mean effect on one half of the prompts, scored on the other.

    Args:
        by_prompt: [n, nodes], effect of each node on each prompt (mean over answer digits).

    Returns:
        Columns rank, node, chosen (mean effect on the half it was chosen on), scored, scored_low,
        scored_high (on the other half), random (mean effect of all nodes on that other half, what a
        random choice scores), random_low and random_high (2.5 and 97.5 % of single random nodes).
    """
    first, second = halves(problems, seed)
    if not len(first) or not len(second):
        return pd.DataFrame(columns=["rank", "node", "chosen", "scored"])
    chosen = mean_of(by_prompt[first])
    order = np.argsort(-np.nan_to_num(np.abs(chosen)), kind="stable")[:most]
    groups, _ = resampling(problems[second])
    scored = mean_of(by_prompt[second])
    low, high = mean_interval(by_prompt[second][:, order], groups, seed=seed)
    known = scored[~np.isnan(scored)]
    spread = np.percentile(known, [2.5, 97.5]) if known.size else (np.nan, np.nan)
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "node": np.array(names)[order],
            "chosen": chosen[order],
            "scored": scored[order],
            "scored_low": low,
            "scored_high": high,
            "random": known.mean() if known.size else np.nan,
            "random_low": spread[0],
            "random_high": spread[1],
        }
    )


def over_answers(values: Floats) -> Floats:
    """Mean over the last axis (answer digits) of what is known."""
    return mean_of(np.moveaxis(values, -1, 0))


def told(values: Mapping[str, float]) -> dict[str, float | None]:
    """The same with None for NaN, as a Result stores it."""
    return {name: None if np.isnan(x) else float(x) for name, x in values.items()}

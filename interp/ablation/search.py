"""Greedy search for the sparsest schedule, on the train half of the prompts.

1. wait     the deepest wait, later layers unmodified, up to which no wait falls below the target;
            then backwards to the deepest wait that keeps the target where only the last tokens look
2. window   the narrowest run of transfer layers that keeps the target while every other layer
            computes; among equally narrow ones the most faithful
3. heads    cut the heads of the window in the order of what cutting each alone costs, as long as
            the target holds; repeat until none can be cut
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.ablation.answers import Answers
from interp.ablation.batched_schedules import BatchedSchedules, StagedSchedule
from interp.ablation.complete import interventions, run_all
from interp.ablation.measured import Estimate, faithfulness, logit_difference
from interp.ablation.schedule import Head, Schedule
from interp.ablation.setting import Bools, Setting

Floats = npt.NDArray[np.float64]

_CHUNK = 6  # waits per batch where the sweep may stop early


@dataclass
class Search:
    """The record of a search and its schedule.

    schedule   None if no schedule keeps the target
    waits      Estimate over 0 … n_layers
    windows    (start, width) → faithfulness with bounds, at the wait found
    pruning    rows of `AllForOne.pruning`
    """

    setting: Setting
    target: float
    mask: str
    right: Bools
    full: Answers
    waits: Estimate
    windows: dict[tuple[int, int], tuple[float, float, float]] = field(default_factory=dict)
    pruning: list[dict[str, float]] = field(default_factory=list)
    schedule: Schedule | None = None
    reason: str = ""
    faithfulness: float = float("nan")

    @property
    def depth(self) -> int:
        return self.setting.model.shape.n_layers

    def pruning_table(self) -> pd.DataFrame:
        columns = ["step", "layer", "head", "faithfulness", "logit_difference"]
        return pd.DataFrame(self.pruning, columns=columns)


def search(setting: Setting, target: float, mask: str, *, heads: bool, curve: bool) -> Search:
    """Run the three stages (the third only if `heads`). Without `curve` the sweep of waits stops at
    the first that falls below the target. Raises InputError where the full model gets no prompt
    right."""
    resources = setting.resources
    staged = replace(setting, resources=resources.stage(5, 60))
    found = _sweep_waits(staged, target, mask, curve=curve)
    quiet = replace(setting, resources=replace(resources, progress=None))
    cells = BatchedSchedules(quiet, setting.replacement_states(), mask, found.full)
    wait = _deepest_wait(found, cells)
    resources.report(65)
    if wait is None:
        return found
    window = _narrowest_window(found, cells, wait)
    resources.report(80)
    if window is None:
        return found
    schedule = replace(Schedule.all_for_one(found.depth, wait, window[1], window[0]),
                       transfer_mask=mask)  # fmt: skip
    found.faithfulness = found.windows[window][0]
    found.schedule = _prune(found, cells, schedule) if heads else schedule
    resources.report(90)
    return found


def _sweep_waits(setting: Setting, target: float, mask: str, *, curve: bool) -> Search:
    """Faithfulness of waiting alone, by complete forwards: all tokens interact in later layers. NaN
    for untried waits."""
    depth = setting.model.shape.n_layers
    replaced = setting.replacement_states()
    at_once = depth if curve else _CHUNK
    waits = np.full((3, depth + 1), np.nan)
    for first in range(1, depth + 1, at_once):
        chunk = list(range(first, min(first + at_once, depth + 1)))
        variants = {
            str(wait): interventions(setting.model, setting.places, Schedule(wait), replaced)
            for wait in chunk
        }
        found = run_all(
            setting.model, setting.places, variants, setting.resources, truth=setting.truth
        )
        full = found.pop("full")
        right = setting.right(full)
        waits[:, [0, *chunk]] = faithfulness(setting, right, [full, *found.values()])
        if not curve and waits[0, chunk].min() < target:
            break
    return Search(setting, target, mask, right, full, (waits[0], waits[1], waits[2]))


def _deepest_wait(found: Search, cells: BatchedSchedules) -> int | None:
    """The deepest wait that keeps the target where all later layers transfer and only the last
    tokens look."""
    kept = found.waits[0] >= found.target
    longest = int(np.argmin(kept)) - 1 if not kept.all() else found.depth
    waits = list(range(longest + 1))
    widest = [
        replace(Schedule.all_for_one(found.depth, wait, found.depth - wait),
                transfer_mask=found.mask)
        for wait in waits
    ]  # fmt: skip
    values = _faithfulness(found, cells, widest)[0]
    good = [wait for wait in waits if values[wait] >= found.target]
    if good:
        return good[-1]
    best = int(np.argmax(values))
    found.reason = (
        f"tokens alone could wait through {longest} layers, but when only the last token may look "
        f"at others, at most {100 * values[best]:.0f} % of the right answers are kept (with "
        f"{best} layers of waiting), below the target of {100 * found.target:.0f} %."
    )
    return None


def _narrowest_window(found: Search, cells: BatchedSchedules, wait: int) -> tuple[int, int] | None:
    pairs = [
        (start, width)
        for width in range(found.depth - wait + 1)
        for start in range(wait, found.depth - width + 1)
        if width or start == wait
    ]
    schedules = [
        replace(Schedule.all_for_one(found.depth, wait, width, start), transfer_mask=found.mask)
        for start, width in pairs
    ]
    values, low, high = _faithfulness(found, cells, schedules)
    found.windows = {
        pair: (float(values[i]), float(low[i]), float(high[i])) for i, pair in enumerate(pairs)
    }
    good = [pair for i, pair in enumerate(pairs) if values[i] >= found.target]
    narrowest = min(width for _, width in good)
    if narrowest == 0:
        why = "they do not depend on the operands"
        if found.setting.places.tells:
            why = "the sink, which differs between these prompts, may tell of the operands"
        found.reason = (
            f"with no transfer at all {100 * found.windows[wait, 0][0]:.0f} % of the right answers "
            f"are kept: {why}."
        )
        return None
    return max(
        (pair for pair in good if pair[1] == narrowest),
        key=lambda pair: (found.windows[pair][0], -pair[0]),
    )


def _prune(found: Search, cells: BatchedSchedules, schedule: Schedule) -> Schedule:
    """The schedule with only the heads that the target needs."""
    left: list[Head] = [
        (layer, head)
        for layer in schedule.transfer
        for head in range(found.setting.model.shape.n_heads)
    ]
    while left:
        alone = [_with_heads(schedule, [h for h in left if h != gone]) for gone in left]
        kept, difference = _both(found, cells, alone)
        order = np.lexsort((-difference, -kept))  # least costly first
        ranked = [left[i] for i in order]
        trials = [
            _with_heads(schedule, [h for h in left if h not in ranked[: k + 1]])
            for k in range(len(ranked))
        ]
        kept, difference = _both(found, cells, trials)
        below = np.flatnonzero(kept < found.target)
        cuts = int(below[0]) if len(below) else len(ranked)
        for k in range(cuts):
            _note(found, ranked[k], kept[k], difference[k])
        if cuts:
            found.faithfulness = float(kept[cuts - 1])
        gone = ranked[:cuts]
        left = [head for head in left if head not in gone]
        if cuts == 0:
            _note(found, ranked[0], kept[0], difference[0])  # the rejected cut
            break
    return _with_heads(schedule, left)


def _note(found: Search, head: Head, kept: float, difference: float) -> None:
    found.pruning.append(
        {
            "step": len(found.pruning) + 1,
            "layer": head[0],
            "head": head[1],
            "faithfulness": float(kept),
            "logit_difference": float(difference),
        }
    )


def _with_heads(schedule: Schedule, heads: Sequence[Head]) -> Schedule:
    """Transfer through these heads alone; a layer without any computes."""
    layers = tuple(sorted({layer for layer, _ in heads}))
    others = set(schedule.transfer) - set(layers)
    return replace(
        schedule, transfer=layers, compute=(*schedule.compute, *others), heads=tuple(heads)
    )


def _faithfulness(
    found: Search, cells: BatchedSchedules, schedules: Sequence[Schedule]
) -> Estimate:
    answers = cells.run([StagedSchedule.of(schedule, found.depth) for schedule in schedules])
    return faithfulness(found.setting, found.right, answers)


def _both(
    found: Search, cells: BatchedSchedules, schedules: Sequence[Schedule]
) -> tuple[Floats, Floats]:
    answers = cells.run([StagedSchedule.of(schedule, found.depth) for schedule in schedules])
    kept = np.array([a.all_right[found.right].mean() for a in answers])
    difference = logit_difference(found.setting, found.full, answers, bounds=False)[0]
    return kept, difference

"""Learning curves of training logs by digit and class, and the order of learning.

After arXiv 2510.00184 (Fig. 7: gradient norms and losses by digit) and 2407.15360 (Fig. 2: losses
by subtask). All numbers come from the logs of `train`; nothing is trained or measured here.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from interp.errors import InputError
from interp.results.identity import ModelId
from interp.training.evidence import Split, same_quantity, splits_that_tell
from interp.training.logs import Log, check_source_task, find_log, log_place
from interp.training.results.learning import DigitLosses, TrainingDynamics

Measure = Literal["loss", "accuracy"]

_DIGIT = re.compile(r"c(\d+|\[\d+:\d+\])")  # c3, or c[0:3] where a token packs several

THRESHOLDS = {"loss": 1.0, "accuracy": 0.9}


def dynamics(
    source: str | Path,
    *,
    threshold: float | None = None,
    measure: Measure = "loss",
    smoothing: int = 1,
    split: Split | None = None,
    task: str | None = None,
) -> TrainingDynamics:
    """The curves of a training run, and the order in which digits and subtask classes were learnt.

    learnt_at(g) = min { t : m̄_g(t) < threshold }, where m̄ is the mean of the last `smoothing`
    logged losses; with measure="accuracy", ≥ threshold.

    Args:
        source: as in `read_log`: a shipped model's name, a folder, or a log.
        threshold: in nats (default 1.0) or as a share (default 0.9).
        measure: "loss" or "accuracy", the measure that dates learning.
        smoothing: number of logged steps in each mean.
        split: "train", training batches, or "validation", held-out problems (without gradients and
            classes): that split alone. None: digits are dated on the split with the distribution of
            the test problems (`evidence.splits_that_tell`: held-out problems if batches mix
            samplers or contain a chain of thought, and for an adapter), gradients and classes on
            training batches.
        task: task of a log without a card, for the caption.

    Does not show: the order at another threshold, or in another seed's run.

    Raises:
        InputError: for an invalid threshold, measure, split or smoothing.
        ModelError, StorageError: as `read_log`.
    """
    log = find_log(source)
    told = split or splits_that_tell([log], [_parts(log)])[0]
    return _dynamics(log, split, told, _threshold(threshold, measure), measure, smoothing, task)


def _dynamics(
    log: Log,
    asked: Split | None,
    told: Split,
    limit: float,
    measure: Measure,
    smoothing: int,
    task: str | None = None,
) -> TrainingDynamics:
    """The dynamics with digits dated on `told`; keeps the other split unless `split` is given."""
    curves = _curves(log, get_args(Split) if asked is None else (asked,), told, smoothing)
    card = log.card or {}
    known = all(name in card for name in ("weight_hash", "name"))
    own = curves[curves["split"] == told]
    total = own[own["kind"] == "total"]
    steps = int(own["step"].nunique())
    several = (curves["kind"] == "task").any()  # an adapter's card names only its first task
    return TrainingDynamics(
        model=ModelId(log.name, str(card["weight_hash"])) if known else None,
        task="" if several else check_source_task(task, log),
        n=steps,
        n_distinct=steps,
        seed=int(card["seed"]) if "seed" in card else None,
        settings={"source": log.source, "split": asked} | ({"task": task} if task else {}),
        curves=curves,
        totals=_totals(log, smoothing),
        order=learnt_order(curves, told, limit, measure),
        split=told,
        same_quantity=same_quantity(log.recipe),
        threshold=limit,
        measure=measure,
        smoothing=smoothing,
        batch=int(total["n"].max()) if len(total) else 0,
    )


def digit_losses(
    sources: Sequence[str | Path],
    *,
    threshold: float | None = None,
    measure: Measure = "loss",
    smoothing: int = 1,
    split: Split | None = None,
) -> DigitLosses:
    """Loss by answer digit over the training of several models, side by side.

    Models with the same name are labelled by seed, or by source.
    Arguments and errors as in `dynamics`, with a list of sources.
    """
    if isinstance(sources, str | Path) or not sources:
        raise InputError("give a list of models or logs, such as ['mul4x4-sft', 'mul4x4-aux']")
    logs = [find_log(source) for source in sources]
    names = _names(logs)
    limit = _threshold(threshold, measure)
    told = [split] * len(logs) if split else splits_that_tell(logs, [_parts(log) for log in logs])
    each = [
        _dynamics(log, split, on, limit, measure, smoothing)
        for log, on in zip(logs, told, strict=True)
    ]
    for name, one in zip(names, each, strict=True):
        if not one.groups("digit"):
            raise InputError(f"the log of {name} has no losses by digit: leave it out")
    seeds = {one.seed for one in each}
    steps = sum(one.n for one in each)
    return DigitLosses(
        model=None,
        task=each[0].task if len({one.task for one in each}) == 1 else "",
        n=steps,
        n_distinct=steps,
        seed=seeds.pop() if len(seeds) == 1 else None,
        settings={"sources": [log.source for log in logs], "split": split},
        curves=_digits(
            names,
            [one.curves[one.curves["split"] == one.split] for one in each],
            ("step", "group", "loss", "accuracy"),
        ),
        order=_digits(
            names, [one.order for one in each], ("group", "learnt_at", "kept_from", "rank")
        ),
        models=names,
        splits=tuple(one.split for one in each),
        exact=tuple(_exact(log) for log in logs),
        threshold=each[0].threshold,
        measure=measure,
        smoothing=smoothing,
    )


def _names(logs: Sequence[Log]) -> tuple[str, ...]:
    """A unique label for each log: the model's name, else name and seed, else the source.

    Raises InputError for a log given twice.
    """
    places = [log_place(log.source).resolve() for log in logs]
    if len(set(places)) < len(places):
        raise InputError(f"a model is named twice: {', '.join(log.name for log in logs)}")
    seeded = [f"{log.name}, seed {(log.card or {}).get('seed')}" for log in logs]
    names = [log.name for log in logs]
    return tuple(
        own if names.count(own) == 1 else named if seeded.count(named) == 1 else log.source
        for own, named, log in zip(names, seeded, logs, strict=True)
    )


def _digits(
    names: Sequence[str], tables: Sequence[pd.DataFrame], columns: Sequence[str]
) -> pd.DataFrame:
    """The digit rows of all models' tables, concatenated, with `model` as the first column."""
    parts = [
        table[table["kind"] == "digit"].assign(model=name)[["model", *columns]]
        for name, table in zip(names, tables, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def learnt_order(
    curves: pd.DataFrame, split: Split, threshold: float, measure: Measure
) -> pd.DataFrame:
    """The step at which each digit, class and task was first learnt, and from which it stayed so:
    on `split`, or on the other split for kinds that only that one has."""
    rows = []
    learnable = curves[curves["kind"].isin(("digit", "class", "task"))]
    on = learnable.groupby("kind")["split"].transform(
        lambda there: split if split in set(there) else there.iloc[0]
    )
    learnable = learnable[learnable["split"] == on]
    for (group, kind), part in learnable.groupby(["group", "kind"], sort=False):
        values = part[measure].to_numpy(float)
        known = ~np.isnan(values)
        steps, values = part["step"].to_numpy(float)[known], values[known]
        learnt = values < threshold if measure == "loss" else values >= threshold
        wrong = np.flatnonzero(~learnt)
        first_kept = wrong[-1] + 1 if wrong.size else 0
        rows.append(
            {
                "group": group,
                "kind": kind,
                "split": part["split"].iloc[0],
                "learnt_at": steps[learnt.argmax()] if learnt.any() else np.nan,
                "kept_from": steps[first_kept] if first_kept < len(steps) else np.nan,
            }
        )
    order = pd.DataFrame(rows, columns=["group", "kind", "split", "learnt_at", "kept_from"])
    order["rank"] = order.groupby("kind")["learnt_at"].rank(method="min")
    return order


def kind_of(group: str) -> str:
    """The kind of a group: total, digit, class, term, or (of an adapter's log) task."""
    if group == "total":
        return "total"
    if group.startswith(("class:", "term:")):
        return group.partition(":")[0]
    return "digit" if group == "sign" or _DIGIT.fullmatch(group) else "task"


def _parts(log: Log) -> tuple[bool, bool]:
    """Whether the log has losses by digit or task, as a pair (train, validation)."""
    kinds = log.frame["group"].map(kind_of)
    parts = set(log.frame.loc[kinds.isin(("digit", "task")), "split"])
    train, validation = (name in parts for name in get_args(Split))
    return train, validation


def _curves(log: Log, splits: Sequence[str], told: str, smoothing: int) -> pd.DataFrame:
    """The rows of some splits with `kind`; losses and accuracies smoothed within each group."""
    if smoothing < 1:
        raise InputError(f"smoothing={smoothing}: a mean needs at least 1 logged step")
    frame = log.frame[log.frame["split"].isin(splits)].reset_index(drop=True)
    steps = frame.loc[frame["split"] == told, "step"].nunique()
    if not steps:
        there = ", ".join(sorted(log.frame["split"].unique()))
        raise InputError(f"the log of {log.name} has no split {told!r}; it has {there}")
    if smoothing > steps:
        raise InputError(
            f"smoothing={smoothing} is more than the {steps} logged steps of {log.name}"
        )
    frame.insert(3, "kind", [kind_of(str(group)) for group in frame["group"]])
    for name in ("loss", "accuracy"):
        rolling = frame.groupby(["split", "group"], sort=False)[name].rolling(smoothing)
        frame[name] = rolling.mean().reset_index(level=[0, 1], drop=True)
    place = {group: at for at, group in enumerate(sorted(frame["group"].unique(), key=_place))}
    order = frame["group"].map(place)
    at = np.lexsort((order, frame["split"], frame["step"]))
    return frame.iloc[at].reset_index(drop=True)


def _totals(log: Log, smoothing: int) -> pd.DataFrame:
    """Total loss and accuracy on both splits, smoothed if there are enough steps."""
    rows = log.frame.loc[log.frame["group"] == "total", ["step", "split", "loss", "accuracy"]]
    parts = []
    for _, part in rows.groupby("split"):
        means = part[["loss", "accuracy"]].rolling(min(smoothing, len(part))).mean()
        parts.append(part.assign(loss=means["loss"], accuracy=means["accuracy"]))
    return pd.concat(parts, ignore_index=True) if parts else rows.reset_index(drop=True)


def _place(group: str) -> tuple[str, int, str]:
    """Sort key of a group: digits by number, the rest by name."""
    number = re.search(r"\d+", group) if _DIGIT.fullmatch(group) else None
    return kind_of(group), int(number[0]) if number else -1, group


def _threshold(threshold: float | None, measure: str) -> float:
    if measure not in THRESHOLDS:
        raise InputError(f"measure={measure!r} must be one of {', '.join(THRESHOLDS)}")
    limit = THRESHOLDS[measure] if threshold is None else float(threshold)
    if not limit > 0 or (measure == "accuracy" and limit > 1):
        top = " and at most 1" if measure == "accuracy" else ""
        raise InputError(f"threshold={limit:g} of the {measure} must be above 0{top}")
    return limit


def _exact(log: Log) -> float | None:
    accuracy = (log.card or {}).get("accuracy")
    return float(accuracy["share"]) if accuracy else None

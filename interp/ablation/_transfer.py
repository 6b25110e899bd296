"""Transfer of a subgraph: found on one kind of prompt, evaluated on others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.ablation._evaluate import result, score
from interp.ablation.complete import StagedResources
from interp.ablation.measured import MEASURES, measures
from interp.ablation.problems import named
from interp.ablation.replacements import Replacement
from interp.ablation.results.af1 import AllForOne
from interp.ablation.results.transfer import AblationTransfer
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Setting
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.asking import expression
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.result import MIN_DISTINCT

Ints = npt.NDArray[np.int64]
Target = PromptBatch | tuple[Model, PromptBatch]


@shows_progress
def transfer(
    model: Model,
    schedule: Schedule | AllForOne | Mapping[str, Any],
    targets: Mapping[str, Target],
    *,
    replacement: str | Replacement | None = None,
    sink: str | None = None,
    seed: int = 0,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AblationTransfer:
    """Faithfulness of a schedule on each set of prompts, with tables built for that set.

    Args:
        schedule: a `Schedule`, or the `AllForOne` that found it. Prompts whose problem the search
            saw (same operands and operators) are left out of the score, whatever the wording and
            the model: the search chose the layers on those operands, and models that share
            training may share the effect. Leaving one out costs a prompt; keeping it would
            overstate faithfulness. `left_out` in the table counts them. A bare `Schedule` names no
            such problems, so no prompt is left out.
        targets: name → prompts of `model`, or (another model, its prompts).
        replacement, sink: as in `evaluate`; None: those of the search, else "cama" and "first".
        Others as in `evaluate`.

    Does not show: whether another schedule would do better there.

    Raises:
        InputError: for no targets, a search that found no schedule, and a search that saw all of
            the problems. Errors of a single set of prompts (a layer that its model lacks, a token
            that is not in the table) are given in the table.
    """
    _check_targets(targets)
    found = schedule if isinstance(schedule, AllForOne) else None
    if isinstance(schedule, AllForOne):
        schedule, searched_with, searched_sink = _of_search(schedule)
        replacement = searched_with if replacement is None else replacement
        sink = sink or searched_sink
    schedule = Schedule.of(schedule)
    what, sink = Replacement.of(replacement or "cama", seed), sink or "first"
    pairs = [
        target if isinstance(target, tuple) else (model, target) for target in targets.values()
    ]
    kept = [_unseen(batch, found) for _, batch in pairs]
    if not any(len(rows) for rows in kept):
        raise InputError("the search saw all of these problems: draw others, with another seed.")
    resources, table = StagedResources(memory, cancel, None), []
    for done, (name, (own, batch), rows) in enumerate(zip(targets, pairs, kept, strict=True)):
        row = _row(name, own, batch, rows, schedule, what, sink, seed, resources)
        table.append(row)
        if progress is not None:
            progress(done + 1, len(targets))
    batches = [batch for _, batch in pairs]
    return AblationTransfer(
        model=model.id,
        task=", ".join(dict.fromkeys(batch.problems.task.name for batch in batches)),
        n=sum(row["n"] for row in table),
        n_distinct=sum(row["n_distinct"] for row in table),
        seed=seed,
        settings={
            "schedule": schedule.spec(),
            "replacement": what.label,
            "table_prompts": what.n,
            "table_seed": what.seed,
            "sink": sink,
            "starting_with": model.tokens.start,
            "search": None if found is None else found.code,
            "problems_of": [expression(model, batch.problems, (0, seed)) for batch in batches],
            "models_of": [None if own is model else _about(own) for own, _ in pairs],
        },
        table=pd.DataFrame(table),
        resampled="operand values where they repeat, else distinct problems",
    )


def _check_targets(targets: Mapping[str, Target]) -> None:
    """Raise InputError unless targets map names to prompts and there is at least one."""
    parts = list(targets.values()) if isinstance(targets, Mapping) else [targets]
    for part in parts:
        batch = part[1] if isinstance(part, tuple) and len(part) == 2 else part
        if not isinstance(targets, Mapping) or not isinstance(batch, PromptBatch):
            raise InputError(
                f"a schedule is transferred to named prompts, not to a {type(part).__name__}: give "
                "{'padded': model.prompts(problems)}, or (another model, its prompts) by name"
            )
    if not parts:
        raise InputError("there is nothing to transfer to: name sets of prompts.")


def _of_search(found: AllForOne) -> tuple[Schedule, Replacement, str]:
    """The schedule, replacement and sink of a search."""
    if found.status != "found":
        raise InputError(f"there is no subgraph to transfer ({found.reason})")
    told = found.settings
    name, _, given = told["replacement"].partition(":")
    what = Replacement(name, given, told["table_prompts"], told["table_seed"])
    return Schedule.of(told["schedule"]), what, told["sink"]


def _unseen(batch: PromptBatch, found: AllForOne | None) -> Ints:
    """The rows whose problem the search did not see."""
    if found is None:
        return np.arange(len(batch))
    return np.flatnonzero(~np.isin(named(batch.problems), found.searched))


def _about(model: Model) -> dict[str, Any]:
    return {"name": model.name, "starting_with": model.tokens.start}


def _row(
    name: str,
    model: Model,
    batch: PromptBatch,
    rows: Ints,
    schedule: Schedule,
    replacement: Replacement,
    sink: str,
    seed: int,
    resources: StagedResources,
) -> dict[str, Any]:
    about = {
        "name": name,
        "model": model.name,
        "task": batch.problems.task.name,
        "format": batch.format,
        "n": len(rows),
        "n_distinct": batch[rows].n_distinct if len(rows) else 0,
        "left_out": len(batch) - len(rows),
    }
    if not len(rows):
        return about | _nothing("the search saw all of these problems")
    batch = batch if len(rows) == len(batch) else batch[rows]
    try:
        setting = Setting.of(model, batch, replacement, sink, seed, resources)
        schedule.check(model.shape.n_layers, model.shape.n_heads, model.name)
        answers = score(setting, schedule)
        told = result(setting, schedule, answers["full"], answers["ablated"])
    except InputError as error:  # the table gives the reason
        return about | _nothing(str(error))
    m = told.metrics
    reason = ""
    if m["n_right"] == 0:
        reason = f"{model.name} answers none of these prompts rightly"
    elif m["n_right_distinct"] < MIN_DISTINCT:
        reason = f"fewer than {MIN_DISTINCT} distinct prompts right: no verdict"
    return about | {
        "base_accuracy": m["base_accuracy"],
        "n_right": int(m["n_right"]),
        "n_right_distinct": int(m["n_right_distinct"]),
        "constant": m["constant"],
        **measures(told),
        "sink_differs": told.sink_differs,
        "reason": reason,
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(("base_accuracy", "constant", *MEASURES), np.nan),
        "n_right": 0,
        "n_right_distinct": 0,
        "sink_differs": False,
        "reason": reason,
    }

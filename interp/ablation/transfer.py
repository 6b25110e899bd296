"""A subgraph found on one kind of prompt, evaluated on others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from interp.ablation.complete import Resources
from interp.ablation.evaluate import result, score
from interp.ablation.replacements import Replacement
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Setting
from interp.engine import Cancel
from interp.engine.requests import Progress
from interp.errors import InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results import MIN_DISTINCT, AblationTransfer, AllForOne
from interp.results.calls import problems_call

Target = PromptBatch | tuple[Model, PromptBatch]


def transfer(
    model: Model,
    schedule: Schedule | AllForOne,
    targets: Mapping[str, Target],
    *,
    replacement: str | Replacement = "cama",
    sink: str = "first",
    seed: int = 0,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AblationTransfer:
    """The schedule on each set of prompts, its tables built anew for them.

    Args:
        schedule: or the `AllForOne` that found it.
        targets: name → prompts of `model`, or (another model, its prompts).
        Others as in `evaluate`.

    Does not show: whether another schedule would do better there.

    Raises:
        InputError: for no targets, and a search that found nothing. What a single set of prompts
            refuses (none answered rightly, a layer its model has not) is told in the table.
    """
    if isinstance(schedule, AllForOne):
        if schedule.status != "found":
            raise InputError(f"there is no subgraph to transfer ({schedule.reason})")
        schedule = Schedule.from_spec(schedule.settings["schedule"])
    if not targets:
        raise InputError("there is nothing to transfer to: name sets of prompts.")
    resources, what = Resources(memory, cancel, None), Replacement.of(replacement, seed)
    rows, batches = [], []
    for done, (name, target) in enumerate(targets.items()):
        own, batch = target if isinstance(target, tuple) else (model, target)
        rows.append(_row(name, own, batch, schedule, what, sink, seed, resources))
        batches.append(batch)
        if progress is not None:
            progress(done + 1, len(targets))
    return AblationTransfer(
        model=model.id,
        task=", ".join(dict.fromkeys(batch.problems.task.name for batch in batches)),
        n=sum(map(len, batches)),
        n_distinct=sum(batch.n_distinct for batch in batches),
        seed=seed,
        settings={
            "schedule": schedule.spec(),
            "replacement": what.label,
            "table_prompts": what.n,
            "table_seed": what.seed,
            "sink": sink,
            "problems_of": [problems_call(batch.problems, (0, seed)) for batch in batches],
        },
        table=pd.DataFrame(rows),
        resampled="operand values where they repeat, else distinct problems",
    )


def _row(
    name: str,
    model: Model,
    batch: PromptBatch,
    schedule: Schedule,
    replacement: Replacement,
    sink: str,
    seed: int,
    resources: Resources,
) -> dict[str, Any]:
    about = {
        "name": name,
        "model": model.name,
        "task": batch.problems.task.name,
        "format": batch.format,
        "n": len(batch),
        "n_distinct": batch.n_distinct,
    }
    try:
        setting = Setting.of(model, batch, replacement, sink, seed, resources)
        schedule.check(model.shape.n_layers, model.shape.n_heads, model.name)
        answers = score(setting, schedule)
        told = result(setting, schedule, answers["full"], answers["ablated"])
    except InputError as error:  # these prompts can't be had under it: the table says why
        return about | _nothing(str(error))
    m = told.metrics
    few = m["n_right_distinct"] < MIN_DISTINCT
    return about | {
        "base_accuracy": m["base_accuracy"],
        "n_right": int(m["n_right"]),
        "n_right_distinct": int(m["n_right_distinct"]),
        "constant": m["constant"],
        "faithfulness": m["faithfulness"],
        "low": m["faithfulness_low"],
        "high": m["faithfulness_high"],
        "logit_difference": m["logit_difference"],
        "kl": m["kl"],
        "reason": f"fewer than {MIN_DISTINCT} distinct prompts right: no verdict" if few else "",
    }


def _nothing(reason: str) -> dict[str, Any]:
    names = ("base_accuracy", "constant", "faithfulness", "low", "high", "logit_difference", "kl")
    return {
        **dict.fromkeys(names, np.nan),
        "n_right": 0,
        "n_right_distinct": 0,
        "reason": reason,
    }

"""Which targets a loss of the model's training asked for, by name or by what decides them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.arithmetic import truth
from interp.arithmetic.tasks import Task
from probes.targets import Target

_ROWS = 20_000  # every value of a running sum comes up many times, with every carry below it


def trained_in(
    card: Mapping[str, Any] | None, targets: Sequence[Target], task: Task
) -> frozenset[str]:
    """The names of those targets that are a function of ONE running sum which the auxiliary loss
    of the model's training asked for (`interp.training.objectives.RunningSumLoss`).

    With ĉ_k trained in, carry[k] = floor(ĉ_k / 10) and c[k] = ĉ_k mod 10 are no discoveries either,
    nor is product[0,0] = column_sum[0] = ĉ_0. Which targets these are is read off the truth table:
    among 20,000 problems of the task, those that agree in ĉ_k agree in the target. A target that
    takes both sums of two trained columns to work out (column_sum[2] = ĉ_2 − floor(ĉ_1 / 10)) is
    not among them, though a model that holds both could be read for it.
    """
    objective = ((card or {}).get("recipe") or {}).get("objective") or {}
    if objective.get("kind") != "running-sum" or "running_sum" not in truth.families(task):
        return frozenset()
    names, columns = truth.column_names(task, "running_sum"), objective.get("columns")
    asked = [k for k in range(len(names)) if columns is None or k in columns]
    problems = task.sample(_ROWS, seed=0)
    sums = [problems.column(names[k]) for k in asked]
    found = []
    for target in targets:
        values = target.values(problems)
        if np.ptp(values) > 0 and any(_decides(known, values) for known in sums):
            found.append(target.name)
    return frozenset(found)


def _decides(known: npt.NDArray[Any], values: npt.NDArray[np.float64]) -> bool:
    """Whether rows that agree in `known` [n] agree in `values` [n]."""
    of = np.unique(known, return_inverse=True)[1].ravel()
    example = np.empty(int(of.max()) + 1)
    example[of] = values
    return bool((example[of] == values).all())

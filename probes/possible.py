"""Whether the rows of a split can judge a probe of a target, and what to do if they cannot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.errors import InputError
from probes.splits import Split
from probes.targets import Target, has_numbers

Floats = npt.NDArray[np.float64]


def check_possible(problems: Problems, target: Target, values: Floats, mine: Split) -> None:
    """Raise InputError with a remedy unless a probe of the target can be fitted and scored.

    It needs rows in both parts, two folds, a target that varies, and of a target with classes two
    rows a class and each class in two folds.

    Args:
        values: the target of each problem, [n].
    """
    if not len(mine.test) or len(mine.train) < 2:
        raise InputError(
            f"{len(mine.train)} prompts to fit {target.name} on and {len(mine.test)} to score it "
            f"on are too few: {_more(problems)}, or leave it out"
        )
    if len(np.unique(mine.fold)) < 2:
        raise InputError(
            f"the {len(mine.train)} prompts to fit {target.name} on are one fold, and choosing the "
            f"penalty needs two: {_more(problems)}, or split by 'problem'"
        )
    train = values[mine.train]
    if np.ptp(train) == 0:
        raise constant(target, float(train[0]))
    if target.kind != "class":
        return
    classes, code = np.unique(train, return_inverse=True)
    if len(train) < 2 * len(classes):
        raise InputError(
            f"{len(train)} prompts are too few for the {len(classes)} classes of {target.name}: "
            + _remedy(problems, target)
        )
    folds = np.unique(np.stack([code, mine.fold]), axis=1)[0]  # a class as often as it has folds
    alone = np.flatnonzero(np.bincount(folds, minlength=len(classes)) < 2)
    if len(alone):
        raise InputError(
            f"{target.name} is {classes[alone[0]]:g} in one fold of the training prompts only: "
            + _remedy(problems, target)
        )


def constant(target: Target, value: float) -> InputError:
    """The error for a target that does not vary in the prompts to fit on."""
    return InputError(
        f"{target.name} is always {value:g} in the prompts to fit on, so there is nothing to find: "
        "leave it out, or draw problems in which it varies"
    )


def _remedy(problems: Problems, target: Target) -> str:
    as_number = f", or read it as a number, '{target.name}:real'" if has_numbers(target) else ""
    return _more(problems) + as_number


def _more(problems: Problems) -> str:
    """More problems of the task, or, if these are all that it has, of a larger one."""
    task = problems.task
    if problems.n_distinct < task.n_problems:
        return "draw more problems"
    return f"take a larger task ({task.name} has {task.n_problems} problems in all)"

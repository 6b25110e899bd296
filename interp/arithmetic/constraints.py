"""Constraints on a counterfactual pair: truth columns to change or to keep."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.truth import column_names, families, split_name
from interp.errors import InputError


class Constraint(NamedTuple):
    """A truth column that must keep or change its value."""

    family: str
    place: int
    keep: bool

    def holds(self, new: NDArray[Any], old: NDArray[Any]) -> NDArray[np.bool_]:
        """Mask of the new values that satisfy it, given the old. A flipped sign is never 0."""
        if self.keep:
            return new == old
        return (new != old) & (new != 0) if self.family == "sign" else new != old


Constraints = Sequence[Constraint]


class Pairs(NamedTuple):
    """Operands of the pairs `[n, width]`, and a mask of the rows with a pair."""

    operands: list[Digits]
    solved: NDArray[np.bool_]


def parse_constraints(task: Task, column: str, keep: Sequence[str] | str) -> list[Constraint]:
    """The constraints of `flip_truth(column, keep=…)`; InputError for names that the task lacks."""
    family, place = split_name(task, column)
    if family == "operator":
        raise InputError("flip_truth keeps the operators: use swap_operator to change one")
    constraints = [Constraint(family, place, keep=False)]
    for name in [keep] if isinstance(keep, str) else keep:
        for kept in column_names(task, name) if name in families(task) else (name,):
            constraint = Constraint(*split_name(task, kept), keep=True)
            if constraint[:2] == (family, place):
                raise InputError(f"{column!r} cannot be flipped and kept: leave it out of keep=")
            constraints.append(constraint)
    return constraints


def fulfilled(
    new: Problems, old: Problems, rows: NDArray[np.int64], constraints: Constraints
) -> NDArray[np.bool_]:
    """Mask `[n]` of the new problems that satisfy all constraints against old row `rows[i]`."""
    good = np.ones(new.n, dtype=bool)
    for constraint in constraints:
        before = old.columns(constraint.family)[rows, constraint.place]
        good &= constraint.holds(new.columns(constraint.family)[:, constraint.place], before)
    return good

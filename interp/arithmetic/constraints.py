"""What a flipped problem must fulfil: columns of the truth table to change or to keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.truth import column_names, families, split_name
from interp.errors import InputError


class Wish(NamedTuple):
    """One column of the truth table that keeps its value, or takes another."""

    family: str
    place: int
    keep: bool

    def holds(self, new: NDArray[Any], old: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether new values fulfil the wish, given the old ones. A flipped sign is never 0."""
        if self.keep:
            return new == old
        return (new != old) & (new != 0) if self.family == "sign" else new != old


class Found(NamedTuple):
    """Operands of the pairs `[n, width]`, and which rows have one."""

    operands: list[Digits]
    solved: NDArray[np.bool_]


def read_wishes(task: Task, column: str, keep: Sequence[str] | str) -> list[Wish]:
    """The wishes of `flip_truth(column, keep=…)`; InputError for names that the task lacks."""
    family, place = split_name(task, column)
    if family == "operator":
        raise InputError("flip_truth keeps the operators: use swap_operator to change one")
    wishes = [Wish(family, place, keep=False)]
    for name in [keep] if isinstance(keep, str) else keep:
        for kept in column_names(task, name) if name in families(task) else (name,):
            wish = Wish(*split_name(task, kept), keep=True)
            if wish[:2] == (family, place):
                raise InputError(f"{column!r} cannot be flipped and kept: leave it out of keep=")
            wishes.append(wish)
    return wishes


def fulfilled(
    new: Problems, old: Problems, rows: NDArray[np.int64], wishes: Sequence[Wish]
) -> NDArray[np.bool_]:
    """Whether each new problem fulfils all wishes towards row `rows[i]` of the old ones."""
    good = np.ones(new.n, dtype=bool)
    for wish in wishes:
        before = old.columns(wish.family)[rows, wish.place]
        good &= wish.holds(new.columns(wish.family)[:, wish.place], before)
    return good

"""Columns that tell the two sources of a carry apart, and the prompts that force them apart.

With column sums s_k and carries r_k out of column k (r_{−1} = 0), the digit that the other carry-in
would have printed in column k is

    other_k = (s_k + 1 − r_{k−1}) mod 10.

Where s_{k−1} = 9 the carry out of column k − 1 is the carry into it: the operands say it only
through columns further down, the printed digit says it outright (9: none, 0: a carry). Printing
other_{k−1} there makes the two disagree. In a column that does not sum to nine the same change of a
digit leaves the carry out of it as it is: the control.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import generator
from interp.arithmetic.tasks import Addition, MixedAddition, Task
from interp.errors import InputError

Digits = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ATTEMPTS = 400
_GENERATES = np.array([(a, b) for a, b in product(range(10), repeat=2) if a + b >= 10])
_KILLS = np.array([(a, b) for a, b in product(range(10), repeat=2) if a + b <= 8])


class Columns(NamedTuple):
    """One column of each of some problems, as arrays.

    row      the problem
    upper    k, the column above the one that is looked at, k − 1
    length   how many columns from k − 1 down sum to nine; 0 in controls
    """

    row: Ints
    upper: Ints
    length: Ints


def check_adder(task: Task) -> None:
    """Raise InputError for a task that adds no two numbers."""
    if not isinstance(task, Addition | MixedAddition):
        raise InputError(
            f"{task.name} is no addition of two numbers, so no column takes a carry of 0 or 1 from "
            "the one below: ask an adder, with a task such as 'add:5' or 'addsub:5'"
        )


def with_runs(problems: Problems, keep: Callable[[Problems], Mask] | None, seed: int) -> Problems:
    """As many sums, each with a run of columns that sum to nine, of every place and length.

    Every upper column k with every length L ≤ k is used equally often, and of those with a column
    below the run half have one that makes a carry, half one that makes none. All other digits are
    those of the problem, or, where `keep` rejects the result, drawn again.

    Raises InputError where `keep` rejects nearly everything.
    """
    task, n = problems.task, len(problems)
    rng = generator(seed)
    digits = task.operand_digits[0]
    cells = [(k, length, carry) for k in range(1, digits + 1) for length in range(1, k + 1)
             for carry in ((0, 1) if length < k else (0,))]  # fmt: skip
    plan = np.array(cells)[rng.permutation(np.arange(n) % len(cells))]
    operands = [x.copy() for x in problems.operands]
    missing = np.arange(n)
    for attempt in range(_ATTEMPTS):
        if attempt:
            for x in operands:
                x[missing] = rng.integers(0, 10, (len(missing), digits))
        for column in range(digits):
            _write(operands, column, missing, plan[missing], rng)
        sums = Problems(task, operands, np.full(problems.operators.shape, "+"))
        if keep is None:
            return sums
        missing = missing[~keep(sums[missing])]
        if not len(missing):
            return sums
    raise InputError(
        f"{len(missing)} of {n} problems with columns that sum to nine are not held out from the "
        "training after all attempts: use a longer task, or held_out=False"
    )


def _write(
    operands: list[Digits], column: int, rows: Ints, plan: Ints, rng: np.random.Generator
) -> None:
    """Write one column of some rows: inside the run, or right below it."""
    upper, length, carry = plan.T
    run = rows[(column < upper) & (column >= upper - length)]
    operands[0][run, column] = rng.integers(0, 10, len(run))
    operands[1][run, column] = 9 - operands[0][run, column]
    for value, pairs in ((1, _GENERATES), (0, _KILLS)):
        below = rows[(column == upper - length - 1) & (carry == value)]
        drawn = pairs[rng.integers(0, len(pairs), len(below))]
        operands[0][below, column], operands[1][below, column] = drawn.T


def longest_runs(problems: Problems) -> Columns:
    """The column above the longest run of nines of each problem that has one; the highest run
    where several are the longest."""
    nine = problems.columns("column_sum")[:, : problems.task.operand_digits[0]] == 9
    length = np.zeros((len(problems), nine.shape[1] + 1), dtype=np.int64)
    for column in range(nine.shape[1]):
        length[:, column + 1] = np.where(nine[:, column], length[:, column] + 1, 0)
    upper = length.shape[1] - 1 - length[:, ::-1].argmax(axis=1)
    longest = length[np.arange(len(problems)), upper]
    rows = np.flatnonzero(longest)
    return Columns(rows, upper[rows], longest[rows])


def control_columns(problems: Problems, seed: int) -> Columns:
    """A column above one that does not sum to nine, drawn for each problem that has one."""
    other = problems.columns("column_sum")[:, : problems.task.operand_digits[0]] != 9
    order = generator(seed).random(other.shape)
    rows = np.flatnonzero(other.any(axis=1))
    upper = np.where(other, order, -1.0).argmax(axis=1)[rows] + 1
    return Columns(rows, upper, np.zeros(len(rows), dtype=np.int64))


class Sums(NamedTuple):
    """Column sums, carries in, digits, and the digits of the other carry-in, all [n, columns]."""

    column_sum: Ints
    carry_in: Ints
    digit: Digits
    other: Digits

    @classmethod
    def of(cls, problems: Problems) -> Sums:
        digit = problems.answer
        total = problems.columns("column_sum").astype(np.int64)
        total = np.pad(total, ((0, 0), (0, digit.shape[1] - total.shape[1])))
        out = problems.columns("carry").astype(np.int64)
        carry_in = np.pad(out, ((0, 0), (1, 0)))[:, : digit.shape[1]]
        other = (total + 1 - carry_in) % 10
        return cls(total, carry_in, digit, other.astype(np.uint8))

    def forced(self, at: Columns, *, least_first: bool, run: bool) -> tuple[Digits, Mask]:
        """The digits of each row with the other carry-in printed in the column just above the read
        one in order of print; `run`: in every printed column that it would have changed.

        Returns digits [rows, columns], and where more than the one column differs.
        """
        columns, total = np.arange(self.digit.shape[1]), self.column_sum[at.row]
        if least_first:
            near = columns == at.upper[:, None] - 1
            low = np.maximum(at.upper - at.length, 0)[:, None]
            every = near | ((columns >= low) & (columns < at.upper[:, None]))
        else:
            near = columns == at.upper[:, None]
            every = near.copy()
            for column in columns[1:]:
                every[:, column] |= every[:, column - 1] & (total[:, column - 1] == 9)
        changed = every if run else near
        digits = np.where(changed, self.other[at.row], self.digit[at.row])
        return digits, (every != near).any(axis=1)

"""Operands with their answers and column sums, without a task."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits, significant_digits, to_digits, to_int64, to_integers
from interp.arithmetic.schoolbook import Operators, Worksheet, work_out
from interp.arithmetic.specification import Specification
from interp.errors import InputError


class Worked:
    """Operands and operators of at least one problem, and derived values. Immutable.

    The part of `Problems` that the truth table is computed from. Raises InputError if the arrays do
    not fit the specification, and for zero problems: an empty selection is nearly always a mistaken
    filter.
    """

    def __init__(
        self, task: Specification, operands: Sequence[Digits], operators: Operators
    ) -> None:
        _check(task, operands, operators)
        self.task = task
        self.operands: tuple[Digits, ...] = tuple(frozen(x) for x in operands)
        self.operators: Operators = frozen(operators)

    @property
    def n(self) -> int:
        return len(self.operators)

    def __len__(self) -> int:
        return self.n

    def values(self, operand: int) -> NDArray[np.object_]:
        """Values `[n]` of an operand, as Python integers."""
        return to_integers(self.operands[operand])

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Significant digits `[n, operands]`: 1 for a zero."""
        return frozen(np.stack([significant_digits(x) for x in self.operands], axis=1))

    @cached_property
    def worksheet(self) -> Worksheet:
        """Column sums, running sums and carries `[columns, n]`; not for modular addition."""
        return work_out(self.task, self.operands, self.operators)

    @cached_property
    def answer(self) -> Digits:
        """Digits of |answer| `[n, answer_digits]`."""
        if self.task.arithmetic == "modular":
            total = sum(to_int64(x) for x in self.operands)
            (limit, _) = self.task.operand_limits
            return frozen(to_digits(np.asarray(total) % limit, self.task.answer_digits))
        return frozen(np.ascontiguousarray(self.worksheet.digits.T.astype(np.uint8)))

    @cached_property
    def sign(self) -> NDArray[np.int8]:
        """Sign of the answer `[n]`: -1, 0 or 1."""
        if self.task.arithmetic == "modular":
            return frozen(np.asarray(self.answer.any(axis=1), dtype=np.int8))
        return frozen(self.worksheet.sign)

    def answers(self) -> NDArray[np.object_]:
        """Signed answers `[n]`, as Python integers."""
        return to_integers(self.answer) * self.sign.astype(object)


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view."""
    view = array.view()
    view.setflags(write=False)
    return view


def _check(task: Specification, operands: Sequence[Digits], operators: NDArray[Any]) -> None:
    n = len(operators)
    if n == 0:
        raise InputError(f"there are no problems of {task.name} here: give at least one")
    for i, (digits, width) in enumerate(zip(operands, task.operand_digits, strict=True)):
        if digits.shape != (n, width) or digits.dtype != np.uint8:
            raise InputError(
                f"operand {i} of {task.name} must be a uint8 array of shape {(n, width)}, "
                f"not {digits.dtype} {digits.shape}; Task.problems converts integers"
            )
        if digits.max() > 9:
            raise InputError(f"operand {i} has the digit {digits.max()}; digits are 0 to 9")
        if task.arithmetic == "modular" and (to_int64(digits) >= task.operand_limits[i]).any():
            raise InputError(f"operands of {task.name} must be below {task.operand_limits[i]}")
    for gap, allowed in enumerate(task.operators):
        unknown = ~np.isin(operators[:, gap], allowed)
        if unknown.any():
            raise InputError(
                f"{task.name} has no operator {str(operators[unknown, gap][0])!r} at gap {gap}; "
                f"it allows {', '.join(allowed)}"
            )

"""Problems: arrays of operands of one task, with their exact answers and their truth table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interp.arithmetic.digits import Digits, significant_digits, to_digits, to_int64, to_integers
from interp.arithmetic.schoolbook import Worksheet, work_out
from interp.arithmetic.truth import column, columns, table
from interp.errors import InputError, RowError

if TYPE_CHECKING:
    from interp.arithmetic.tasks import Task


class Problems:
    """At least one problem of one task. Immutable; indexed by slices, masks and integer arrays.

    `operands` are digit arrays uint8 `[n, width]`, column 0 the least significant, one an operand;
    `operators` is an array `[n, gaps]` of '+', '-' and '*'. Everything else follows from these and
    is computed on first use. Tasks make them (`Task.sample`, `.grid`, `.problems`).

    Raises InputError where the arrays do not fit the task, and where there is no problem at all:
    an empty selection is nearly always a filter gone wrong.
    """

    def __init__(self, task: Task, operands: Sequence[Digits], operators: NDArray[Any]) -> None:
        _check(task, operands, operators)
        self.task = task
        self.operands: tuple[Digits, ...] = tuple(_frozen(x) for x in operands)
        self.operators: NDArray[np.str_] = _frozen(operators)
        self._families: dict[str, NDArray[Any]] = {}

    @property
    def n(self) -> int:
        return len(self.operators)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: int | slice | ArrayLike) -> Problems:
        """Some rows, as Problems. A single integer gives one problem."""
        index = rows if isinstance(rows, slice) else np.atleast_1d(np.asarray(rows))
        if not isinstance(index, slice) and index.size == 0:
            index = slice(0, 0)
        try:
            operators = self.operators[index]
        except IndexError as error:
            raise RowError(
                f"there are {self.n} problems, and {rows!r} does not select among them: {error}"
            ) from error
        if len(operators) == 0:
            raise InputError(
                f"the selection leaves none of {self.n} problems: check the mask, or draw more"
            )
        return Problems(self.task, [x[index] for x in self.operands], operators)

    @staticmethod
    def concat(parts: Sequence[Problems]) -> Problems:
        """The rows of all parts in order; they must be of one task."""
        if not parts:
            raise InputError("nothing to concatenate: give at least one Problems")
        tasks = {part.task for part in parts}
        if len(tasks) > 1:
            names = ", ".join(sorted(t.name for t in tasks))
            raise InputError(f"problems of different tasks cannot be concatenated: {names}")
        operands = [np.concatenate(xs) for xs in zip(*(p.operands for p in parts), strict=True)]
        return Problems(parts[0].task, operands, np.concatenate([p.operators for p in parts]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problems):
            return NotImplemented
        return self.task == other.task and np.array_equal(self.rows, other.rows)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [self.text(i) for i in range(min(self.n, 3))]
        more = ", …" if self.n > 3 else ""
        return f"<{self.n} problems of {self.task.name}: {', '.join(shown)}{more}>"

    def text(self, row: int) -> str:
        """One problem as people write it, without the answer: `12-5+3`."""
        values = [str(to_integers(x[row][None])[0]) for x in self.operands]
        gaps = [*map(str, self.operators[row]), ""]
        return "".join(value + gap for value, gap in zip(values, gaps, strict=True))

    @cached_property
    def rows(self) -> NDArray[np.uint8]:
        """Each problem as one row of bytes (digits, then operators): equal rows, equal problems."""
        marks = (self.operators == "-").astype(np.uint8)
        return _frozen(np.ascontiguousarray(np.hstack([*self.operands, marks])))

    @cached_property
    def n_distinct(self) -> int:
        """How many different problems there are among the n."""
        return len(np.unique(as_keys(self.rows)))

    def distinct(self) -> Problems:
        """Each problem once, in the order of first appearance."""
        _, first = np.unique(as_keys(self.rows), return_index=True)
        return self[np.sort(first)]

    def values(self, operand: int) -> NDArray[np.object_]:
        """Values `[n]` of an operand, as Python integers."""
        return to_integers(self.operands[operand])

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Significant digits `[n, operands]`: 1 for a zero."""
        return _frozen(np.stack([significant_digits(x) for x in self.operands], axis=1))

    @cached_property
    def worksheet(self) -> Worksheet:
        """Column sums, running sums and carries `[columns, n]`; not for modular addition."""
        return work_out(self)

    @cached_property
    def answer(self) -> Digits:
        """Digits of |answer| `[n, answer_digits]`."""
        if self.task.arithmetic == "modular":
            total = sum(to_int64(x) for x in self.operands)
            (limit, _) = self.task.operand_limits
            return _frozen(to_digits(np.asarray(total) % limit, self.task.answer_digits))
        return _frozen(np.ascontiguousarray(self.worksheet.digits.T.astype(np.uint8)))

    @cached_property
    def sign(self) -> NDArray[np.int8]:
        """Sign of the answer `[n]`: -1, 0 or 1."""
        if self.task.arithmetic == "modular":
            return _frozen(np.asarray(self.answer.any(axis=1), dtype=np.int8))
        return _frozen(self.worksheet.sign)

    def answers(self) -> NDArray[np.object_]:
        """Signed answers `[n]`, as Python integers."""
        return to_integers(self.answer) * self.sign.astype(object)

    def columns(self, family: str) -> NDArray[Any]:
        """A family of the truth table, such as `"carry"`, as an array `[n, width]`."""
        if family not in self._families:
            self._families[family] = _frozen(columns(self, family))
        return self._families[family]

    def column(self, name: str) -> NDArray[Any]:
        """One column of the truth table, such as `"carry[2]"`, as an array `[n]`."""
        return column(self, name)

    @cached_property
    def truth(self) -> pd.DataFrame:
        """The truth table: every intermediate of the schoolbook algorithm (see `truth`)."""
        return table(self)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.setflags(write=False)
    return view


def as_keys(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    """Each row of bytes as one comparable item, `[n]`."""
    rows = np.ascontiguousarray(rows)
    return rows.view(np.dtype((np.void, rows.shape[1]))).ravel()


def _check(task: Task, operands: Sequence[Digits], operators: NDArray[Any]) -> None:
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

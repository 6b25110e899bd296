"""Problems: arrays of operands of one task, with their exact answers and their truth table."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from interp.arithmetic.digits import Digits, to_integers
from interp.arithmetic.origin import Origin
from interp.arithmetic.reading import read_operands, read_operators
from interp.arithmetic.schoolbook import Operators
from interp.arithmetic.specification import Specification
from interp.arithmetic.truth import columns, split_name, table
from interp.arithmetic.worked import Worked, frozen
from interp.errors import InputError, RowError

MAX_GRID = 2**24


class Task(Specification):
    """A family of problems: operands of fixed width and the operators between them.

    `operand_digits` is the width of each operand and `operators` what may stand at each gap. Every
    operand is a non-negative integer; `answer_digits` holds every |answer|, and `signed` says
    whether answers can be negative. Tasks are frozen, comparable and hashable.
    """

    @abstractmethod
    def sample(
        self, n: int, *, seed: int = 0, sampler: str = "uniform", **options: Any
    ) -> Problems:
        """`n` problems drawn with replacement by a named sampler (see `samplers`)."""

    def problems(self, *operands: Any, operators: Any = None) -> Problems:
        """Problems with given operands: integers, integer sequences or digit arrays `[n, width]`.

        A single integer stands for every row. `operators` is one string for all rows and gaps,
        one string a row (a character a gap), or an array `[n, gaps]`; it may be left out where the
        task leaves no choice. Raises InputError for anything that is no problem of this task.
        """
        digits = read_operands(self, operands, operators)
        return Problems(self, digits, read_operators(self, len(digits[0]), operators))

    def grid(self) -> Problems:
        """Every problem of the task, once, the last operand running fastest.

        Raises InputError where there are more than 2**24 of them.
        """
        if self.n_problems > MAX_GRID:
            raise InputError(
                f"{self.name} has {self.n_problems:,} problems, and a grid holds at most "
                f"{MAX_GRID:,}: draw a sample instead, task({self.name!r}).sample(n)"
            )
        values = np.indices(self.operand_limits).reshape(len(self.operand_limits), -1)
        parts = [
            self.problems(*values, operators="".join(choice)) for choice in product(*self.operators)
        ]
        every = Problems.concat(parts)
        return every.drawn_by(Origin("grid", len(every)))


class Problems(Worked):
    """At least one problem of one task. Immutable; indexed by slices, masks and integer arrays.

    `operands` are digit arrays uint8 `[n, width]`, column 0 the least significant, one an operand;
    `operators` is an array `[n, gaps]` of '+', '-' and '*'. Everything else follows from these and
    is computed on first use. Tasks make them (`Task.sample`, `.grid`, `.problems`). `origin` says
    how they were drawn, None where that is not known; equality ignores it.

    Raises InputError if the arrays do not fit the task, and for zero problems: an empty selection
    is nearly always a mistaken filter.
    """

    task: Task

    def __init__(self, task: Task, operands: Sequence[Digits], operators: Operators) -> None:
        super().__init__(task, operands, operators)
        self.origin: Origin | None = None
        self._families: dict[str, NDArray[Any]] = {}

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

    def drawn_by(self, origin: Origin) -> Problems:
        """The same problems with an `origin`."""
        found = copy.copy(self)
        found.origin = origin
        return found

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
        return frozen(np.ascontiguousarray(np.hstack([*self.operands, marks])))

    @cached_property
    def n_distinct(self) -> int:
        """Number of distinct problems among the n."""
        return len(np.unique(as_keys(self.rows)))

    def distinct(self) -> Problems:
        """Each problem once, in the order of first appearance."""
        if self.n_distinct == self.n:
            return self
        _, first = np.unique(as_keys(self.rows), return_index=True)
        return self[np.sort(first)]

    def columns(self, family: str) -> NDArray[Any]:
        """A family of the truth table, such as `"carry"`, as an array `[n, width]`."""
        if family not in self._families:
            self._families[family] = frozen(columns(self, family))
        return self._families[family]

    def column(self, name: str) -> NDArray[Any]:
        """One column of the truth table, such as `"carry[2]"`, as an array `[n]`."""
        family, place = split_name(self.task, name)
        return self.columns(family)[:, place]

    @cached_property
    def truth(self) -> pd.DataFrame:
        """The truth table: every intermediate of the schoolbook algorithm (see `truth`)."""
        return table(self, self.columns)


def as_keys(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    """Each row of bytes as one comparable item, `[n]`."""
    rows = np.ascontiguousarray(rows)
    return rows.view(np.dtype((np.void, rows.shape[1]))).ravel()


def raise_for_rows(without: ArrayLike, reason: str, remedy: str = "leave these rows out") -> None:
    """InputError that names the rows without a counterfactual, if there are any."""
    rows: list[Any] = np.flatnonzero(without).tolist()
    if not rows:
        return
    shown = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
    raise InputError(f"{reason}, for {len(rows)} of {np.size(without)} rows ({shown}): {remedy}")

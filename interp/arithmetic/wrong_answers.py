"""A model's distinct wrong answers, and their shuffles among problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import significant_digits
from interp.arithmetic.faults import Answers
from interp.arithmetic.problems import Problems, as_keys
from interp.errors import InputError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class WrongAnswers:
    """Problems and their wrong answers, as Python integers [n].

    `rows` are their indices among all problems; `n_asked` counts all problems, `n_read` those with
    a readable answer.
    """

    problems: Problems
    given: Answers
    rows: Rows
    n_asked: int
    n_read: int

    @property
    def n(self) -> int:
        return len(self.rows)

    def once(self) -> WrongAnswers:
        """Distinct pairs of problem and answer: a repeated question is no new evidence."""
        keys = as_keys(self.problems.rows)
        seen: set[tuple[bytes, int]] = set()
        first = []
        for i, (key, answer) in enumerate(zip(keys.tolist(), self.given.tolist(), strict=True)):
            if (key, answer) not in seen:
                seen.add((key, answer))
                first.append(i)
        index = np.array(first)
        return WrongAnswers(
            self.problems[index], self.given[index], self.rows[index], self.n_asked, self.n_read
        )

    def shuffles(self, count: int, seed: int, *, equal_length: bool = True) -> Iterator[Rows]:
        """Permutations [n] that assign the answers to other problems.

        With `equal_length` only among problems whose right answers have the same number of digits:
        answers of the wrong length would make the chance level too low.
        """
        rng = np.random.default_rng(seed)
        length = significant_digits(self.problems.answer) * equal_length
        home = np.argsort(length, kind="stable")
        for _ in range(count):
            order = np.empty(self.n, dtype=np.int64)
            order[home] = np.lexsort((rng.random(self.n), length))
            yield order


def wrong_answers(problems: Problems, answers: Sequence[Any] | NDArray[Any]) -> WrongAnswers:
    """The readable wrong answers; `answers` are integers, None for an unreadable one.

    Raises InputError unless there is one answer per problem, for a non-integer answer, and if no
    answer is wrong.
    """
    given = np.empty(len(problems), dtype=object)
    if len(answers) != len(problems):
        raise InputError(
            f"there are {len(problems)} problems and {len(answers)} answers: pass one each."
        )
    given[:] = [_integer(answer) for answer in answers]
    read = np.array([answer is not None for answer in given])
    rows = np.flatnonzero(read & (given != problems.answers()))
    if not len(rows):
        raise InputError(
            f"of {len(problems)} answers {int(read.sum())} could be read, and none of these is "
            f"wrong: there is no error to explain. Ask harder problems."
        )
    return WrongAnswers(problems[rows], given[rows], rows, len(problems), int(read.sum()))


def _integer(answer: Any) -> int | None:
    if answer is None or (isinstance(answer, float) and np.isnan(answer)):
        return None
    if isinstance(answer, bool | np.bool_) or not isinstance(answer, int | np.integer):
        raise InputError(f"answers must be integers or None, not {answer!r}.")
    return int(answer)


def as_codes(*tables: Answers) -> list[NDArray[np.int64]]:
    """Small integer codes of the values, equal for equal ones, for fast comparison."""
    flat = np.concatenate([table.ravel() for table in tables])
    codes: dict[int, int] = {}
    coded = np.array([codes.setdefault(value, len(codes)) for value in flat.tolist()])
    stops = np.cumsum([table.size for table in tables])
    parts = np.split(coded, stops[:-1])
    return [part.reshape(table.shape) for part, table in zip(parts, tables, strict=True)]

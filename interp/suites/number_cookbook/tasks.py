"""The Number Cookbook's tasks (arXiv 2411.03766): 41 pairs of task and representation.

A task is named `add:integer`, `max:fraction`, `to-float:scientific`, …; some have an easier or a
harder variant, such as `multiply-easy:float` or `max-hard:integer`, twelve in all. Problems are
drawn as in the benchmark's test sets; the questions paraphrase the benchmark's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd

from interp.errors import InputError
from interp.suites.number_cookbook import drawing, operations
from interp.suites.number_cookbook.drawing import Change, Pair
from interp.suites.number_cookbook.operations import Operation
from interp.suites.number_cookbook.representations import (
    FLOAT,
    FRACTION,
    INTEGER,
    REPRESENTATIONS,
    SCIENTIFIC,
    Representation,
)

HARD_RANGES = {"S": (1, 4), "M": (5, 8), "L": (9, 14), "XL": (15, 20)}
EASY_RANGES = {"S": (1, 10), "M": (11, 20), "L": (21, 60), "XL": (61, 100)}
_ATTEMPTS = 20  # maximum draws for each distinct problem
_COLUMNS = ("task", "length", "a", "b", "question", "answer")


@dataclass(frozen=True)
class CookbookTask:
    """One task over one representation.

    operation    the exact answer
    change       adapts a drawn pair to the task
    answer       representation of the answer
    second       kind of `b`: "number", "parameter" (an integer) or "none"
    """

    title: str
    kind: Representation
    operation: Operation
    change: Change
    answer: Representation
    second: str
    instruction: str
    between: str
    draw: Callable[[Representation, int, np.random.Generator], Pair] = drawing.draw_pair

    @property
    def name(self) -> str:
        return f"{self.title}:{self.kind.name}"

    @property
    def ranges(self) -> dict[str, tuple[int, int]]:
        """The benchmark's ranges of lengths: up to 20, or up to 100 for the easier tasks."""
        return EASY_RANGES if self.title in _LONG and self.kind is not FRACTION else HARD_RANGES

    def solve(self, a: Fraction, b: Fraction) -> str:
        """The exact answer, as text."""
        found = self.operation(a, b, self.kind)
        return found if isinstance(found, str) else self.answer.write(found)

    def ask(self, a: Fraction, b: Fraction) -> str:
        """The question, up to and including ` =`."""
        second = self._second(b)
        shown = f"{self.kind.write(a)} {self.between} {second}" if second else self.kind.write(a)
        return f"{_HINTS[self.answer.name]} {self.instruction} {shown} ="

    def _second(self, b: Fraction) -> str:
        if self.second == "parameter":
            return INTEGER.write(b)
        return self.kind.write(b) if self.second == "number" else ""

    def sample(self, n: int, length: int, *, seed: int = 0) -> pd.DataFrame:
        """Up to `n` different problems of one digit length, as a table.

        Columns task, length, a, b (as written), question, answer. Fewer than n rows if the draws
        run out of different problems (short numbers).

        Raises InputError for a length outside the benchmark's.
        """
        longest = self.ranges["XL"][1]
        if not 1 <= length <= longest:
            raise InputError(f"{self.name} has lengths 1 to {longest}, not {length}.")
        if n < 1:
            raise InputError(f"n must be at least 1, not {n}.")
        rng = np.random.default_rng([seed, length])
        found: dict[str, tuple[str, int, str, str, str, str]] = {}
        for _ in range(n * _ATTEMPTS):
            a, b = self.change(self.draw(self.kind, length, rng), self.kind, rng)
            question = self.ask(a, b)
            shown = self.kind.write(a), self._second(b)
            found.setdefault(question, (self.name, length, *shown, question, self.solve(a, b)))
            if len(found) == n:
                break
        return pd.DataFrame(list(found.values()), columns=list(_COLUMNS))


_HINTS = {
    "integer": "Answer with an integer only, without separators, such as 123.",
    "float": "Answer with a decimal number only, without separators, such as 10.4.",
    "fraction": "Answer with an irreducible fraction only, without separators, such as 7/13.",
    "scientific": "Answer in scientific notation only, such as 1.23e4, with one digit that is not "
    "0 before the point.",
}
_LONG = {
    *("max", "max-hard", "min", "min-hard", "digit-max", "digit-min", "digit-add", "get-digit"),
    *("length", "to-float", "to-scientific", "count", "significant"),
}
_ALL, _DECIMAL = (INTEGER, FLOAT, FRACTION, SCIENTIFIC), (INTEGER, FLOAT)
_COMPARED = (INTEGER, FLOAT, SCIENTIFIC)


def _pairs(
    title: str,
    kinds: tuple[Representation, ...],
    operation: Operation,
    change: Change,
    instruction: str,
    between: str,
    *,
    answer: Representation | None = None,
    alike: bool = False,
) -> list[CookbookTask]:
    draw = drawing.draw_alike if alike else drawing.draw_pair
    return [
        CookbookTask(
            title, kind, operation, change, answer or kind, "number", instruction, between, draw
        )
        for kind in kinds
    ]


def _single(
    title: str,
    kinds: tuple[Representation, ...],
    operation: Operation,
    change: Change,
    instruction: str,
    between: str = "",
    *,
    answer: Representation = INTEGER,
) -> list[CookbookTask]:
    second = "parameter" if between else "none"
    return [
        CookbookTask(title, kind, operation, change, answer, second, instruction, between)
        for kind in kinds
    ]


_DIGITWISE = (
    "Compare two numbers digit by digit, a missing digit counting as 0, and give the {} digit at "
    "each place:"
)
_DIVIDE = "Divide two numbers and give"
_TOP, _LOW = "Give the larger number:", "Give the smaller number:"
_TASKS: tuple[CookbookTask, ...] = (
    *_pairs("add", _ALL, operations.add, drawing.near_exponents, "Add two numbers:", "+"),
    *_pairs("add-easy", (FRACTION,), operations.add, drawing.shorter_cut, "Add two numbers:", "+"),
    *_pairs("sub", _ALL, operations.subtract, drawing.difference, "Subtract two numbers:", "-"),
    *_pairs("multiply", _ALL, operations.multiply, drawing.as_drawn, "Multiply two numbers:", "*"),
    *_pairs(
        "multiply-easy", _ALL, operations.multiply, drawing.second_short,
        "Multiply two numbers:", "*",
    ),
    *_pairs(
        "truediv", (INTEGER, FRACTION), operations.divide, drawing.divisor,
        f"{_DIVIDE} a fraction:", "/", answer=FRACTION,
    ),
    *_pairs(
        "floordiv", (INTEGER,), operations.divide_whole, drawing.whole_divisor,
        f"{_DIVIDE} the whole part:", "//",
    ),
    *_pairs(
        "mod", (INTEGER,), operations.remainder, drawing.short_divisor,
        f"{_DIVIDE} the remainder:", "%",
    ),
    *_pairs(
        "mod-easy", (INTEGER,), operations.remainder, drawing.easy_divisor,
        f"{_DIVIDE} the remainder:", "%",
    ),
    *_pairs("max", _ALL, operations.larger, drawing.below_one, _TOP, "and"),
    *_pairs(
        "max-hard", _COMPARED, operations.larger, drawing.as_drawn, _TOP, "and", alike=True
    ),
    *_pairs("min", _ALL, operations.smaller, drawing.below_one, _LOW, "and"),
    *_pairs(
        "min-hard", _COMPARED, operations.smaller, drawing.as_drawn, _LOW, "and", alike=True
    ),
    *_pairs(
        "digit-max", _DECIMAL, operations.digit_max, drawing.as_drawn,
        _DIGITWISE.format("larger"), "and",
    ),
    *_pairs(
        "digit-min", _DECIMAL, operations.digit_min, drawing.as_drawn,
        _DIGITWISE.format("smaller"), "and",
    ),
    *_pairs(
        "digit-add", _DECIMAL, operations.digit_add, drawing.as_drawn,
        "Add two numbers digit by digit, modulo 10 and without carrying, a missing digit counting "
        "as 0:", "digit add",
    ),
    *_single(
        "get-digit", _DECIMAL, operations.get_digit, drawing.position,
        "Give the digit at a position, counted from 0 on the left:", "at position",
    ),
    *_single(
        "length", _DECIMAL, operations.digit_length, drawing.longer_first,
        "Give the number of digits of",
    ),
    *_single(
        "count", (INTEGER,), operations.count_digit, drawing.digit_to_count,
        "Count how often a digit occurs in a number:", "and the digit",
    ),
    *_single(
        "to-float", (FRACTION, SCIENTIFIC), operations.to_float, drawing.finite_decimals,
        "Write as a decimal number:", answer=FLOAT,
    ),
    *_single(
        "to-scientific", _DECIMAL, operations.to_scientific, drawing.trailing_zeros,
        "Write in scientific notation:", answer=SCIENTIFIC,
    ),
    *_single(
        "significant", _DECIMAL, operations.significant_figures, drawing.figures,
        "Round and write in scientific notation:", "to significant figures", answer=SCIENTIFIC,
    ),
)  # fmt: skip
_VARIANTS = {"add-easy", "multiply-easy", "mod-easy", "max-hard", "min-hard"}


def cookbook_tasks(*, variants: bool = False) -> tuple[CookbookTask, ...]:
    """The 41 tasks; with `variants` the 12 easier and harder ones too."""
    return tuple(task for task in _TASKS if variants or task.title not in _VARIANTS)


def cookbook_task(name: str) -> CookbookTask:
    """The task of this name, such as "add:fraction". Raises InputError for an unknown one."""
    found = {task.name: task for task in _TASKS}
    if name not in found:
        kinds = ", ".join(REPRESENTATIONS)
        titles = ", ".join(dict.fromkeys(task.title for task in _TASKS))
        raise InputError(
            f"there is no task {name!r} in the Number Cookbook: a name is TASK:REPRESENTATION with "
            f"one of {titles} and one of {kinds}, not all of which go together."
        )
    return found[name]

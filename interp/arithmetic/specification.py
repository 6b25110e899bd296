"""The specification of a task: operand widths, operators and digits of the answer. Pure data."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

OPERAND_NAMES = "abdefghi"
"""Roles of the operands in order; `c` is the answer."""


class Specification(ABC):
    """Operands of fixed width and the operators between them.

    `operand_digits` is the width of each operand and `operators` the choices at each gap. Every
    operand is a non-negative integer; `answer_digits` is the width of the largest |answer|, and
    `signed` is True if answers can be negative.
    """

    arithmetic: ClassVar[Literal["sum", "product", "modular"]] = "sum"

    @property
    @abstractmethod
    def name(self) -> str:
        """The task's name on the command line; `task` is the inverse."""

    @property
    @abstractmethod
    def operand_digits(self) -> tuple[int, ...]:
        """Width of each operand."""

    @property
    @abstractmethod
    def operators(self) -> tuple[tuple[str, ...], ...]:
        """Allowed operators at each gap."""

    @property
    def operand_names(self) -> tuple[str, ...]:
        """Role and truth name of each operand: a, b, d, e, … (c is the answer)."""
        return tuple(OPERAND_NAMES[: len(self.operand_digits)])

    @property
    def operand_limits(self) -> tuple[int, ...]:
        """Exclusive upper bound of each operand."""
        return tuple(10**width for width in self.operand_digits)

    @property
    def answer_digits(self) -> int:
        """Digits of the largest |answer|: of a sum, all its additions or all its subtractions."""
        most = 10 ** max(self.operand_digits) - 1
        pluses = 1 + sum("+" in gap for gap in self.operators)
        minuses = sum("-" in gap for gap in self.operators)
        return len(str(most * max(pluses, minuses)))

    @property
    def signed(self) -> bool:
        return any("-" in gap for gap in self.operators)

    @property
    def n_problems(self) -> int:
        """Number of distinct problems."""
        return math.prod(self.operand_limits) * math.prod(len(gap) for gap in self.operators)

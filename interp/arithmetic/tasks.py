"""The tasks: operations and operand widths.

>>> task("mul:4x4") == Multiplication(4, 4)
True
>>> Addition(5).problems(123, 9877).answers()
array([10000], dtype=object)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from interp.arithmetic.origin import Origin
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.samplers import draw
from interp.errors import InputError, nearest_names

__all__ = [
    *("Addition", "Expression", "MixedAddition", "ModularAddition", "Multiplication"),
    *("Subtraction", "Task", "task"),
]

MAX_DIGITS = 100
MAX_OPERANDS = 8
MAX_MODULUS = 10**18


class _Sampled(Task):
    """A task whose samples come from the named samplers."""

    def sample(
        self, n: int, *, seed: int = 0, sampler: str = "uniform", **options: Any
    ) -> Problems:
        drawn = draw(self, n, seed=seed, sampler=sampler, **options)
        named = {} if sampler == "uniform" else {"sampler": sampler}
        return drawn.drawn_by(Origin("sample", n, seed, {**named, **options}))


def _check_digits(count: Any, what: str) -> None:
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise InputError(f"{what} must be a whole number, not {count!r}")
    if not 1 <= count <= MAX_DIGITS:
        raise InputError(f"{what} must be between 1 and {MAX_DIGITS}, not {count}")


@dataclass(frozen=True)
class _TwoNumbers(_Sampled):
    """Two operands of the same width."""

    digits: int

    def __post_init__(self) -> None:
        _check_digits(self.digits, f"{type(self).__name__}'s number of digits")

    @property
    def operand_digits(self) -> tuple[int, ...]:
        return (self.digits, self.digits)


@dataclass(frozen=True)
class Addition(_TwoNumbers):
    """a + b."""

    @property
    def name(self) -> str:
        return f"add:{self.digits}"

    @property
    def operators(self) -> tuple[tuple[str, ...], ...]:
        return (("+",),)


@dataclass(frozen=True)
class Subtraction(_TwoNumbers):
    """a - b; negative where b is the larger (the columns are then worked out as b - a)."""

    @property
    def name(self) -> str:
        return f"sub:{self.digits}"

    @property
    def operators(self) -> tuple[tuple[str, ...], ...]:
        return (("-",),)


@dataclass(frozen=True)
class MixedAddition(_TwoNumbers):
    """a + b or a - b, the operator chosen problem by problem."""

    @property
    def name(self) -> str:
        return f"addsub:{self.digits}"

    @property
    def operators(self) -> tuple[tuple[str, ...], ...]:
        return (("+", "-"),)


@dataclass(frozen=True)
class Multiplication(_Sampled):
    """a · b with m digits times n digits."""

    arithmetic = "product"

    m: int
    n: int

    def __post_init__(self) -> None:
        _check_digits(self.m, "Multiplication's m (digits of a)")
        _check_digits(self.n, "Multiplication's n (digits of b)")

    @property
    def name(self) -> str:
        return f"mul:{self.m}x{self.n}"

    @property
    def operand_digits(self) -> tuple[int, ...]:
        return (self.m, self.n)

    @property
    def operators(self) -> tuple[tuple[str, ...], ...]:
        return (("*",),)

    @property
    def answer_digits(self) -> int:
        return self.m + self.n


@dataclass(frozen=True)
class ModularAddition(_Sampled):
    """(a + b) mod p, operands in 0 … p-1 (Nanda et al., 2301.05217, have p = 113)."""

    arithmetic = "modular"

    p: int

    def __post_init__(self) -> None:
        if isinstance(self.p, bool) or not isinstance(self.p, int | np.integer):
            raise InputError(f"ModularAddition's p must be a whole number, not {self.p!r}")
        if not 2 <= self.p <= MAX_MODULUS:
            raise InputError(f"ModularAddition's p must be between 2 and 10**18, not {self.p}")

    @property
    def name(self) -> str:
        return f"mod:{self.p}"

    @property
    def operand_digits(self) -> tuple[int, ...]:
        return (self.answer_digits, self.answer_digits)

    @property
    def operand_limits(self) -> tuple[int, ...]:
        return (self.p, self.p)

    @property
    def operators(self) -> tuple[tuple[str, ...], ...]:
        return (("+",),)

    @property
    def answer_digits(self) -> int:
        return len(str(self.p - 1))


@dataclass(frozen=True)
class Expression(_Sampled):
    """Several operands joined by + and -, such as `A+B-C`; ± allows either operator at a gap.

    Operands are the capital letters from A on, in order. Products have their own task.
    """

    expression: str
    digits: int = 2

    def __post_init__(self) -> None:
        _check_digits(self.digits, "Expression's number of digits")
        compact = str(self.expression).replace(" ", "")
        letters = compact[::2]
        if not re.fullmatch(r"[A-Z](?:[+\-±][A-Z])+", compact):
            raise InputError(
                f"{self.expression!r} is not an expression this task knows: join capital letters "
                "with +, - or ± (either), as in 'A+B-C'; for products use Multiplication(m, n)"
            )
        if letters != "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(letters)] or len(letters) > MAX_OPERANDS:
            raise InputError(
                f"{self.expression!r} must name its operands A, B, C, … in order, each once, "
                f"{MAX_OPERANDS} at most"
            )
        object.__setattr__(self, "expression", compact)

    @property
    def name(self) -> str:
        return f"expr:{self.expression}:{self.digits}"

    @property
    def operand_digits(self) -> tuple[int, ...]:
        return (self.digits,) * ((len(self.expression) + 1) // 2)

    @property
    def operators(self) -> tuple[tuple[str, ...], ...]:
        return tuple(("+", "-") if mark == "±" else (mark,) for mark in self.expression[1::2])


_BY_NAME: dict[str, tuple[str, Callable[..., Task], str]] = {
    "add": (r"(\d+)", Addition, "add:5"),
    "sub": (r"(\d+)", Subtraction, "sub:5"),
    "addsub": (r"(\d+)", MixedAddition, "addsub:5"),
    "mul": (r"(\d+)x(\d+)", Multiplication, "mul:4x4"),
    "mod": (r"(\d+)", ModularAddition, "mod:113"),
    "expr": (r"([^:]+)(?::(\d+))?", Expression, "expr:A+B-C or expr:A+B-C:2"),
}


def task(name: str | Task) -> Task:
    """The task of that name: the inverse of `Task.name`. Without digits, `expr:` means 2. A Task
    is returned unchanged.

    Raises InputError for an unknown name.
    """
    if isinstance(name, Task):
        return name
    if not isinstance(name, str):
        raise InputError(f"a task's name is a string such as 'add:5', not {name!r}")
    kind, _, arguments = name.partition(":")
    if kind not in _BY_NAME:
        known = [_BY_NAME[near][2] for near in nearest_names(kind, _BY_NAME)]
        raise InputError(f"unknown task {name!r}: write one such as {', '.join(known)}")
    pattern, make, example = _BY_NAME[kind]
    match = re.fullmatch(pattern, arguments)
    if match is None:
        raise InputError(f"cannot read task {name!r}: write it as {example}")
    values = [value for value in match.groups() if value is not None]
    return make(*(int(value) if value.isdigit() else value for value in values))

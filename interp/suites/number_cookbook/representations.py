"""Exact values and notation of integers, floats, fractions and scientific notation.

Every value is a `fractions.Fraction` of at least 0, so nothing is rounded. The digit length of a
number is the Number Cookbook's (arXiv 2411.03766): the digits of an integer, the decimals of a
float, the longer of a fraction's two numbers, the decimals of the mantissa in scientific notation.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar, Literal

import numpy as np

from interp.errors import InputError

MAX_EXPONENT = 99

End = Literal["left", "right"]


class Representation(ABC):
    """A notation of numbers; `write` and `read` are inverses.

    ends      the end at which the digit strings of two numbers are aligned, for each part
    pattern   regular expression of a written number
    """

    name: ClassVar[str]
    ends: ClassVar[tuple[End, ...]]
    pattern: ClassVar[str]
    _separators: ClassVar[str]

    @abstractmethod
    def write(self, value: Fraction) -> str: ...

    @abstractmethod
    def _value(self, parts: Sequence[str]) -> Fraction: ...

    @abstractmethod
    def draw(self, length: int, rng: np.random.Generator) -> Fraction:
        """A random number of this digit length."""

    @abstractmethod
    def length(self, value: Fraction) -> int:
        """The digit length of the written value."""

    def read(self, text: str) -> Fraction:
        """The value of a written number. Raises InputError for anything else."""
        if not re.fullmatch(self.pattern, text):
            raise InputError(f"{text!r} is not written as {self.name}, such as {self.example!r}.")
        return self._value(self.parts(text))

    def parts(self, text: str) -> tuple[str, ...]:
        """The digit strings of a written number; all empty for text in another notation."""
        if not re.fullmatch(self.pattern, text):
            return ("",) * len(self.ends)
        return tuple(re.split(f"[{self._separators}]", text)) if self._separators else (text,)

    @property
    def example(self) -> str:
        return self.write(Fraction(12300))

    def __repr__(self) -> str:
        return self.name


class Integer(Representation):
    """123"""

    name = "integer"
    ends = ("right",)
    pattern = r"\d+"
    _separators = ""

    def write(self, value: Fraction) -> str:
        _require_whole(value)
        return str(value.numerator)

    def _value(self, parts: Sequence[str]) -> Fraction:
        return Fraction(int(parts[0]))

    def draw(self, length: int, rng: np.random.Generator) -> Fraction:
        return Fraction(drawn_digits(length, rng, lead=length > 1))

    def length(self, value: Fraction) -> int:
        return len(self.write(value))


class Float(Representation):
    """12.3, with at least one decimal and no trailing zero after the first."""

    name = "float"
    ends = ("right", "left")
    pattern = r"\d+\.\d+"
    _separators = "."

    def write(self, value: Fraction) -> str:
        decimals = max(decimal_places(value), 1)
        digits = f"{_whole(value * 10**decimals):0{decimals + 1}d}"
        return f"{digits[:-decimals]}.{digits[-decimals:]}"

    def _value(self, parts: Sequence[str]) -> Fraction:
        return Fraction(int(parts[0] + parts[1]), 10 ** len(parts[1]))

    def draw(self, length: int, rng: np.random.Generator) -> Fraction:
        whole = drawn_digits(int(rng.integers(1, length, endpoint=True)), rng, lead=True)
        return whole + _drawn_decimals(length, rng)

    def length(self, value: Fraction) -> int:
        return len(self.parts(self.write(value))[1])


class Ratio(Representation):
    """12/5, irreducible; whole numbers are 12/1."""

    name = "fraction"
    ends = ("right", "right")
    pattern = r"\d+/\d+"
    _separators = "/"

    def write(self, value: Fraction) -> str:
        return f"{value.numerator}/{value.denominator}"

    def _value(self, parts: Sequence[str]) -> Fraction:
        if int(parts[1]) == 0:
            raise InputError(f"{parts[0]}/{parts[1]} divides by zero.")
        return Fraction(int(parts[0]), int(parts[1]))

    def draw(self, length: int, rng: np.random.Generator) -> Fraction:
        while True:
            numerator = drawn_digits(length, rng, lead=False)
            value = Fraction(numerator, drawn_digits(length, rng, lead=True))
            if len(str(value.denominator)) == length:
                return value

    def length(self, value: Fraction) -> int:
        return max(len(str(value.numerator)), len(str(value.denominator)))


class Scientific(Representation):
    """1.23e4: one digit before the point, at least one after, an exponent of at least 0."""

    name = "scientific"
    ends = ("right", "left", "right")
    pattern = r"\d+\.\d+e\d+"
    _separators = ".e"

    def write(self, value: Fraction) -> str:
        exponent = exponent_of(value)
        return f"{Float().write(value / 10**exponent)}e{exponent}"

    def significant(self, value: Fraction, figures: int) -> str:
        """The value rounded to `figures` significant figures, half to even, with trailing zeros."""
        exponent = exponent_of(value)
        digits = f"{round(value / 10**exponent * 10 ** (figures - 1)):0{figures}d}"
        if len(digits) > figures:  # 9.96 rounded to two figures is 10
            digits, exponent = digits[:-1], exponent + 1
        return f"{digits[0]}.{digits[1:]}e{exponent}"

    def _value(self, parts: Sequence[str]) -> Fraction:
        return Float()._value(parts[:2]) * 10 ** int(parts[2])

    def draw(self, length: int, rng: np.random.Generator) -> Fraction:
        mantissa = int(rng.integers(1, 10)) + _drawn_decimals(length, rng)
        return mantissa * 10 ** int(rng.integers(0, MAX_EXPONENT, endpoint=True))

    def length(self, value: Fraction) -> int:
        return len(self.parts(self.write(value))[1])


INTEGER, FLOAT, FRACTION, SCIENTIFIC = Integer(), Float(), Ratio(), Scientific()
REPRESENTATIONS: dict[str, Representation] = {
    one.name: one for one in (INTEGER, FLOAT, FRACTION, SCIENTIFIC)
}


def exponent_of(value: Fraction) -> int:
    """Exact floor(log10(value)); 0 for 0. Raises InputError for a negative result."""
    if value == 0:
        return 0
    if value < 1:
        raise InputError(f"{value} is below 1: its exponent would be negative.")
    return len(str(value.numerator // value.denominator)) - 1


def decimal_places(value: Fraction) -> int:
    """The number of decimals of the value. Raises InputError for infinitely many."""
    places = 0
    rest = value.denominator
    for factor in (2, 5):
        count = 0
        while rest % factor == 0:
            rest //= factor
            count += 1
        places = max(places, count)
    if rest != 1:
        raise InputError(f"{value} has no finite decimals.")
    return places


def drawn_digits(count: int, rng: np.random.Generator, *, lead: bool) -> int:
    """A number of `count` uniform digits; with `lead` the first is not 0."""
    digits = rng.integers(0, 10, size=count)
    if lead:
        digits[0] = rng.integers(1, 10)
    return int("".join(map(str, digits)))


def _drawn_decimals(count: int, rng: np.random.Generator) -> Fraction:
    digits = drawn_digits(count, rng, lead=False)
    return Fraction(digits - digits % 10 + int(rng.integers(1, 10)), 10**count)


def _whole(value: Fraction) -> int:
    _require_whole(value)
    return value.numerator


def _require_whole(value: Fraction) -> None:
    if value.denominator != 1:
        raise InputError(f"{value} is not a whole number.")

"""Exact answers of the Number Cookbook's tasks (arXiv 2411.03766).

`a` and `b` are exact values (`fractions.Fraction`), or `b` is an integer parameter of the task: a
position, a digit to count, a number of significant figures.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import zip_longest

from interp.suites.number_cookbook.representations import FLOAT, SCIENTIFIC, Representation

Operation = Callable[[Fraction, Fraction, Representation], Fraction | str]


def add(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """a + b"""
    return a + b


def subtract(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """a - b"""
    return a - b


def multiply(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """a · b"""
    return a * b


def divide(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """a / b, exactly"""
    return a / b


def divide_whole(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """floor(a / b)"""
    return Fraction(a // b)


def remainder(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """a mod b"""
    return a % b


def larger(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """The larger of the two."""
    return max(a, b)


def smaller(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """The smaller of the two."""
    return min(a, b)


def _by_digit(pick: Callable[[int, int], int]) -> Operation:
    """An operation on the two digits at each position; a missing digit counts as 0."""

    def operation(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
        parts = []
        for end, x, y in zip(kind.ends, kind.parts(kind.write(a)), kind.parts(kind.write(b)),
                             strict=True):  # fmt: skip
            step = -1 if end == "right" else 1
            pairs = zip_longest(x[::step], y[::step], fillvalue="0")
            parts.append("".join(str(pick(int(p), int(q))) for p, q in pairs)[::step])
        return kind.read(parts[0] if len(parts) == 1 else ".".join(parts))

    return operation


digit_max = _by_digit(max)
digit_min = _by_digit(min)
digit_add = _by_digit(lambda x, y: (x + y) % 10)


def get_digit(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """The digit at position b, counted from 0 on the left; the decimal point does not count."""
    return Fraction(int("".join(kind.parts(kind.write(a)))[int(b)]))


def count_digit(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """The number of occurrences of the digit b."""
    return Fraction(kind.write(a).count(str(int(b))))


def digit_length(a: Fraction, b: Fraction, kind: Representation) -> Fraction:
    """The number of digits, without the decimal point."""
    return Fraction(len("".join(kind.parts(kind.write(a)))))


def to_float(a: Fraction, b: Fraction, kind: Representation) -> str:
    """The same value with decimals."""
    return FLOAT.write(a)


def to_scientific(a: Fraction, b: Fraction, kind: Representation) -> str:
    """The same value in scientific notation."""
    return SCIENTIFIC.write(a)


def significant_figures(a: Fraction, b: Fraction, kind: Representation) -> str:
    """The value rounded to b significant figures, in scientific notation.

    Half rounds to even. The benchmark's own answers are truncated, not rounded, if the first
    dropped digit is a 5; these are not.
    """
    return SCIENTIFIC.significant(a, int(b))

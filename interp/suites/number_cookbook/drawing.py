"""Sampling of the operands of each Number Cookbook task (arXiv 2411.03766, test sets).

A pair has one number of the requested digit length and one of between half and all of it, in either
order. Each task then changes the pair so that the answer exists and is not trivial.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from interp.suites.number_cookbook.representations import (
    FLOAT,
    FRACTION,
    INTEGER,
    MAX_EXPONENT,
    SCIENTIFIC,
    Representation,
    exponent_of,
)

Pair = tuple[Fraction, Fraction]
Change = Callable[[Pair, Representation, np.random.Generator], Pair]

EASY_DIGITS = 3  # the shorter number of the easy variants
EXPONENT_GAP = 5


def draw_pair(kind: Representation, length: int, rng: np.random.Generator) -> Pair:
    """Two numbers, one of them of this length and the other at least half as long."""
    other = int(rng.integers(max(length // 2, 1), length, endpoint=True))
    pair = kind.draw(length, rng), kind.draw(other, rng)
    return pair[::-1] if other < length and rng.random() < 0.5 else pair


def draw_alike(kind: Representation, length: int, rng: np.random.Generator) -> Pair:
    """Two numbers that mostly share their first digits, for the hard comparisons.

    Integers have equal lengths and share their first digits; floats share the integer part in 70 %
    of pairs, and then some decimals; scientific notation shares the exponent in 80 %, and mostly
    the mantissa's first digits.
    """
    if kind is INTEGER:
        first, own = (kind.write(kind.draw(length, rng)) for _ in range(2))
        shared = int(rng.integers(0, length))
        return kind.read(first), kind.read(first[:shared] + own[shared:])
    a, b = draw_pair(kind, length, rng)
    if kind is FLOAT:
        return (a, b) if rng.random() < 0.3 else (a, _begin_alike(a, b, rng))
    power = exponent_of(a if rng.random() < 0.8 else b)
    first_mantissa, second_mantissa = (_with_exponent(x, 0) for x in (a, b))
    places = min(FLOAT.length(first_mantissa), FLOAT.length(second_mantissa))
    if rng.random() < 1 / (1 + places):
        return a, second_mantissa * 10**power
    return a, _begin_alike(first_mantissa, second_mantissa, rng) * 10**power


def _begin_alike(a: Fraction, b: Fraction, rng: np.random.Generator) -> Fraction:
    """A float with the integer part and the first decimals of a, and the rest of b."""
    whole, first = FLOAT.parts(FLOAT.write(a))
    _, second = FLOAT.parts(FLOAT.write(b))
    shared = int(rng.integers(0, min(len(first), len(second))))
    return FLOAT.read(f"{whole}.{first[:shared]}{second[shared:]}")


def as_drawn(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The pair unchanged."""
    return pair


def near_exponents(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """Sums in scientific notation: exponents at most five apart, so that both numbers matter."""
    if kind is not SCIENTIFIC:
        return pair
    a, b = (_with_exponent(x, min(exponent_of(x), MAX_EXPONENT - 1)) for x in pair)
    gap = int(rng.integers(-EXPONENT_GAP, EXPONENT_GAP, endpoint=True))
    return a, _with_exponent(b, min(max(exponent_of(a) + gap, 0), MAX_EXPONENT - 1))


def larger_first(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The larger number first: no negative answers."""
    return max(pair), min(pair)


def difference(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The larger first; in scientific notation exponents are one to five apart, and the difference
    is at least 1, so that its exponent is not negative."""
    a, b = larger_first(pair, kind, rng)
    if kind is SCIENTIFIC:
        a = _with_exponent(a, max(exponent_of(a), 1))
        gap = int(rng.integers(1, EXPONENT_GAP, endpoint=True))
        b = _with_exponent(b, max(exponent_of(a) - gap, 0))
        a += a - b < 1
    return a, b


def below_one(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The pair with fractions above 1 inverted, for comparisons."""
    if kind is not FRACTION:
        return pair
    a, b = (1 / x if x > 1 else x for x in pair)
    return a, b


def second_short(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The shorter number second, cut to three digits: the easy variants."""
    a, b = longer_first(pair, kind, rng)
    return a, cut(b, EASY_DIGITS, kind)


def shorter_cut(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The pair with the shorter fraction cut to three digits, in the same order."""
    a, b = pair
    if kind.length(a) > kind.length(b):
        return a, cut(b, EASY_DIGITS, kind)
    return cut(a, EASY_DIGITS, kind), b


def divisor(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """A divisor that is not 0."""
    return pair[0], pair[1] or Fraction(1)


def whole_divisor(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The larger number first, and a divisor that is not 0."""
    return divisor(larger_first(pair, kind, rng), kind, rng)


def short_divisor(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """A divisor of at most 70 % of the digits plus one, so that one subtraction is not enough."""
    a, b = larger_first(pair, kind, rng)
    return divisor((a, cut(b, int(0.7 * kind.length(a)) + 1, kind)), kind, rng)


def easy_divisor(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """A divisor of at most three digits."""
    a, b = larger_first(pair, kind, rng)
    return divisor((a, cut(b, EASY_DIGITS, kind)), kind, rng)


def longer_first(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """The number with more digits first."""
    a, b = pair
    return (a, b) if kind.length(a) >= kind.length(b) else (b, a)


def position(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """A number and a position in it."""
    a, _ = longer_first(pair, kind, rng)
    digits = len("".join(kind.parts(kind.write(a))))
    return a, Fraction(int(rng.integers(0, digits)))


def digit_to_count(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """A number and a digit."""
    return longer_first(pair, kind, rng)[0], Fraction(int(rng.integers(0, 10)))


def finite_decimals(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """A number whose decimals end: a denominator of twos and fives, or a short exponent."""
    a, b = longer_first(pair, kind, rng)
    if kind is FRACTION:
        most = max(kind.length(a), kind.length(b))
        twos, fives = (int(x) for x in rng.integers(0, most, size=2, endpoint=True))
        return Fraction(max(a.numerator, a.denominator), 2**twos * 5**fives), b
    most = min(exponent_of(a), kind.length(a))
    return _with_exponent(a, int(rng.integers(0, most, endpoint=True))), b


def trailing_zeros(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """An integer that may end in zeros, or a float from 1 on."""
    a, b = longer_first(pair, kind, rng)
    if kind is FLOAT:
        return a + (a < 1), b
    zeros = int(rng.integers(0, kind.length(a) // 2, endpoint=True))
    return a - a % 10**zeros, b


def figures(pair: Pair, kind: Representation, rng: np.random.Generator) -> Pair:
    """A number of at least 1, and a number of figures between two and all."""
    a, _ = longer_first(pair, kind, rng)
    a += (a < 1) * (kind is FLOAT)
    digits = "".join(kind.parts(kind.write(a)))
    most = len(digits if kind is INTEGER else digits.strip("0"))
    return a, Fraction(int(rng.integers(2, max(2, most), endpoint=True)))


def cut(value: Fraction, digits: int, kind: Representation) -> Fraction:
    """The last `digits` digits of whole numbers, the first `digits` decimals."""
    if kind.length(value) <= digits:
        return value
    if kind is INTEGER:
        return value % 10**digits
    if kind is FRACTION:
        return Fraction(value.numerator % 10**digits, value.denominator % 10**digits or 1)
    parts = kind.parts(kind.write(value))
    whole = parts[0][-digits:] if kind is FLOAT else parts[0]
    short = FLOAT.read(f"{whole}.{parts[1][:digits]}")
    return short if kind is FLOAT else short * 10 ** int(parts[2])


def _with_exponent(value: Fraction, exponent: int) -> Fraction:
    """The same mantissa with another exponent."""
    return value / Fraction(10) ** exponent_of(value) * 10**exponent

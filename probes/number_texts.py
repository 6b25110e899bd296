"""Sentences about one number, in digits or in words, and where the number stands in them.

Two sets of templates: a probe that is fitted on the first and read on the second has not learnt the
sentence. The design is StreetMath's (arXiv 2510.25776), the sentences are this project's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FITTED = ("The number is {}.", "We counted {} of them.", "The answer was {}.", "It costs {} coins.")
PARAPHRASED = ("Someone wrote down {} today.", "There are {} people here.", "She ran {} steps.")
LARGEST = 9_999

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


class Texts(NamedTuple):
    """Texts, and the characters [n, 2] (from, to) of each one's number."""

    texts: tuple[str, ...]
    spans: npt.NDArray[np.int64]


def words(number: int) -> str:
    """A number from 0 to 9,999 in English words.

    >>> words(0), words(15), words(1042), words(7300)
    ('zero', 'fifteen', 'one thousand forty-two', 'seven thousand three hundred')
    """
    if number < 20:
        return _UNITS[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return _TENS[tens] + (f"-{_UNITS[units]}" if units else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, size)
    return f"{words(many)} {name}" + (f" {words(rest)}" if rest else "")


def sentences(numbers: Sequence[int], templates: Sequence[str], *, spelt: bool, seed: int) -> Texts:
    """A sentence for each number, the template drawn from the seed."""
    drawn = np.random.default_rng(seed).integers(len(templates), size=len(numbers))
    texts, spans = [], []
    for number, place in zip(numbers, drawn.tolist(), strict=True):
        told = words(int(number)) if spelt else str(number)
        before, after = templates[place].split("{}")
        texts.append(before + told + after)
        spans.append((len(before), len(before) + len(told)))
    return Texts(tuple(texts), np.array(spans))


def near(numbers: npt.ArrayLike, k: int) -> npt.NDArray[np.bool_]:
    """Whether a number lies within 1 of a multiple of k, for k = 2 and 3 whether it is one."""
    rest = np.asarray(numbers) % k
    return np.asarray(np.minimum(rest, k - rest) <= (0 if k in (2, 3) else 1))

"""Compare the contents of two reports, number by number.

A number holds within 1e-4 of itself, or of the largest one beside it in a list or a column: sums in
float32 differ between processors by as much. In a sentence the last digit shown may differ by one.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

TOLERANCE = 1e-4
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
_DTYPES = ("f8", "f4", "i1", "i2", "i4", "i8", "u1", "u2", "u4")


class Moved(NamedTuple):
    """A number or a text that is not what was reported."""

    number: str
    reported: Any
    now: Any


@dataclass
class Comparison:
    """How many numbers and texts hold, and those that do not.

    Args:
        rounding: numbers up to this one are rounding alone: equal to each other.
    """

    rounding: float = 0.0
    held: int = 0
    moved: list[Moved] = field(default_factory=list)

    def add(self, name: str, reported: Any, now: Any) -> None:
        """Compare two JSON values; `name` says where they stand."""
        reported, now = _decoded(reported), _decoded(now)
        if isinstance(now, Mapping) and isinstance(reported, Mapping):
            for key in dict.fromkeys([*now, *reported]):
                self.add(f"{name}.{key}", reported.get(key), now.get(key))
        elif _is_list(now) and _is_list(reported):
            self._add_lists(name, reported, now)
        else:
            self._note(name, reported, now, self._equal(reported, now, _size(now)))

    def add_table(self, name: str, reported: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Compare two tables, a column at a time."""
        self.add(f"{name}.total", reported["total"], now["total"])
        self.add(f"{name}.columns", reported["columns"], now["columns"])
        if reported["columns"] == now["columns"]:
            for i, column in enumerate(now["columns"]):
                pair = ([row[i] for row in table["rows"]] for table in (reported, now))
                self.add(f"{name}.{column}", *pair)

    def _add_lists(self, name: str, reported: Sequence[Any], now: Sequence[Any]) -> None:
        if len(reported) != len(now):
            self._note(name, f"{len(reported)} values", f"{len(now)} values", False)
            return
        largest = max(map(_size, now), default=0.0)
        for i, (was, found) in enumerate(zip(reported, now, strict=True)):
            if isinstance(found, Mapping) or _is_list(found):
                self.add(f"{name}[{i}]", was, found)
            else:
                self._note(f"{name}[{i}]", was, found, self._equal(was, found, largest))

    def _note(self, name: str, reported: Any, now: Any, holds: bool) -> None:
        if holds:
            self.held += 1
        else:
            self.moved.append(Moved(name, reported, now))

    def _equal(self, reported: Any, now: Any, largest: float) -> bool:
        if isinstance(now, str) and isinstance(reported, str):
            return same_text(reported, now)
        if not _is_number(now) or not _is_number(reported):
            return type(reported) is type(now) and bool(reported == now)
        if isinstance(now, int) and isinstance(reported, int):
            return reported == now
        if max(abs(reported), abs(now)) <= self.rounding:
            return True
        return abs(reported - now) <= TOLERANCE * largest


def same_text(reported: str, now: str) -> bool:
    """Whether two sentences have the same words and, within the tolerance, the same numbers."""
    if reported == now:
        return True
    if _NUMBER.split(reported) != _NUMBER.split(now):
        return False
    pairs = zip(_NUMBER.findall(reported), _NUMBER.findall(now), strict=True)
    return all(_same_digits(was, found) for was, found in pairs)


def _same_digits(reported: str, now: str) -> bool:
    was, found = (float(text.replace(",", "")) for text in (reported, now))
    mantissa, _, exponent = now.partition("e")
    decimals = len(mantissa.partition(".")[2])
    last = 10.0 ** (int(exponent or 0) - decimals) if decimals else 0.0
    return abs(was - found) <= max(TOLERANCE * abs(found), 1.001 * last)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(value: Any) -> float:
    return abs(value) if _is_number(value) and math.isfinite(value) else 0.0


def _decoded(value: Any) -> Any:
    """An array as Plotly writes it, as a list; anything else unchanged."""
    if not isinstance(value, Mapping) or not {"dtype", "bdata"} <= set(value):
        return value
    if value["dtype"] not in _DTYPES or not isinstance(value["bdata"], str):
        return value
    try:
        array = np.frombuffer(base64.b64decode(value["bdata"], validate=True), value["dtype"])
    except ValueError:
        return value
    return [None if math.isnan(number) else number for number in array.tolist()]

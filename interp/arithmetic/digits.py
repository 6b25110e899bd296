"""Numbers as arrays of decimal digits, index 0 the least significant, of any length."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Digits = NDArray[np.uint8]
"""Decimal digits `[n, width]`, column 0 the least significant."""

_CHUNK = 18
"""Digits that fit an int64 with room to spare: 10**18 < 2**63."""


def object_array(values: Iterable[int]) -> NDArray[np.object_]:
    """Python integers in an object array, which never overflows."""
    listed = [int(value) for value in values]
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def to_digits(values: NDArray[Any], width: int) -> Digits:
    """Digits `[n, width]` of non-negative integers below `10**width` (int64 or object array)."""
    if values.dtype == object:
        return _object_to_digits(values, width)
    digits = np.empty((len(values), width), dtype=np.uint8)
    rest = values.astype(np.int64)
    for k in range(width):
        digits[:, k] = rest % 10
        rest //= 10
    return digits


def _object_to_digits(values: NDArray[np.object_], width: int) -> Digits:
    digits = np.zeros((len(values), width), dtype=np.uint8)
    rest = values
    for start in range(0, width, _CHUNK):
        stop = min(start + _CHUNK, width)
        chunk = (rest % 10**_CHUNK).astype(np.int64)
        digits[:, start:stop] = to_digits(chunk, stop - start)
        rest = rest // 10**_CHUNK
    return digits


def to_int64(digits: NDArray[Any]) -> NDArray[np.int64]:
    """Values `[n]` of digits `[n, width]` with width ≤ 18."""
    total = np.zeros(len(digits), dtype=np.int64)
    for k in range(digits.shape[1] - 1, -1, -1):
        total = total * 10 + digits[:, k]
    return total


def to_integers(digits: NDArray[Any]) -> NDArray[np.object_]:
    """Values `[n]` of digits `[n, width]` as Python integers, whatever the width."""
    total: NDArray[np.object_] | None = None
    starts = range(0, digits.shape[1], _CHUNK)
    for start in reversed(starts):
        chunk = to_int64(digits[:, start : start + _CHUNK]).astype(object)
        total = chunk if total is None else total * 10**_CHUNK + chunk
    assert total is not None, "a digit array has at least one column"
    return total


def significant_digits(digits: Digits) -> NDArray[np.int64]:
    """Number of digits without leading zeros; 1 for zero."""
    width = digits.shape[1]
    nonzero = digits[:, ::-1] != 0
    return np.where(nonzero.any(axis=1), width - nonzero.argmax(axis=1), 1).astype(np.int64)

"""Uniform draws of operands and operators, used by every sampler."""

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits, to_digits
from interp.arithmetic.problems import Problems, Task
from interp.errors import InputError


def uniform_operand(
    task: Task, i: int, n: int, rng: np.random.Generator, *, full_width: bool = False
) -> Digits:
    """Operand i, uniform over all its values, or over those with no leading zero."""
    if full_width:
        return operand_of_length(task, i, np.full(n, task.operand_digits[i]), rng)
    width = task.operand_digits[i]
    if task.arithmetic == "modular":
        return to_digits(rng.integers(0, task.operand_limits[i], size=n), width)
    return rng.integers(0, 10, size=(n, width), dtype=np.uint8)


def operand_of_length(
    task: Task, i: int, lengths: NDArray[np.int64], rng: np.random.Generator
) -> Digits:
    """Operand i, uniform over the values with `lengths[row]` significant digits.

    One-digit numbers include zero.
    """
    n, width = len(lengths), task.operand_digits[i]
    if task.arithmetic == "modular":
        least = np.where(lengths > 1, 10 ** (lengths - 1), 0)
        most = np.minimum(10**lengths, task.operand_limits[i])
        return to_digits(rng.integers(least, most), width)
    digits = rng.integers(0, 10, size=(n, width), dtype=np.uint8)
    digits[np.arange(width) >= lengths[:, None]] = 0
    longer = np.flatnonzero(lengths > 1)
    digits[longer, lengths[longer] - 1] = rng.integers(1, 10, size=len(longer), dtype=np.uint8)
    return digits


def uniform_operators(task: Task, n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Operators `[n, gaps]`, each uniform among those that the task allows there."""
    gaps = [np.array(gap, dtype="<U1")[rng.integers(0, len(gap), size=n)] for gap in task.operators]
    return np.stack(gaps, axis=1)


def balanced_classes(n: int, classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A class for each of n rows, in random order; no class has two rows more than another."""
    order = rng.permutation(classes)
    return rng.permutation(order[np.arange(n) % classes])


def uniform_problems(
    task: Task, n: int, rng: np.random.Generator, *, full_width: bool = False
) -> Problems:
    """Every problem of the task equally likely."""
    operands = [
        uniform_operand(task, i, n, rng, full_width=full_width)
        for i in range(len(task.operand_digits))
    ]
    return Problems(task, operands, uniform_operators(task, n, rng))


def planted_rows(n: int, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rows, a share of n at random, that a sampler replaces by problems of its own making."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InputError(f"share= must be a number from 0 to 1, not {share!r}")
    return np.sort(rng.permutation(n)[: round(share * n)])

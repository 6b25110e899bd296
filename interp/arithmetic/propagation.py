"""Sampler `propagation`: runs of columns that hand on whatever comes in, a carry or none.

An adder's columns generate a carry, kill it or propagate it. The sampler `cascades` plants runs of
propagating columns behind a column that generates; here what stands below the run is left to
chance, so that a run means a carry about as often as it means none.
"""

from __future__ import annotations

import numpy as np

from interp.arithmetic.carry_samplers import write_column
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.schoolbook import operand_signs
from interp.arithmetic.uniform import planted_rows, uniform_problems
from interp.errors import InputError


def propagation(task: Task, n: int, rng: np.random.Generator, *, share: float = 0.5) -> Problems:
    """A share of sums with a run of columns that sum to nine (differences: to zero), rest uniform.

    The length of the run is uniform from 1 to all columns, its place uniform, and every other
    column as uniform problems have it. Where nothing is carried into the run, its answer digits are
    nines: a model that has seen runs only behind a carry takes them for zeros.

    Raises InputError for products and modular sums, which have no such columns.
    """
    if task.arithmetic != "sum":
        raise InputError(f"{task.name} has no propagating columns: use sampler='uniform'")
    drawn = uniform_problems(task, n, rng)
    planted = planted_rows(n, share, rng)
    columns = max(task.operand_digits)
    length = rng.integers(1, columns + 1, len(planted))
    start = rng.integers(0, columns - length + 1)
    operands = [x.copy() for x in drawn.operands]
    signs = operand_signs(drawn.operators)[planted]
    for pattern in np.unique(signs, axis=0):
        alike = (signs == pattern).all(axis=1)
        for k in range(columns):
            rows = planted[alike & (start <= k) & (k < start + length)]
            write_column(operands, k, tuple(int(sign) for sign in pattern), rows, False, rng)
    return Problems(task, operands, drawn.operators)

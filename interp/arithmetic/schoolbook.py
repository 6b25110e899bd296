"""The schoolbook algorithm, column by column, for sums and products of any length.

One recurrence serves addition, subtraction, expressions and multiplication. With s_k the sum of
what stands in column k and r_{-1} = 0:

    ĉ_k = s_k + r_{k-1}        running sum
    r_k = floor(ĉ_k / 10)      carry out of column k; negative where the column borrows
    c_k = ĉ_k mod 10           answer digit

    sums        s_k = o · Σ_i σ_i x_i[k]        σ_i = ±1 the operator before operand i, σ_0 = +1
    products    s_k = Σ_{i+j=k} a_i b_j

o = ±1 is the *orientation*: +1 where the result is at least 0, -1 where it is negative. A negative
result is thus computed as its opposite, as by hand: 3 - 8 is written as 8 - 3 and gets a minus
sign. So the digits c_k are those of |answer|, and the most significant column never borrows.

Inside this module arrays are `[columns, n]`, one contiguous row a column.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits
from interp.arithmetic.specification import Specification

Operators = NDArray[np.str_]
"""Operators `[n, gaps]`: "+", "-" or "*"."""

Columns = NDArray[np.int32]


class Worksheet(NamedTuple):
    """Intermediates of the schoolbook algorithm: arrays `[columns, n]`, and `sign` `[n]`."""

    column_sum: Columns
    running_sum: Columns
    carry: Columns
    sign: NDArray[np.int8]

    @property
    def digits(self) -> Columns:
        return self.running_sum - 10 * self.carry


def work_out(task: Specification, operands: Sequence[Digits], operators: Operators) -> Worksheet:
    """The worksheet of sums or products, from operands `[n, width]` and operators `[n, gaps]`."""
    if task.arithmetic == "product":
        return _work_out_product(operands, task.answer_digits)
    return _work_out_sum(operands, operators, task.answer_digits)


def propagate(column_sum: Columns) -> tuple[Columns, Columns]:
    """Running sums and carries `[columns, n]` from column sums `[columns, n]`."""
    running = np.empty_like(column_sum)
    carry = np.empty_like(column_sum)
    incoming: Any = 0
    for k in range(len(column_sum)):
        np.add(column_sum[k], incoming, out=running[k])
        np.floor_divide(running[k], 10, out=carry[k])
        incoming = carry[k]
    return running, carry


def operand_signs(operators: Operators) -> NDArray[np.int8]:
    """σ_i `[n, operands]`: +1, or -1 where the operator before operand i is a minus."""
    minus = np.pad(operators == "-", ((0, 0), (1, 0)))
    return np.where(minus, -1, 1).astype(np.int8)


def signed_column_sums(
    operands: Sequence[Digits], signs: NDArray[np.int8], columns: int
) -> Columns:
    """Σ_i σ_i x_i[k] `[columns, n]`, before any orientation."""
    total = np.zeros((columns, len(signs)), dtype=np.int32)
    for i, digits in enumerate(operands):
        total[: digits.shape[1]] += signs[:, i].astype(np.int32) * digits.T
    return total


def _work_out_sum(operands: Sequence[Digits], operators: Operators, columns: int) -> Worksheet:
    column_sum = signed_column_sums(operands, operand_signs(operators), columns)
    running, carry = propagate(column_sum)
    negative = carry[-1] < 0
    if negative.any():
        column_sum[:, negative] *= -1
        running[:, negative], carry[:, negative] = propagate(column_sum[:, negative])
    nonzero = (running != 10 * carry).any(axis=0)
    sign = np.asarray(np.where(negative, -1, nonzero), dtype=np.int8)
    return Worksheet(column_sum, running, carry, sign)


def _work_out_product(operands: Sequence[Digits], columns: int) -> Worksheet:
    a, b = (np.ascontiguousarray(x.T, dtype=np.int32) for x in operands)
    column_sum = np.zeros((columns, a.shape[1]), dtype=np.int32)
    for i in range(len(a)):
        column_sum[i : i + len(b)] += a[i] * b
    running, carry = propagate(column_sum)
    sign = np.asarray(a.any(axis=0) & b.any(axis=0), dtype=np.int8)
    return Worksheet(column_sum, running, carry, sign)


def cascade_lengths(sheet: Worksheet) -> Columns:
    """Length `[columns, n]` of the carry chain that ends in column k, 0 where none does.

    A chain starts in a column that carries by its own sum (floor(s/10) ≠ 0) and goes on through
    each column whose carry the incoming one alters (floor(s/10) ≠ r): a sum of nine in an addition,
    a difference of zero in a subtraction. 999 + 1 has the lengths 0, 1, 2, 3.
    """
    length = np.zeros_like(sheet.carry)
    for k in range(len(length) - 1):
        altered = sheet.column_sum[k] // 10 != sheet.carry[k]
        length[k + 1] = np.where(altered, length[k] + 1, sheet.carry[k] != 0)
    return length


def decided_by_lookahead(
    task: Specification, operators: Operators, sheet: Worksheet
) -> NDArray[np.bool_]:
    """Mask `[columns, n]`: columns k and k-1 alone determine c_k (Baeumel et al., 2502.19981).

    The carry out of column k-1 is known exactly when every carry that can reach that column gives
    the same one: floor((s_{k-1} + lowest) / 10) = floor((s_{k-1} + highest) / 10). In a sum of two
    numbers that fails for s_{k-1} = 9 only. Columns 0 and 1 are always settled, since nothing is
    carried into column 0. The orientation of a signed sum counts as known, but not what
    follows from it (that the last column of a difference cannot borrow). In products columns
    share their digits, which rules some carries out: there True is certain, while False may be too
    strict.
    """
    lowest, highest = reachable_carries(task, operators, sheet)
    settled = np.ones(sheet.carry.shape, dtype=bool)
    for k in range(2, len(settled)):
        below = sheet.column_sum[k - 1]
        settled[k] = (below + lowest[k - 2]) // 10 == (below + highest[k - 2]) // 10
    return settled


def reachable_carries(
    task: Specification, operators: Operators, sheet: Worksheet
) -> tuple[Columns, Columns]:
    """Lowest and highest carry out of each column over all problems with the same operators."""
    if task.arithmetic == "product":
        terms = np.minimum.reduce(_pairs_per_column(task))
        low, high = carry_range(tuple([0] * len(terms)), tuple(int(81 * t) for t in terms))
        return low[:, None], high[:, None]
    signs = operand_signs(operators)
    oriented = signs * np.where(sheet.sign < 0, -1, 1)[:, None]
    minuses = (oriented < 0).sum(axis=1)
    bounds = [sum_carry_range(task, count) for count in range(signs.shape[1] + 1)]
    low = np.stack([low for low, _ in bounds], axis=1)
    high = np.stack([high for _, high in bounds], axis=1)
    return low[:, minuses], high[:, minuses]


def _pairs_per_column(task: Specification) -> list[NDArray[np.int64]]:
    """Four bounds whose minimum is the number of pairs (i, j) with i + j = k."""
    m, n = task.operand_digits
    k = np.arange(task.answer_digits)
    return [k + 1, np.full_like(k, m), np.full_like(k, n), m + n - 1 - k]


def sum_carry_range(task: Specification, minuses: int) -> tuple[Columns, Columns]:
    """Lowest and highest carry out of each column, of a sum with so many subtracted operands."""
    widths = max(task.operand_digits)
    pluses = len(task.operand_digits) - minuses
    inside = [k < widths for k in range(task.answer_digits)]
    return carry_range(
        tuple(-9 * minuses * here for here in inside), tuple(9 * pluses * here for here in inside)
    )


@lru_cache(maxsize=256)
def carry_range(least: tuple[int, ...], most: tuple[int, ...]) -> tuple[Columns, Columns]:
    """Lowest and highest carry out of each column, from its smallest and largest sum."""
    low, high = [], []
    below = above = 0
    for smallest, largest in zip(least, most, strict=True):
        below, above = (smallest + below) // 10, (largest + above) // 10
        low.append(below)
        high.append(above)
    return np.array(low, dtype=np.int32), np.array(high, dtype=np.int32)

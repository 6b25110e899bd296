"""Answers of the schoolbook algorithm with one faulty step.

Every function takes problems and returns signed answers as Python integers [n] (or [n, m] for m
variants of the fault): exact at any width. Without an effect of the fault the answer is right.
Columns and carries are those of `schoolbook`: a negative result is computed as its opposite, so a
fault in a difference is a fault of the larger minus the smaller.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import object_array, significant_digits, to_digits
from interp.arithmetic.problems import Problems
from interp.arithmetic.schoolbook import reachable_carries

Answers = NDArray[np.object_]
GROUP = 3  # digits between separators


def no_carry(problems: Problems) -> Answers:
    """No carries: c_k = s_k mod 10."""
    sheet = problems.worksheet
    return _signed(problems, sheet.column_sum % 10)


def no_cascade(problems: Problems) -> Answers:
    """Carries from a column's own sum only, without the incoming carry: r_k = floor(s_k / 10)."""
    sheet = problems.worksheet
    return _signed(problems, (sheet.column_sum + _shifted(sheet.column_sum // 10)) % 10)


def carries_dropped(problems: Problems) -> Answers:
    """[n, columns]: the carry out of column k is forgotten, the others follow from what is left.

    Since Σ s_k 10^k stays what it is, that makes the size of the answer r_k · 10^(k+1) smaller; in
    an expression it may fall below zero, and the answer then has the other sign.
    """
    size = np.abs(problems.answers())[:, None]
    carry = problems.worksheet.carry.T.astype(object)
    return _with_sign(problems, size - carry * _powers(carry.shape[1] + 1)[1:])


def lookahead(problems: Problems, rng: np.random.Generator) -> Answers:
    """Each digit from its own column and the one below (the heuristic H1 of arXiv 2502.19981).

    The carry into column k is worked out from s_{k-1} and every carry that could reach that column.
    Where these disagree, one of the possible carries is drawn, all equally likely.
    """
    low, high = lookahead_carries(problems)
    guess = rng.integers(low, high, endpoint=True)
    return _signed(problems, (problems.worksheet.column_sum + _shifted(guess)) % 10)


def lookahead_digits(problems: Problems) -> NDArray[np.bool_]:
    """[n, columns, 10]: the digits that the look-ahead may write in each column."""
    low, high = (_shifted(carry) for carry in lookahead_carries(problems))
    digits = np.zeros((*low.shape, 10), dtype=bool)
    for more in range(int((high - low).max()) + 1):
        digit = (problems.worksheet.column_sum + np.minimum(low + more, high)) % 10
        np.put_along_axis(digits, digit[..., None].astype(np.int64), True, axis=2)
    return digits.transpose(1, 0, 2)


def lookahead_carries(problems: Problems) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Lowest and highest carry out of each column, `[columns, n]`, that s_k leaves possible."""
    sheet = problems.worksheet
    lowest, highest = reachable_carries(problems.task, problems.operators, sheet)
    zero = np.zeros_like(sheet.column_sum)
    return (
        (sheet.column_sum + _shifted(zero + lowest)) // 10,
        (sheet.column_sum + _shifted(zero + highest)) // 10,
    )


def smaller_from_larger(problems: Problems) -> Answers:
    """In each column of a difference the smaller digit from the larger: no borrowing at all."""
    a, b = (x.astype(np.int64) for x in problems.operands)
    return _signed(problems, np.abs(a - b).T)


def left_aligned(problems: Problems) -> Answers:
    """Two numbers written under each other from the left: the shorter one gets zeros at its end."""
    a, b = (problems.values(i) for i in (0, 1))
    gap = (problems.lengths[:, 0] - problems.lengths[:, 1]).astype(object)
    a, b = a * 10 ** np.maximum(-gap, 0), b * 10 ** np.maximum(gap, 0)
    return np.where(problems.operators[:, 0] == "-", a - b, a + b)


def groups_added_apart(problems: Problems, align: str) -> Answers:
    """Groups of three digits added one by one and written side by side, nothing carried between
    them.

    `align` is "right" or "left": how two numbers with different counts of groups are put under each
    other. Sums are written as long as they are: 1,234 + 5,678 gives 6912, 1,999 + 2,001 gives
    31000.
    """
    a, b = (problems.values(i) for i in (0, 1))
    groups = -(-problems.lengths // GROUP)
    if align == "left":
        gap = (groups[:, 0] - groups[:, 1]).astype(object)
        a = a * 1000 ** np.maximum(-gap, 0)
        b = b * 1000 ** np.maximum(gap, 0)
    total = object_array([0] * problems.n)
    for j in range(int(groups.max()) - 1, -1, -1):
        sums = (a // 1000**j % 1000 + b // 1000**j % 1000).astype(np.int64)
        length = significant_digits(to_digits(sums, GROUP + 1))
        inside = j < groups.max(axis=1)
        longer = total * 10 ** length.astype(object) + sums
        total = np.where(inside, longer, total)
    return total


def operand_digit_dropped(problems: Problems) -> Answers:
    """[n, digits of all operands]: one digit of an operand left out, the rest closing up.

    The only digit of a number is not left out; where a digit is absent the answer is the right one.
    """
    variants = []
    for i, digits in enumerate(problems.operands):
        value = problems.values(i)
        for k in range(digits.shape[1]):
            shorter = value // 10 ** (k + 1) * 10**k + value % 10**k
            there = (problems.lengths[:, i] > k) & (problems.lengths[:, i] > 1)
            variants.append(answer_with(problems, i, np.where(there, shorter, value)))
    return np.stack(variants, axis=1)


def answer_with(problems: Problems, operand: int, values: Answers) -> Answers:
    """The right answer of the problems with one operand's values replaced."""
    given = [values if i == operand else problems.values(i) for i in range(len(problems.operands))]
    total = given[0]
    for gap, value in enumerate(given[1:]):
        operators = problems.operators[:, gap]
        options = [total + value, total - value, total * value]
        total = np.select([operators == sign for sign in "+-*"], options)
    return total


def answer_digit_dropped(problems: Problems) -> Answers:
    """[n, answer_digits]: one digit of the right answer left out."""
    size = np.abs(problems.answers())
    length = significant_digits(problems.answer)
    variants = []
    for k in range(problems.answer.shape[1]):
        shorter = size // 10 ** (k + 1) * 10**k + size % 10**k
        variants.append(np.where((length > k) & (length > 1), shorter, size))
    return _with_sign(problems, np.stack(variants, axis=1))


def answer_digits_swapped(problems: Problems) -> Answers:
    """[n, answer_digits - 1]: two neighbouring digits of the right answer in each other's place."""
    size = np.abs(problems.answers())[:, None]
    digits = problems.answer.astype(object)
    step = (digits[:, :-1] - digits[:, 1:]) * 9 * _powers(digits.shape[1])[:-1]
    inside = significant_digits(problems.answer)[:, None] > np.arange(1, digits.shape[1])
    return _with_sign(problems, size + np.where(inside, step, 0))


def off_by_power_of_ten(problems: Problems) -> Answers:
    """[n, 2 (answer_digits + 1)]: the right answer plus, then minus, 10^k."""
    powers = _powers(problems.answer.shape[1] + 1)
    right = problems.answers()[:, None]
    return np.hstack([right + powers, right - powers])


def _powers(count: int) -> Answers:
    return object_array([10**k for k in range(count)])


def _shifted(columns: NDArray[Any]) -> NDArray[Any]:
    """Incoming carries `[columns, n]`: those out of the column below, 0 into column 0."""
    return np.concatenate([np.zeros_like(columns[:1]), columns[:-1]])


def _signed(problems: Problems, columns: NDArray[Any]) -> Answers:
    """Σ_k columns[k] · 10^k with the sign of the right answer."""
    total = (columns.T.astype(object) * _powers(len(columns))).sum(axis=1)
    return _with_sign(problems, total)


def _with_sign(problems: Problems, size: NDArray[Any]) -> Answers:
    sign = np.where(problems.sign < 0, -1, 1).astype(object)
    return size * (sign if size.ndim == 1 else sign[:, None])

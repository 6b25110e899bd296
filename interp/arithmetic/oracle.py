"""A perfect solver's counterfactual attribution: how often each answer digit changes.

The oracle is the reference for a model's counterfactual attribution. It is exact: every other value
of the digit is tried in every problem, no sampling. The right probability depends on the part of
the answer in the counterfactual prompt.

`prefix="recompute"`
    the answer is worked out anew. Also right for most-digit-first text whatever its prefix, since
    the digits printed before c_k say nothing about the carry into it, which comes from below.

`prefix="keep"`
    least-digit-first text whose answer digits c_0 … c_{k-1} are those of the *original* problem. A
    solver who trusts them takes the carry into column k from them (`rederive`). A change of a_i
    then reaches c_k through the carries only as far as the kept digits leave it unexplained: the
    band i ≤ k ≤ i+4 of Bai et al. (2510.00184, figure 2) instead of everything above i.

Both are statements about arithmetic, not about any model: a model may ignore the prefix, or use it
differently.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.counterfactuals import all_digit_swaps
from interp.arithmetic.digits import Digits
from interp.arithmetic.problems import Problems
from interp.arithmetic.schoolbook import operand_signs, propagate, signed_column_sums
from interp.errors import InputError


class DigitChanges(NamedTuple):
    """Number of a problem's digit swaps that change each answer digit."""

    changed: NDArray[np.int64]
    """`[n, answer_digits]`, out of `swaps`."""
    swaps: NDArray[np.int64]
    """`[n]`: the other values that the digit can take, 8 or 9 in base ten."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share `[n, answer_digits]` of each problem's swaps that change the digit."""
        return self.changed / self.swaps[:, None]

    @property
    def probability(self) -> NDArray[np.float64]:
        """Mean share `[answer_digits]`: the probability under `swap_digit` of these problems."""
        return self.shares.mean(axis=0)


def digit_changes(
    problems: Problems,
    operand: int,
    digit: int,
    *,
    prefix: str = "recompute",
    keep_leading: bool = True,
) -> DigitChanges:
    """For each problem, the number of swaps of one operand digit that change each answer digit.

    `prefix` is the solver's view of the answer (see the module); `keep_leading` is that of
    `swap_digit`; all its possible draws are counted. Intervals over problems use `shares`. Digits
    are those of |answer|, signs are ignored: the same digit under another sign is unchanged.

    Raises InputError for an unknown prefix policy or digit, and for `prefix="keep"` with modular
    addition, which has no columns.
    """
    if prefix not in ("recompute", "keep"):
        raise InputError(f"prefix= must be 'recompute' or 'keep', not {prefix!r}")
    swapped, rows = all_digit_swaps(problems, operand, digit, keep_leading=keep_leading)
    original = problems.answer[rows]
    new = swapped.answer if prefix == "recompute" else rederive(swapped, problems[rows])
    swaps = np.bincount(rows, minlength=problems.n)
    first = np.concatenate([[0], np.cumsum(swaps)[:-1]])
    changed = np.add.reduceat((new != original).astype(np.int64), first, axis=0)
    return DigitChanges(changed, swaps)


def digit_change_probability(
    problems: Problems,
    operand: int,
    digit: int,
    *,
    prefix: str = "recompute",
    keep_leading: bool = True,
) -> NDArray[np.float64]:
    """P(answer digit c_k changes) `[answer_digits]` when one operand digit is swapped.

    The mean over problems of `digit_changes(…).shares`, with the same arguments and errors.
    """
    changes = digit_changes(problems, operand, digit, prefix=prefix, keep_leading=keep_leading)
    return changes.probability


def rederive(problems: Problems, original: Problems) -> Digits:
    """Answer digits `[n, answer_digits]` of a solver who trusts the original's lower digits.

    The text prints the least digit first; before c_k it shows the digits c_0 … c_{k-1} of
    `original`, row by row, while the operands are those of `problems`. The solver knows its own
    column sums s'_j and takes the carry that fits the digits shown best:

        r_{k-1} = round( (Σ_{j<k} s'_j 10^j - prefix_k) / 10^k ),   prefix_k = Σ_{j<k} c_j 10^j
        c'_k    = (s'_k + r_{k-1}) mod 10

    that is, digit k of the number nearest to the true new answer among those that end in the kept
    digits. With consistent digits the division has no remainder and c'_k is the true digit. Where
    two numbers are equally near, the digit is the original one if one of them has it, else the
    true one. In signed tasks the original's sign is kept too: columns are worked out under its
    orientation, modulo 10.

    Exact at any width: the rounding is decided digit by digit. Raises InputError for problems of
    modular additions, or whose tasks, operators or numbers of rows differ.
    """
    _check_alike(problems, original)
    true = _digits_under_sign_of(problems, original)
    kept = original.answer.astype(np.int64)
    difference = true - kept
    rederived = true.copy()
    below = np.zeros(problems.n, dtype=np.int64)  # sign of the difference below column k - 1
    for k in range(1, true.shape[1]):
        rounding, tie = _rounding(difference[:, k - 1], below)
        nearest = (true[:, k] + rounding) % 10
        either_way = tie & ((true[:, k] + np.sign(difference[:, k - 1])) % 10 == kept[:, k])
        rederived[:, k] = np.where(either_way, kept[:, k], nearest)
        below = np.where(difference[:, k - 1] != 0, np.sign(difference[:, k - 1]), below)
    return rederived.astype(np.uint8)


def _rounding(
    top: NDArray[np.int64], below: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """round(δ / 10^k) for a difference δ of two k-digit numbers, and where it is a tie.

    `top` is the difference of the leading digits, `below` the sign of the rest: the rest amounts to
    less than one leading digit, so |δ| passes half of 10^k at a top of 5 with more below it.
    """
    direction = np.sign(top)
    more = below * direction > 0
    up = (np.abs(top) > 5) | ((np.abs(top) == 5) & more)
    return np.where(up, direction, 0), (np.abs(top) == 5) & (below == 0)


def _check_alike(problems: Problems, original: Problems) -> None:
    if problems.task.arithmetic == "modular":
        raise InputError(
            f"{problems.task.name} has no columns to work out from kept digits: use "
            "prefix='recompute'"
        )
    alike = problems.task == original.task and problems.n == original.n
    if not alike or not np.array_equal(problems.operators, original.operators):
        raise InputError(
            "rederive works row by row: both problems must have the same task, rows and operators"
        )


def _digits_under_sign_of(problems: Problems, original: Problems) -> NDArray[np.int64]:
    """Answer digits when columns are worked out under the original's orientation, mod 10."""
    if not problems.task.signed:
        return problems.answer.astype(np.int64)
    signs = operand_signs(problems.operators) * np.where(original.sign < 0, -1, 1)[:, None]
    column_sum = signed_column_sums(problems.operands, signs, problems.task.answer_digits)
    running, carry = propagate(column_sum)
    return (running - 10 * carry).T.astype(np.int64)

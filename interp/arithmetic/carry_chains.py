"""Sums with a prescribed number of carries, drawn exactly.

Column by column a sum is a Markov chain: the carry out of a column follows from the carry into it
and the column's digits, which are independent of those of other columns. Counting backwards how
many digit choices lead to m carries in all gives the exact probability of each step, so that every
problem with m carries is equally likely, however rare they are (twenty carries in a row happen to
uniform operands once in a million).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits
from interp.arithmetic.problems import Task
from interp.arithmetic.schoolbook import sum_carry_range

Pattern = tuple[int, ...]
"""Oriented signs of the operands, ±1 each (see `schoolbook`)."""

Probabilities = NDArray[np.float64]


@lru_cache(maxsize=1024)
def column_sum_shares(pattern: Pattern) -> Probabilities:
    """Probability of each column sum, from `-9 · minuses` on, for independent uniform digits."""
    shares = np.ones(1)
    for _ in pattern:
        shares = np.convolve(shares, np.full(10, 0.1))
    return shares


def least_column_sum(pattern: Pattern) -> int:
    """The smallest column sum, every subtracted digit a nine and every other a zero."""
    return -9 * sum(sign < 0 for sign in pattern)


def digits_of_sum(
    pattern: Pattern, totals: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Digits `[n, operands]`, uniform among those with Σ_i σ_i x_i = totals."""
    digits = np.empty((len(totals), len(pattern)), dtype=np.uint8)
    rest = totals.astype(np.int64)
    choices = np.arange(10)
    for i, sign in enumerate(pattern):
        shares, least = column_sum_shares(pattern[i + 1 :]), least_column_sum(pattern[i + 1 :])
        place = rest[:, None] - sign * choices - least
        inside = (place >= 0) & (place < len(shares))
        weights = np.where(inside, shares[np.clip(place, 0, len(shares) - 1)], 0.0)
        digits[:, i] = choose(weights, rng)
        rest -= sign * digits[:, i].astype(np.int64)
    return digits


def choose(weights: Probabilities, rng: np.random.Generator) -> NDArray[np.int64]:
    """A column for each row of non-negative weights `[n, choices]`, in proportion to them."""
    heights = np.cumsum(weights, axis=1)
    level = rng.random(len(weights)) * heights[:, -1]
    # A level that rounds up to the whole height would point past the last possible choice.
    level = np.minimum(level, np.nextafter(heights[:, -1], 0))
    return (heights <= level[:, None]).sum(axis=1)


class CarryChain:
    """All sums of one sign pattern whose result is at least 0, by their number of carries.

    `strict` leaves out the result 0, which has no orientation of its own. `shares[m]` is the
    probability that uniform operands give such a result with m carries.
    """

    def __init__(self, task: Task, pattern: Pattern, *, strict: bool) -> None:
        self.pattern = pattern
        self.strict = strict
        self.width = max(task.operand_digits)
        self.columns = task.answer_digits
        low, high = sum_carry_range(task, sum(sign < 0 for sign in pattern))
        self.least_carry = int(min(low.min(), 0))
        self.n_carries = int(max(high.max(), 0)) - self.least_carry + 1
        self._ahead = [self._last()]
        for k in reversed(range(self.columns)):
            self._ahead.insert(0, self._step_back(k, self._ahead[0]))

    @property
    def shares(self) -> Probabilities:
        return self._ahead[0][-self.least_carry, 0]

    def _last(self) -> Probabilities:
        """Probability of a good end, `[carry in, result non-zero so far, carries to come]`."""
        end = np.zeros((self.n_carries, 2, self.columns + 1))
        end[-self.least_carry, int(self.strict) :, 0] = 1.0
        return end

    def _sums(self, k: int) -> tuple[NDArray[np.int64], Probabilities]:
        """Possible sums of column k and their probabilities."""
        if k >= self.width:
            return np.zeros(1, dtype=np.int64), np.ones(1)
        shares = column_sum_shares(self.pattern)
        return np.arange(len(shares)) + least_column_sum(self.pattern), shares

    def _outcome(
        self, sums: NDArray[np.int64], incoming: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Index of the carry out, and whether the answer digit is non-zero."""
        carry = (sums + incoming) // 10
        return carry - self.least_carry, (sums + incoming) % 10 != 0

    def _step_back(self, k: int, ahead: Probabilities) -> Probabilities:
        sums, shares = self._sums(k)
        here = np.zeros_like(ahead)
        for index in range(self.n_carries):
            incoming = np.array(index + self.least_carry)
            out, nonzero = self._outcome(sums, incoming)
            inside = (out >= 0) & (out < self.n_carries)
            for flag in (0, 1):
                after = self._shifted(ahead, out[inside], nonzero[inside] | bool(flag))
                here[index, flag] = shares[inside] @ after
        return here

    def _shifted(
        self, ahead: Probabilities, out: NDArray[np.int64], nonzero: NDArray[np.bool_]
    ) -> Probabilities:
        """`ahead` for each outcome, `[outcomes, carries to come]`, its own carry counted."""
        after = ahead[out, nonzero.astype(np.int64)]
        counted = np.zeros_like(after)
        counted[:, 1:] = after[:, :-1]
        return np.where((out == -self.least_carry)[:, None], after, counted)

    def sample(self, carries: NDArray[np.int64], rng: np.random.Generator) -> list[Digits]:
        """Operands with `carries[row]` carries, uniform among all such sums."""
        n = len(carries)
        operands = [np.zeros((n, self.width), dtype=np.uint8) for _ in self.pattern]
        incoming = np.zeros(n, dtype=np.int64)
        nonzero = np.zeros(n, dtype=bool)
        left = carries.astype(np.int64)
        for k in range(self.width):
            sums, shares = self._sums(k)
            out, makes = self._outcome(sums, incoming[:, None])
            inside = (out >= 0) & (out < self.n_carries)
            to_come = left[:, None] - (out != -self.least_carry)
            inside &= to_come >= 0
            reach = self._ahead[k + 1][
                np.clip(out, 0, self.n_carries - 1),
                (nonzero[:, None] | makes).astype(np.int64),
                np.maximum(to_come, 0),
            ]
            picked = choose(np.where(inside, shares * reach, 0.0), rng)
            rows = np.arange(n)
            incoming = out[rows, picked] + self.least_carry
            nonzero |= makes[rows, picked]
            left = to_come[rows, picked]
            for digits, column in zip(
                operands, digits_of_sum(self.pattern, sums[picked], rng).T, strict=True
            ):
                digits[:, k] = column
        return operands

"""The carry automaton of a sum, and sums with a prescribed number of carries, drawn exactly.

Column by column a sum is a Markov chain: the carry out of a column follows from the carry into it
and the column's digits, which are independent of those of other columns. Counting backwards how
many digit choices lead to m carries in all gives the exact probability of each step, so that every
problem with m carries is equally likely, however rare they are (twenty carries in a row happen to
uniform operands once in a million).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits
from interp.arithmetic.schoolbook import sum_carry_range
from interp.arithmetic.specification import Specification

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


class CarryAutomaton:
    """Sums of one sign pattern, read column by column from the least significant.

    A state is what a column hands on: the carry, whether an answer digit was non-zero yet, and with
    `lengths` how long the carry chain is that ends there.
    """

    def __init__(self, task: Specification, pattern: Pattern, *, lengths: bool = False) -> None:
        self.pattern = pattern
        self.width, self.columns = max(task.operand_digits), task.answer_digits
        self.low, self.high = sum_carry_range(task, sum(sign < 0 for sign in pattern))
        carries = np.arange(min(0, self.low.min()), max(0, self.high.max()) + 1)
        self._longest = self.columns if lengths else 0
        self._shape = (len(carries), 2, self._longest + 1)
        carry, self.nonzero, self.length = np.indices(self._shape).reshape(3, -1)
        self.carry = carries[carry]
        self.start = int(np.flatnonzero((self.carry == 0) & ~self.nonzero & ~self.length)[0])

    @property
    def n_states(self) -> int:
        return len(self.carry)

    def sums(self, k: int) -> NDArray[np.int64]:
        """Possible sums of column k."""
        if k >= self.width:
            return np.zeros(1, dtype=np.int64)
        return np.arange(9 * len(self.pattern) + 1) + least_column_sum(self.pattern)

    def step(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Running sum and carry `[states, sums]` of column k."""
        running = self.carry[:, None] + self.sums(k)
        return running, running // 10

    def next_state(self, k: int) -> NDArray[np.int64]:
        """Index of the state after column k, `[states, sums]`; -1 where the sum cannot go on."""
        running, carry = self.step(k)
        nonzero = self.nonzero[:, None] | (running % 10 != 0)
        length = np.zeros_like(carry)
        if self._longest:
            altered = self.sums(k) // 10 != carry
            length = np.where(altered, self.length[:, None] + 1, carry != 0)
        place = (carry - self.carry[0], nonzero, length)
        inside = (place[0] >= 0) & (place[0] < self._shape[0]) & (length <= self._longest)
        return np.where(inside, np.ravel_multi_index(place, self._shape, mode="clip"), -1)


class CarryChain(CarryAutomaton):
    """All sums of one sign pattern whose result is at least 0, by their number of carries.

    `strict` leaves out the result 0, which has no orientation of its own. `shares[m]` is the
    probability that uniform operands give such a result with m carries.
    """

    def __init__(self, task: Specification, pattern: Pattern, *, strict: bool) -> None:
        super().__init__(task, pattern)
        # Probability of a good end, `[state, carries to come]`, before each column and at the end.
        end = np.zeros((self.n_states, self.columns + 1))
        end[(self.carry == 0) & (self.nonzero >= strict), 0] = 1.0
        self._ahead = [end]
        for k in reversed(range(self.columns)):
            self._ahead.insert(0, self._step_back(k, self._ahead[0]))

    @property
    def shares(self) -> Probabilities:
        return self._ahead[0][self.start]

    def _sum_shares(self, k: int) -> Probabilities:
        """Probability of each sum of column k."""
        return column_sum_shares(self.pattern) if k < self.width else np.ones(1)

    def _step_back(self, k: int, ahead: Probabilities) -> Probabilities:
        shares, leads_to = self._sum_shares(k), self.next_state(k)
        here = np.zeros_like(ahead)
        for state, after in enumerate(leads_to):
            reached = after[after >= 0]
            same = ahead[reached]
            counted = np.pad(same[:, :-1], ((0, 0), (1, 0)))
            weights = np.where((self.carry[reached] == 0)[:, None], same, counted)
            here[state] = shares[after >= 0] @ weights
        return here

    def sample(self, carries: NDArray[np.int64], rng: np.random.Generator) -> list[Digits]:
        """Operands with `carries[row]` carries, uniform among all such sums."""
        rows = np.arange(len(carries))
        operands = [np.zeros((len(rows), self.width), dtype=np.uint8) for _ in self.pattern]
        state, left = np.full(len(rows), self.start), carries.astype(np.int64)
        for k in range(self.width):
            after = self.next_state(k)[state]
            to_come = left[:, None] - (self.carry[after] != 0)
            reach = self._ahead[k + 1][after, np.maximum(to_come, 0)]
            inside = (after >= 0) & (to_come >= 0)
            picked = choose(np.where(inside, self._sum_shares(k) * reach, 0.0), rng)
            state, left = after[rows, picked], to_come[rows, picked]
            column = digits_of_sum(self.pattern, self.sums(k)[picked], rng)
            for digits, digit in zip(operands, column.T, strict=True):
                digits[:, k] = digit
        return operands

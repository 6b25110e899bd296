"""Exact search for sums with one truth column flipped and others kept, by shortest paths.

A sum is computed column by column, and a column passes on only a state: the carry, the length of
its chain, and whether any answer digit so far is non-zero. A column's truth-table entries follow
from that state and its own sum. So the pair with the fewest changed digits is a shortest path
through the states; a step costs the fewest digit changes that give the column its sum, which is a
shortest path over the operands.

Every digit's cost has a random part, smaller than one digit in total, which breaks ties.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.carry_chains import CarryAutomaton, Pattern
from interp.arithmetic.constraints import Constraint, Constraints, Pairs
from interp.arithmetic.digits import Digits
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.schoolbook import operand_signs
from interp.arithmetic.subtasks import CARRY_ALONE, class_codes, sum_codes

Costs = NDArray[np.float64]

_CELLS = 2**21
"""Size of the largest array of a step, rows × states × column sums."""


def sum_flips(problems: Problems, constraints: Constraints, rng: np.random.Generator) -> Pairs:
    """Pairs of sums that fulfil the constraints, fewest operand digits changed; see the module."""
    operands = [x.copy() for x in problems.operands]
    least = np.full(problems.n, np.inf)
    signs = operand_signs(problems.operators)
    # A pair may have the other sign; its columns then have the opposite orientation.
    for orientation in (1, -1) if problems.task.signed else (1,):
        for pattern in np.unique(signs * orientation, axis=0):
            rows = np.flatnonzero((signs * orientation == pattern).all(axis=1))
            chart = Chart(problems.task, tuple(map(int, pattern)), orientation, constraints)
            step = max(1, _CELLS // chart.n_cells)
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                cost, found = _shortest_pairs(problems[some], chart, rng)
                better = cost < least[some]
                least[some[better]] = cost[better]
                for digits, new in zip(operands, found, strict=True):
                    digits[some[better]] = new[better]
    return Pairs(operands, np.isfinite(least))


class Chart(CarryAutomaton):
    """The carry automaton, and the truth-table entries of each of its steps."""

    def __init__(
        self, task: Task, pattern: Pattern, orientation: int, constraints: Constraints
    ) -> None:
        super().__init__(task, pattern, lengths=any(c.family == "cascade" for c in constraints))
        self.task, self.orientation, self.constraints = task, orientation, constraints

    @property
    def n_cells(self) -> int:
        return self.n_states * len(self.sums(0))

    def writes(self, family: str, k: int) -> NDArray[Any]:
        """Values of a truth family at column k, `[states, sums]`.

        `lookahead` stands for the entry of the column above, whose digit it is about.
        """
        running, carry = self.step(k)
        sums = np.broadcast_to(self.sums(k), running.shape)
        minus = np.array(min(self.pattern) != max(self.pattern))
        if family == "class":
            incoming = np.broadcast_to(self.carry[:, None] != 0, running.shape)
            inside = k < self.width
            return sum_codes(sums, incoming, minus) if inside else np.full_like(sums, CARRY_ALONE)
        below = self.low[k - 1] if k else 0, self.high[k - 1] if k else 0
        return {
            "column_sum": sums,
            "running_sum": running,
            "carry": np.maximum(carry, 0),
            "borrow": np.maximum(-carry, 0),
            "c": running % 10,
            "sum_is_nine": (sums == 9) & ~minus & (k < self.width),
            "difference_is_zero": (sums == 0) & minus & (k < self.width),
            "cascade": np.broadcast_to(self.length[:, None], running.shape),
            "lookahead": (sums + below[0]) // 10 == (sums + below[1]) // 10,
        }[family]

    def sign(self) -> NDArray[np.int64]:
        """Sign of the answer in each last state; a negative answer is not 0."""
        return self.orientation * self.nonzero

    def is_end(self) -> NDArray[np.bool_]:
        """Mask of the accepting states: no carry left, and -0 is written as 0."""
        return (self.carry == 0) & ((self.orientation > 0) | (self.nonzero == 1))


class ColumnDigits(NamedTuple):
    """Fewest changes that give a column each sum `[n, sums]`, and the digits for them."""

    cost: Costs
    chosen: list[NDArray[np.uint8]]

    def trace(
        self, pattern: Pattern, rows: NDArray[np.int64], place: NDArray[np.int64]
    ) -> list[NDArray[np.uint8]]:
        """The operands' digits `[rows]` for the sum at each row's place."""
        digits = []
        for sign, chosen in zip(reversed(pattern), reversed(self.chosen), strict=True):
            digit = chosen[rows, place]
            place = place - (digit if sign > 0 else 9 - digit)
            digits.append(digit)
        return digits[::-1]


def _column_digits(
    problems: Problems, chart: Chart, k: int, rng: np.random.Generator
) -> ColumnDigits:
    cost = np.zeros((problems.n, 1))
    chosen = []
    for i, sign in enumerate(chart.pattern):
        change = _change_costs(problems, chart, i, k, rng)
        wider = np.full((problems.n, cost.shape[1] + 9), np.inf)
        digit = np.zeros(wider.shape, dtype=np.uint8)
        for value in range(10):
            shift = value if sign > 0 else 9 - value
            there = slice(shift, shift + cost.shape[1])
            candidate = cost + change[:, value, None]
            better = candidate < wider[:, there]
            wider[:, there][better] = candidate[better]
            digit[:, there][better] = value
        cost = wider
        chosen.append(digit)
    return ColumnDigits(cost, chosen)


def _change_costs(
    problems: Problems, chart: Chart, i: int, k: int, rng: np.random.Generator
) -> Costs:
    """Cost `[n, 10]` of each value for digit k of operand i: 1 if changed, plus the random part."""
    old = problems.operands[i][:, k, None]
    values = np.arange(10)
    n_digits = sum(chart.task.operand_digits)
    cost = (values != old) + rng.random((problems.n, 10)) / (2 * n_digits)
    for constraint in chart.constraints:
        if (constraint.family, constraint.place) == (chart.task.operand_names[i], k):
            cost[~constraint.holds(values, old)] = np.inf
    return cost


def _allowed(problems: Problems, chart: Chart, k: int) -> NDArray[np.bool_]:
    """Mask `[n, states, sums]` of the steps of column k that satisfy its constraints."""
    shape = (problems.n, chart.n_states, len(chart.sums(k)))
    allowed = np.ones(shape, dtype=bool)
    for constraint in chart.constraints:
        place = constraint.place - (constraint.family == "lookahead")
        if (
            place == k
            and constraint.family != "sign"
            and constraint.family not in chart.task.operand_names
        ):
            old = _old_values(problems, constraint)[:, None, None]
            allowed &= constraint.holds(chart.writes(constraint.family, k), old)
    return allowed


def _old_values(problems: Problems, constraint: Constraint) -> NDArray[Any]:
    if constraint.family == "class":
        return class_codes(problems)[:, constraint.place]
    return problems.columns(constraint.family)[:, constraint.place]


def _shortest_pairs(
    problems: Problems, chart: Chart, rng: np.random.Generator
) -> tuple[Costs, list[Digits]]:
    """Cost `[n]` (infinite where there is none) and operands of the shortest pairs."""
    cost = np.full((problems.n, chart.n_states), np.inf)
    cost[:, chart.start] = 0.0
    back: list[tuple[NDArray[np.int64], ColumnDigits | None]] = []
    for k in range(chart.columns):
        column = _column_digits(problems, chart, k, rng) if k < chart.width else None
        own = column.cost if column is not None else np.zeros((problems.n, 1))
        total = np.where(_allowed(problems, chart, k), cost[:, :, None] + own[:, None, :], np.inf)
        cost, came_from = _cheapest(
            total.reshape(problems.n, -1), chart.next_state(k).ravel(), chart.n_states
        )
        back.append((came_from, column))
    end = _end_costs(problems, chart, cost)
    least = end.min(axis=1)
    solved = np.flatnonzero(np.isfinite(least))
    operands = [x.copy() for x in problems.operands]
    _trace_back(chart, solved, end[solved].argmin(axis=1), back, operands)
    return least, operands


def _cheapest(
    total: Costs, leads_to: NDArray[np.int64], n_states: int
) -> tuple[Costs, NDArray[np.int64]]:
    """For each state the cheapest incoming step: its cost and index, `[n, states]`."""
    cost = np.full((len(total), n_states), np.inf)
    step = np.zeros(cost.shape, dtype=np.int64)
    for state in range(n_states):
        steps = np.flatnonzero(leads_to == state)
        if len(steps):
            best = total[:, steps].argmin(axis=1)
            step[:, state] = steps[best]
            cost[:, state] = total[np.arange(len(total)), steps[best]]
    return cost, step


def _end_costs(problems: Problems, chart: Chart, cost: Costs) -> Costs:
    """Costs of the last states, infinite for invalid ends."""
    good = np.broadcast_to(chart.is_end(), cost.shape)
    for constraint in chart.constraints:
        if constraint.family == "sign":
            good = good & constraint.holds(chart.sign(), problems.sign[:, None])
        if constraint == ("lookahead", 0, False):
            good = np.zeros_like(good)  # nothing is carried into column 0: always settled
    return np.where(good, cost, np.inf)


def _trace_back(
    chart: Chart,
    rows: NDArray[np.int64],
    state: NDArray[np.int64],
    back: list[tuple[NDArray[np.int64], ColumnDigits | None]],
    operands: list[Digits],
) -> None:
    """Write the shortest pairs of some rows, which end in `state`, into `operands`."""
    for k in reversed(range(chart.columns)):
        came_from, column = back[k]
        state, place = np.divmod(came_from[rows, state], len(chart.sums(k)))
        if column is None:
            continue
        found = column.trace(chart.pattern, rows, place)
        for digits, digit in zip(operands, found, strict=True):
            digits[rows, k] = digit

"""Samplers that steer carries: balanced by their number, or enriched with cascades."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.carry_chains import (
    CarryChain,
    Pattern,
    choose,
    column_sum_shares,
    digits_of_sum,
    least_column_sum,
)
from interp.arithmetic.digits import Digits
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.schoolbook import cascade_lengths, operand_signs
from interp.arithmetic.uniform import (
    balanced_classes,
    planted_rows,
    uniform_operators,
    uniform_problems,
)
from interp.errors import InputError

_ROUNDS = 400
"""Redraws before a sampler gives up; each finishes a fair share of what is left."""


def carries(task: Task, n: int, rng: np.random.Generator) -> Problems:
    """Problems balanced by number of carries: columns k with r_k ≠ 0, borrows included.

    Sums: for each drawn operator the numbers of carries that occur are balanced, and each problem
    with that number is equally likely. Products: each number from 0 to m+n-1, problems with
    common numbers drawn uniformly among those; rare ones come from sparse and small-digit factors,
    not uniformly. Modular addition has no carries: InputError.
    """
    if task.arithmetic == "modular":
        raise InputError(f"{task.name} has no carries to balance: use sampler='uniform'")
    if task.arithmetic == "product":
        return _balanced_products(task, n, rng)
    operators = uniform_operators(task, n, rng)
    operands = [np.zeros((n, width), dtype=np.uint8) for width in task.operand_digits]
    for rows, pattern in _by_pattern(operators):
        drawn = _balanced_sums(task, pattern, len(rows), rng)
        for digits, found in zip(operands, drawn, strict=True):
            digits[rows] = found
    return Problems(task, operands, operators)


def _by_pattern(operators: NDArray[np.str_]) -> Iterator[tuple[NDArray[np.int64], Pattern]]:
    """Rows with the same operators, and the signs of their operands."""
    minus = operators == "-"
    for choice in np.unique(minus, axis=0):
        rows = np.flatnonzero((minus == choice).all(axis=1))
        yield rows, (1, *(-1 if m else 1 for m in choice))


def _balanced_sums(task: Task, pattern: Pattern, n: int, rng: np.random.Generator) -> list[Digits]:
    """Operands `[n, width]` of one sign pattern, balanced by number of carries."""
    upright = CarryChain(task, pattern, strict=False)
    chains = [upright]
    if min(pattern) < 0:
        chains.append(CarryChain(task, tuple(-sign for sign in pattern), strict=True))
    shares = np.stack([chain.shares for chain in chains], axis=1)
    possible = np.flatnonzero(shares.sum(axis=1) > 0)
    wanted = possible[balanced_classes(n, len(possible), rng)]
    chosen = choose(shares[wanted], rng)
    operands = [np.zeros((n, upright.width), dtype=np.uint8) for _ in pattern]
    for which, chain in enumerate(chains):
        rows = np.flatnonzero(chosen == which)
        for digits, found in zip(operands, chain.sample(wanted[rows], rng), strict=True):
            digits[rows] = found
    return operands


def _balanced_products(task: Task, n: int, rng: np.random.Generator) -> Problems:
    wanted = balanced_classes(n, sum(task.operand_digits), rng)
    kept: list[Problems] = []
    for attempt in range(_ROUNDS):
        draw = uniform_problems if attempt < 3 else _sparse_products
        pool = draw(task, max(2 * n, 512), rng)
        found = (pool.worksheet.carry != 0).sum(axis=0)
        taken: list[NDArray[np.int64]] = []
        for count in np.unique(wanted):
            rows = np.flatnonzero(found == count)[: (wanted == count).sum()]
            wanted = np.delete(wanted, np.flatnonzero(wanted == count)[: len(rows)])
            taken.append(rows)
        if sum(map(len, taken)):
            kept.append(pool[np.concatenate(taken)])
        if len(wanted) == 0:
            return Problems.concat(kept)[rng.permutation(n)]
    raise InputError(
        f"no products of {task.name} found with {sorted(set(wanted.tolist()))} carries: "
        "use fewer digits or another sampler"
    )


def _sparse_products(task: Task, n: int, rng: np.random.Generator) -> Problems:
    """Factors of random length, density and largest digit, so that any number of carries occurs."""
    operands = []
    for width in task.operand_digits:
        largest = rng.integers(1, 10, size=(n, 1))
        digits = rng.integers(0, largest + 1, size=(n, width))
        digits *= rng.random((n, width)) < rng.random((n, 1))
        digits[np.arange(width) >= rng.integers(1, width + 1, size=(n, 1))] = 0
        operands.append(digits.astype(np.uint8))
    return Problems(task, operands, uniform_operators(task, n, rng))


def cascades(
    task: Task, n: int, rng: np.random.Generator, *, share: float = 0.5, min_length: int = 2
) -> Problems:
    """A share of problems with a carry cascade of at least `min_length`, the rest uniform.

    Uniform problems rarely have long cascades, and models trained without them fail on them
    (Quirke & Barez, 2310.13121, enrich 40-60 % of their batches). In sums a cascade is planted: its
    length is uniform from `min_length` to the longest possible and its place uniform; the first
    column makes a carry, the others sum to nine (differences: a borrow, then zeros), and all other
    digits are uniform. Products are drawn until they have one; with several digits on both sides
    most have, so there the sampler matters for one-digit factors only.

    Raises InputError where the task has no cascade that long.
    """
    if task.arithmetic == "modular":
        raise InputError(f"{task.name} has no carry cascades: use sampler='uniform'")
    _check_min_length(task, min_length)
    drawn = uniform_problems(task, n, rng)
    planted = planted_rows(n, share, rng)
    if len(planted) == 0:
        return drawn
    enriched = _until_cascade(task, len(planted), min_length, rng)
    operands = [x.copy() for x in drawn.operands]
    operators = drawn.operators.copy()
    for digits, found in zip(operands, enriched.operands, strict=True):
        digits[planted] = found
    operators[planted] = enriched.operators
    return Problems(task, operands, operators)


def _check_min_length(task: Task, min_length: int) -> None:
    if isinstance(min_length, bool) or not isinstance(min_length, int) or min_length < 1:
        raise InputError(f"min_length= must be a whole number of at least 1, not {min_length!r}")
    longest = longest_cascade(task)
    if min_length > longest:
        raise InputError(
            f"{task.name} has no carry cascade of length {min_length}, the longest has {longest}: "
            "lower min_length=, or use more digits"
        )


def longest_cascade(task: Task) -> int:
    """The longest cascade that every choice of operators allows.

    A carry can run through all columns of a sum; a borrow must stop below the last, since the
    larger number stands on top.
    """
    if task.arithmetic == "product":
        return task.answer_digits - 1
    lone_difference = len(task.operators) == 1 and "-" in task.operators[0]
    return max(task.operand_digits) - lone_difference


def _until_cascade(task: Task, n: int, min_length: int, rng: np.random.Generator) -> Problems:
    """n problems with a cascade of at least `min_length`, redrawn until they have one."""
    kept: list[Problems] = []
    missing = n
    for _ in range(_ROUNDS):
        pool = uniform_problems(task, max(2 * missing, 1024), rng)
        lengths = np.full(pool.n, min_length)
        if task.arithmetic == "sum":
            pool, lengths = _plant(pool, min_length, rng)
        good = np.flatnonzero(cascade_lengths(pool.worksheet).max(axis=0) >= lengths)[:missing]
        if len(good):
            kept.append(pool[good])
            missing -= len(good)
        if missing == 0:
            return Problems.concat(kept)
    raise InputError(
        f"found too few problems of {task.name} with a cascade of length {min_length}: "
        "lower min_length="
    )


def _plant(
    problems: Problems, min_length: int, rng: np.random.Generator
) -> tuple[Problems, NDArray[np.int64]]:
    """The same sums with a planted cascade, and the required length of each.

    The orientation of a row is assumed, not enforced: if the new digits flip its sign, the row has
    another cascade or none, and the caller redraws it.
    """
    task = problems.task
    oriented = operand_signs(problems.operators) * np.where(problems.sign < 0, -1, 1)[:, None]
    borrows = (oriented > 0).sum(axis=1) < 2
    longest = max(task.operand_digits) - borrows
    length = rng.integers(np.minimum(min_length, longest), longest + 1)
    start = rng.integers(0, longest - length + 1)
    wanted = np.maximum(length, min_length)
    operands = [x.copy() for x in problems.operands]
    for pattern in np.unique(oriented, axis=0):
        alike = (oriented == pattern).all(axis=1)
        signs = tuple(int(sign) for sign in pattern)
        for k in range(max(task.operand_digits)):
            write_column(operands, k, signs, np.flatnonzero(alike & (start == k)), True, rng)
            through = alike & (start < k) & (k < start + length)
            write_column(operands, k, signs, np.flatnonzero(through), False, rng)
    return Problems(task, operands, problems.operators), wanted


def propagation(task: Task, n: int, rng: np.random.Generator, *, share: float = 0.5) -> Problems:
    """A share of sums with a run of columns that sum to nine (differences: to zero), rest uniform.

    An adder's columns generate a carry, kill it or propagate it. `cascades` plants propagating
    columns behind one that generates; here the columns below the run are left to chance, so it
    means a carry about as often as none. The length of the run is uniform from 1 to all columns,
    its place uniform, and every other column as in uniform problems. Without a carry into the run,
    its answer digits are nines: a model trained only on runs behind a carry writes zeros.

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


def write_column(
    operands: list[Digits],
    k: int,
    pattern: Pattern,
    rows: NDArray[np.int64],
    first: bool,
    rng: np.random.Generator,
) -> None:
    """Write column k of some rows: it generates a carry (`first`) or propagates it."""
    if len(rows) == 0:
        return
    shares = column_sum_shares(pattern)
    sums = np.arange(len(shares)) + least_column_sum(pattern)
    borrows = sum(sign > 0 for sign in pattern) < 2
    makes = sums < 0 if borrows else sums >= 10
    hands_on = sums == (0 if borrows else 9)
    fitting = makes if first else hands_on
    weights = np.broadcast_to(np.where(fitting, shares, 0.0), (len(rows), len(sums)))
    digits = digits_of_sum(pattern, sums[choose(weights, rng)], rng)
    for operand, column in zip(operands, digits.T, strict=True):
        operand[rows, k] = column

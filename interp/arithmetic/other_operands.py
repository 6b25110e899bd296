"""Same-answer pairs: a control with other operands and an unchanged output.

Quirke (2606.08292) requires it of every claim that a component carries an answer: a patch from such
a pair must not change the answer.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits, object_array, to_digits, to_int64
from interp.arithmetic.problems import Problems, Task, raise_for_rows
from interp.arithmetic.schoolbook import operand_signs
from interp.arithmetic.seeds import generator

Integers = NDArray[np.object_]

_SMALL_PRIMES_BELOW = 10_000


def same_answer(problems: Problems, *, seed: int = 0) -> Problems:
    """Problems with other operands, the same operators and the same signed answer.

    Two-number sums and modular additions are uniform among all such pairs, and so are products
    whose factors have at most 8 digits; exchanging the operands counts as other operands. Of longer
    sums some two operands at least change. Of wider products, factors are only split by primes
    below 10,000.

    Raises InputError for rows without another (0 + 0, 99 + 99, 1 · 1).
    """
    rng = generator(seed)
    arithmetic = problems.task.arithmetic
    if arithmetic == "modular":
        operands = _other_residues(problems, rng)
    elif arithmetic == "product":
        operands = _other_factors(problems, rng)
    else:
        operands = _other_terms(problems, rng)
    return Problems(problems.task, operands, problems.operators)


def _other_residues(problems: Problems, rng: np.random.Generator) -> list[Digits]:
    p, width = problems.task.operand_limits[0], problems.task.operand_digits[0]
    a, b = (to_int64(x) for x in problems.operands)
    shift = rng.integers(1, p, size=problems.n)
    return [to_digits((a + shift) % p, width), to_digits((b - shift) % p, width)]


def _other_terms(problems: Problems, rng: np.random.Generator) -> list[Digits]:
    """Move t from one operand to another, uniform among the possible t, for every two operands.

    Two solutions differ in some operand that may grow and some that may shrink in its stead, so
    moves between two operands reach another solution wherever there is one.
    """
    signs = operand_signs(problems.operators).astype(object)
    values = np.stack([problems.values(i) for i in range(signs.shape[1])], axis=1)
    old = values.copy()
    pairs = list(combinations(range(signs.shape[1]), 2))
    order = [pairs[p] for p in rng.permutation(len(pairs))]
    limits = problems.task.operand_limits
    for i, j in order:
        _move(values, signs, i, j, (values == old).all(axis=1), limits, rng)
    for i, j in order:  # again, for rows that later moves brought back to where they were
        back = np.flatnonzero((values == old).all(axis=1))
        some = values[back]
        _move(some, signs[back], i, j, np.ones(len(back), dtype=bool), limits, rng)
        values[back] = some
    raise_for_rows((values == old).all(axis=1), "no other operands give the same answer")
    widths = problems.task.operand_digits
    return [to_digits(values[:, i], width) for i, width in enumerate(widths)]


def _move(
    values: Integers,
    signs: Integers,
    i: int,
    j: int,
    must: NDArray[np.bool_],
    limits: tuple[int, ...],
    rng: np.random.Generator,
) -> None:
    """Move t into operand i and out of j, t ≠ 0 in rows that `must` change and can."""
    toward = -signs[:, i] * signs[:, j]
    room_up, room_down = limits[j] - 1 - values[:, j], values[:, j]
    most = np.minimum(limits[i] - 1 - values[:, i], np.where(toward > 0, room_up, room_down))
    least = -np.minimum(values[:, i], np.where(toward > 0, room_down, room_up))
    span = most - least
    skip = must & (span > 0)
    step = least + random_below(span + np.where(skip, 0, 1), rng)
    step = step + np.where(skip & (step >= 0), 1, 0)  # over the 0 that is left out
    values[:, i] += step
    values[:, j] += toward * step


def random_below(limits: Integers, rng: np.random.Generator) -> Integers:
    """Uniform integers in 0 … limit - 1, of any size (biased by less than 2**-64)."""
    words = int(limits.max(initial=1)).bit_length() // 64 + 2
    drawn = np.zeros(len(limits), dtype=object)
    for _ in range(words):
        word = rng.integers(0, 2**64, size=len(limits), dtype=np.uint64)
        drawn = drawn * 2**64 + word.astype(object)
    return drawn % limits


def _other_factors(problems: Problems, rng: np.random.Generator) -> list[Digits]:
    task = problems.task
    found = [
        _another_factorisation(int(a), int(b), task, rng)
        for a, b in zip(problems.values(0), problems.values(1), strict=True)
    ]
    without = np.array([pair is None for pair in found])
    raise_for_rows(without, "no other factors give the same product")
    pairs = [pair for pair in found if pair is not None]
    return [
        to_digits(object_array(pair[i] for pair in pairs), task.operand_digits[i]) for i in (0, 1)
    ]


def _another_factorisation(
    a: int, b: int, task: Task, rng: np.random.Generator
) -> tuple[int, int] | None:
    limit_a, limit_b = task.operand_limits
    if a * b == 0:
        return _another_zero(a, b, limit_a, limit_b, rng)
    whole = a * b
    divisors = [1]
    for prime, power in _prime_powers(a, b).items():
        divisors = [d * prime**e for d in divisors for e in range(power + 1)]
    fitting = [d for d in divisors if d < limit_a and whole // d < limit_b and d != a]
    if not fitting:
        return None
    chosen = fitting[int(rng.integers(len(fitting)))]
    return chosen, whole // chosen


def _another_zero(
    a: int, b: int, limit_a: int, limit_b: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Uniform among the other pairs (0, y) and (x, 0)."""
    while True:
        (place,) = random_below(object_array([limit_a + limit_b - 1]), rng)
        pair = (0, place) if place < limit_b else (place - limit_b + 1, 0)
        if pair != (a, b):
            return pair


def _prime_powers(a: int, b: int) -> dict[int, int]:
    """Prime factors of a · b with their powers; a cofactor without small primes counts as one."""
    powers: dict[int, int] = {}
    for rest in (a, b):
        for prime in _small_primes_of(rest):
            while rest % prime == 0:
                rest //= prime
                powers[prime] = powers.get(prime, 0) + 1
        if rest > 1:
            powers[rest] = powers.get(rest, 0) + 1
    return powers


def _small_primes_of(value: int) -> list[int]:
    if value < 2**63:
        return [int(p) for p in _SMALL_PRIMES[value % _SMALL_PRIMES == 0]]
    return [int(p) for p in _SMALL_PRIMES if value % int(p) == 0]


def _primes(below: int) -> NDArray[np.int64]:
    sieve = np.ones(below, dtype=bool)
    sieve[:2] = False
    for k in range(2, int(below**0.5) + 1):
        if sieve[k]:
            sieve[k * k :: k] = False
    return np.flatnonzero(sieve)


_SMALL_PRIMES = _primes(_SMALL_PRIMES_BELOW)

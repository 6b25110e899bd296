"""Products and modular additions with one truth column flipped and others kept, by enumeration.

Their columns share digits, so no column can be settled on its own. Candidates are tried in order of
how many digits they change: every one-digit change, then changes of two and three digits, then
random problems; or simply all problems of the task, where those are few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.constraints import Found, Wish, fulfilled
from interp.arithmetic.digits import Digits, to_int64
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.uniform import uniform_problems

SMALL_TASK = 2**16
"""Tasks with so many problems at most are searched completely."""

CHANGES = 2**16
"""At most so many changes of two digits, and as many of three, are tried for a row."""

RANDOM_PROBLEMS = 2**12
"""So many uniform problems are tried for a row, at last."""

_CANDIDATES = 2**18
"""Problems tried at once."""

Stage = Callable[[Digits], Digits]
"""Candidates `[rows, candidates, digits]` for problems `[rows, digits]`, operands side by side."""


def search_flips(problems: Problems, wishes: Sequence[Wish], rng: np.random.Generator) -> Found:
    """Pairs that fulfil the wishes, random among those with the fewest changes that were tried.

    Complete for tasks of at most `SMALL_TASK` problems. Otherwise a row without a pair here may yet
    have one: tried are all changes of one digit, of two and of three digits (`CHANGES` at random of
    those where there are more: of three from ten digits on), and `RANDOM_PROBLEMS` uniform
    problems.
    """
    written = np.hstack(problems.operands)
    pairs = written.copy()
    solved = np.zeros(problems.n, dtype=bool)
    for size, candidates_of in _stages(problems.task, written.shape[1], rng):
        left = np.flatnonzero(~solved)
        step = max(1, _CANDIDATES // size)
        for start in range(0, len(left), step):
            rows = left[start : start + step]
            candidates = candidates_of(written[rows])
            good = _good(problems, rows, candidates, wishes)
            changed = (candidates != written[rows, None]).sum(axis=2) + rng.random(good.shape)
            best = np.where(good, changed, np.inf).argmin(axis=1)
            found = good[np.arange(len(rows)), best]
            pairs[rows[found]] = candidates[found, best[found]]
            solved[rows[found]] = True
    return Found(_operands(problems.task, pairs), solved)


def is_complete(task: Task) -> bool:
    """Whether `search_flips` tries every problem of the task."""
    return task.n_problems <= SMALL_TASK


def _stages(task: Task, n_digits: int, rng: np.random.Generator) -> list[tuple[int, Stage]]:
    """How many candidates each stage tries for a row, and how it makes them."""
    if is_complete(task):
        every = np.hstack(task.grid().operands)
        return [(len(every), lambda rows: np.repeat(every[None], len(rows), axis=0))]
    changes = [_changes(n_digits, many, rng) for many in (1, 2, 3) if many <= n_digits]
    stages: list[tuple[int, Stage]] = [(len(some), partial(_changed, some)) for some in changes]
    return [*stages, (RANDOM_PROBLEMS, lambda rows: _random_candidates(task, len(rows), rng))]


def _changed(changes: Digits, rows: Digits) -> Digits:
    return (rows[:, None] + changes) % 10


def _changes(n_digits: int, how_many: int, rng: np.random.Generator) -> Digits:
    """What to add to the digits, mod 10, for each change of so many, `[changes, digits]`."""
    places = list(combinations(range(n_digits), how_many))
    shifts = list(product(range(1, 10), repeat=how_many))
    total = len(places) * len(shifts)
    kept = rng.permutation(total)[:CHANGES]
    changes = np.zeros((len(kept), n_digits), dtype=np.uint8)
    place, shift = np.array(places)[kept // len(shifts)], np.array(shifts)[kept % len(shifts)]
    changes[np.arange(len(kept))[:, None], place] = shift
    return changes


def _random_candidates(task: Task, n: int, rng: np.random.Generator) -> Digits:
    drawn = np.hstack(uniform_problems(task, n * RANDOM_PROBLEMS, rng).operands)
    return drawn.reshape(n, RANDOM_PROBLEMS, -1)


def _good(
    problems: Problems, rows: NDArray[np.int64], candidates: Digits, wishes: Sequence[Wish]
) -> NDArray[np.bool_]:
    """Which candidates are problems of the task and fulfil the wishes, `[rows, candidates]`."""
    flat = _operands(problems.task, candidates.reshape(-1, candidates.shape[2]))
    owner = np.repeat(rows, candidates.shape[1])
    good = np.ones(len(owner), dtype=bool)
    if problems.task.arithmetic == "modular":
        for digits, limit in zip(flat, problems.task.operand_limits, strict=True):
            good &= to_int64(digits) < limit
    tried = np.flatnonzero(good)
    if len(tried):
        operators = problems.operators[owner[tried]]
        new = Problems(problems.task, [digits[tried] for digits in flat], operators)
        good[tried] = fulfilled(new, problems, owner[tried], wishes)
    return good.reshape(candidates.shape[:2])


def _operands(task: Task, written: Digits) -> list[Digits]:
    """Digits that stand side by side, as one array an operand."""
    return np.split(written, np.cumsum(task.operand_digits)[:-1], axis=1)

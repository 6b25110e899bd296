"""Flip one column of the truth table and keep others, with the fewest changed digits.

For sums the search is exact (`sum_flips`: a shortest path through the schoolbook algorithm), so a
refusal proves that there is no such pair. The columns of products and modular additions share
digits, so none can be settled on its own: candidates are enumerated in order of how many digits
they change (every one-digit change, then two and three digits, then random problems), and
completely where the task has at most 2**16 problems.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.constraints import (
    Constraints,
    Pairs,
    fulfilled,
    parse_constraints,
)
from interp.arithmetic.digits import Digits, to_int64
from interp.arithmetic.problems import Problems, Task, raise_for_rows
from interp.arithmetic.seeds import generator
from interp.arithmetic.sum_flips import sum_flips
from interp.arithmetic.truth import column_names
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


def flip_truth(
    problems: Problems, column: str, *, keep: Sequence[str] | str = (), seed: int = 0
) -> Problems:
    """Problems with another value of one truth column and unchanged kept columns.

    `column` is one of the truth table's, such as `"carry[2]"`; if it is not binary it takes any
    other value, and a sign the opposite one (from 0, either). `keep` names columns (`"c[3]"`) or
    whole families (`"c"`). Operators always stay. Among all pairs that fulfil this, one with the
    fewest changed operand digits is drawn, so that the rest of the table stays where it can.

    >>> from interp.arithmetic.tasks import Addition
    >>> flip_truth(Addition(3).problems(125, 456), "carry[0]", keep=["c", "carry[1]"]).answers()
    array([581], dtype=object)

    Raises InputError for a column that the task does not have, and where some row has no such pair:
    it names the rows, and says whether `keep` stands in the way.
    """
    constraints = parse_constraints(problems.task, column, keep)
    found = _search(problems, constraints, generator(seed))
    if not found.solved.all():
        _refuse(problems, column, constraints, found, seed)
    return Problems(problems.task, found.operands, problems.operators)


def _search(problems: Problems, constraints: Constraints, rng: np.random.Generator) -> Pairs:
    search = sum_flips if problems.task.arithmetic == "sum" else search_flips
    return search(problems, constraints, rng)


def _refuse(
    problems: Problems, column: str, constraints: Constraints, found: Pairs, seed: int
) -> None:
    task = problems.task
    proven = task.arithmetic == "sum" or is_complete(task)
    reason = f"{'there is' if proven else 'found'} no problem of {task.name} that changes {column}"
    remedy = "leave these rows out"
    if len(constraints) > 1:
        kept = [column_names(task, one.family)[one.place] for one in constraints[1:]]
        reason += f" and keeps {', '.join(kept[:4])}{', …' if len(kept) > 4 else ''}"
        first = problems[np.flatnonzero(~found.solved)[0]]
        alone = _search(first, constraints[:1], generator(seed)).solved.all()
        remedy += ", or keep less: with keep=() there is one" if alone else ""
    raise_for_rows(~found.solved, reason, remedy)


def search_flips(problems: Problems, constraints: Constraints, rng: np.random.Generator) -> Pairs:
    """Pairs that fulfil the constraints: of the tried ones, a random one with the fewest changes.

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
            good = _good(problems, rows, candidates, constraints)
            changed = (candidates != written[rows, None]).sum(axis=2) + rng.random(good.shape)
            best = np.where(good, changed, np.inf).argmin(axis=1)
            found = good[np.arange(len(rows)), best]
            pairs[rows[found]] = candidates[found, best[found]]
            solved[rows[found]] = True
    return Pairs(_operands(problems.task, pairs), solved)


def is_complete(task: Task) -> bool:
    """True if `search_flips` tries every problem of the task."""
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
    """Offsets mod 10 of all changes of `how_many` digits, `[changes, digits]`."""
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
    problems: Problems,
    rows: NDArray[np.int64],
    candidates: Digits,
    constraints: Constraints,
) -> NDArray[np.bool_]:
    """Which candidates are problems of the task that fulfil all, `[rows, candidates]`."""
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
        good[tried] = fulfilled(new, problems, owner[tried], constraints)
    return good.reshape(candidates.shape[:2])


def _operands(task: Task, written: Digits) -> list[Digits]:
    """Digits that stand side by side, as one array an operand."""
    return np.split(written, np.cumsum(task.operand_digits)[:-1], axis=1)

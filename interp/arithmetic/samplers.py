"""Samplers of problems. Each depends on its own generator alone.

| sampler       | draws                                                  | options               |
|---------------|--------------------------------------------------------|-----------------------|
| `uniform`     | every problem equally likely                           | `full_width`          |
| `carries`     | every number of carries or borrows equally often       |                       |
| `cascades`    | a share with a planted carry cascade, the rest uniform | `share`, `min_length` |
| `propagation` | a share with a run of nines, carried into or not       | `share`               |
| `lengths`     | every combination of operand lengths equally often     | `longest`             |
| `simple`      | a share of products with few non-zero digits in b      | `share`, `places`     |

All draw with replacement: `Problems.n_distinct` says how many differ. `Task.grid` gives every
problem once.
"""

import inspect
import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from interp.arithmetic.carry_samplers import carries, cascades, propagation
from interp.arithmetic.digits import to_digits
from interp.arithmetic.problems import Problems, Task
from interp.arithmetic.seeds import generator, whole
from interp.arithmetic.uniform import (
    balanced_classes,
    operand_of_length,
    planted_rows,
    uniform_operand,
    uniform_operators,
    uniform_problems,
)
from interp.errors import InputError

MAX_LENGTH_COMBINATIONS = 2**16


def draw(
    task: Task, n: int, *, seed: int = 0, sampler: str = "uniform", **options: Any
) -> Problems:
    """`n` problems of a task by a named sampler; `Task.sample` is the public way in.

    Raises InputError for n < 1, an unknown sampler or option, a share outside 0 … 1, and a sampler
    that the task has no use for.
    """
    count = whole(n)
    if sampler not in _SAMPLERS:
        raise InputError(f"unknown sampler {sampler!r}: use one of {', '.join(sampler_names())}")
    function = _SAMPLERS[sampler]
    known = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    for option in options:
        if option not in known:
            raise InputError(
                f"sampler {sampler!r} has no option {option!r}; it has {', '.join(known) or 'none'}"
            )
    return function(task, count, generator(seed), **options)


def sampler_names() -> tuple[str, ...]:
    """The names that `Task.sample(sampler=…)` takes."""
    return tuple(_SAMPLERS)


def uniform(task: Task, n: int, rng: np.random.Generator, *, full_width: bool = False) -> Problems:
    """Operands uniform over all their values, leading zeros included.

    `full_width=True` leaves out numbers with a leading zero, as the published four-digit
    multiplication data do (operands 1000 … 9999).
    """
    return uniform_problems(task, n, rng, full_width=full_width)


def lengths(
    task: Task, n: int, rng: np.random.Generator, *, longest: int | None = None
) -> Problems:
    """Balanced by digit length (Lee et al., 2307.03381), up to `longest` digits an operand.

    Each unordered combination of operand lengths is drawn equally often, its order at random, and
    the numbers uniformly among those of that length. Only the combination of one-digit numbers has
    fewer problems than its part in a large sample: it then gives each of its problems once, and the
    others share what is left. Of N additions up to D digits that leaves
    floor((N - 100) / (D(D+1)/2 - 1)) or one more for each other combination, as in the paper.
    """
    if longest is not None and longest < 1:
        raise InputError(f"longest={longest}: operands have at least 1 digit")
    combinations = _length_combinations(task, longest)
    ones = _one_digit_problems(task)
    if len(combinations) == 1:
        return ones[rng.integers(ones.n, size=n)]
    n_ones = min(ones.n, math.ceil(n / len(combinations)))
    parts = [ones[rng.permutation(ones.n)[:n_ones]]]
    if n > n_ones:
        parts.append(_draw_lengths(task, n - n_ones, combinations[1:], rng))
    return Problems.concat(parts)[rng.permutation(n)]


def _length_combinations(task: Task, longest: int | None) -> list[list[tuple[int, ...]]]:
    """Orderings of each unordered combination of lengths that fit the operands, ones first."""
    widths = [min(width, longest or width) for width in task.operand_digits]
    if np.prod(np.array(widths, dtype=float)) > MAX_LENGTH_COMBINATIONS:
        raise InputError(
            f"{task.name} has too many combinations of operand lengths to balance; "
            "use fewer digits or operands, or another sampler"
        )
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for ordered in product(*(range(1, width + 1) for width in widths)):
        found.setdefault(tuple(sorted(ordered)), []).append(ordered)
    return list(found.values())


def _one_digit_problems(task: Task) -> Problems:
    limits = [min(10, limit) for limit in task.operand_limits]
    values = np.indices(limits).reshape(len(limits), -1)
    parts = [
        Problems(
            task,
            [to_digits(v, w) for v, w in zip(values, task.operand_digits, strict=True)],
            np.tile(np.array(choice, dtype="<U1"), (values.shape[1], 1)),
        )
        for choice in product(*task.operators)
    ]
    return Problems.concat(parts)


def _draw_lengths(
    task: Task,
    n: int,
    choices: list[list[tuple[int, ...]]],
    rng: np.random.Generator,
) -> Problems:
    chosen = balanced_classes(n, len(choices), rng)
    orderings = np.array([len(orders) for orders in choices])
    table = np.concatenate([np.array(orders) for orders in choices])
    first = np.concatenate([[0], np.cumsum(orderings)[:-1]])
    rows = table[first[chosen] + rng.integers(0, orderings[chosen])]
    operands = [operand_of_length(task, i, rows[:, i], rng) for i in range(rows.shape[1])]
    return Problems(task, operands, uniform_operators(task, n, rng))


def simple(
    task: Task, n: int, rng: np.random.Generator, *, share: float = 0.5, places: int = 1
) -> Problems:
    """A share of products whose multiplier b has few non-zero digits, the rest uniform.

    Qiu et al. (2407.15360) train on such a mixture with `places=1`: m-digit by one-digit products
    shifted to one of the places. With more, that many digits of b are not zero: samples between
    theirs and uniform ones. Which places, and the digits, are uniform.
    """
    if task.arithmetic != "product":
        raise InputError(
            f"sampler 'simple' needs a multiplier, and {task.name} has none: use Multiplication"
        )
    width = task.operand_digits[1]
    if places not in range(1, width + 1):
        raise InputError(
            f"places={places!r}: of the multiplier of {task.name} 1 to {width} digits can be left"
        )
    planted = planted_rows(n, share, rng)
    a = uniform_operand(task, 0, n, rng)
    b = uniform_operand(task, 1, n, rng)
    b[planted] = 0
    rows = np.arange(len(planted))
    left = np.tile(np.arange(width), (len(planted), 1))
    for taken in range(places):  # one of the places left, which the last of them then replaces
        index = rng.integers(0, width - taken, size=len(planted))
        b[planted, left[rows, index]] = rng.integers(1, 10, size=len(planted), dtype=np.uint8)
        left[rows, index] = left[rows, width - 1 - taken]
    return Problems(task, [a, b], uniform_operators(task, n, rng))


_SAMPLERS: dict[str, Callable[..., Problems]] = {
    "uniform": uniform,
    "carries": carries,
    "cascades": cascades,
    "propagation": propagation,
    "lengths": lengths,
    "simple": simple,
}

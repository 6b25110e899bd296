"""Counterfactual pairs: the same problem with one thing changed.

| function          | changes                                     | keeps                   |
|-------------------|---------------------------------------------|-------------------------|
| `swap_digit`      | one digit of one operand                    | everything else written |
| `all_digit_swaps` | the same, every other digit value in turn   | everything else written |
| `swap_operand`    | one operand                                 | the other operands      |
| `swap_operator`   | one operator                                | the operands            |
| `same_answer`     | the operands                                | operators and answer    |
| `flip_truth`      | one column of the truth table (see `flips`) | the columns named       |

Row i of what comes back is the pair of row i of what went in (`all_digit_swaps` gives the rows).

Where a row has no such pair, an InputError names the rows; nothing is left out silently.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import to_int64
from interp.arithmetic.flips import flip_truth
from interp.arithmetic.other_operands import same_answer
from interp.arithmetic.problems import Problems, raise_for_rows
from interp.arithmetic.seeds import generator
from interp.arithmetic.uniform import operand_of_length, uniform_operand
from interp.errors import InputError

__all__ = [
    "all_digit_swaps",
    "flip_truth",
    "same_answer",
    "swap_digit",
    "swap_operand",
    "swap_operator",
]

_REDRAWS = 200


def swap_digit(
    problems: Problems, operand: int, digit: int, *, seed: int = 0, keep_leading: bool = True
) -> Problems:
    """One digit of one operand replaced by another, uniform among the other values.

    With `keep_leading` the first significant digit of a number stays non-zero, so that the number
    is as long as before (Bai et al., 2510.00184, draw a3 and b3 from 1 … 9). Digit 0 is the least
    significant. Operands of a modular addition stay below p.

    Raises InputError for a digit that does not exist, or that has no other value in some row.
    """
    allowed = allowed_digits(problems, operand, digit, keep_leading=keep_leading)
    raise_for_rows(
        ~allowed.any(axis=1), f"digit {digit} of operand {operand} has no other value to take"
    )
    rank = generator(seed).integers(0, allowed.sum(axis=1))
    value = (np.cumsum(allowed, axis=1) > rank[:, None]).argmax(axis=1)
    return with_digit(problems, operand, digit, value)


def all_digit_swaps(
    problems: Problems, operand: int, digit: int, *, keep_leading: bool = True
) -> tuple[Problems, NDArray[np.int64]]:
    """Every pair that `swap_digit` can draw, and for each the row it belongs to.

    Rows come in order, and the digit's values in order within a row. Raises as `swap_digit` does.
    """
    allowed = allowed_digits(problems, operand, digit, keep_leading=keep_leading)
    raise_for_rows(
        ~allowed.any(axis=1), f"digit {digit} of operand {operand} has no other value to take"
    )
    rows, values = np.nonzero(allowed)
    return with_digit(problems[rows], operand, digit, values), rows


def allowed_digits(
    problems: Problems, operand: int, digit: int, *, keep_leading: bool
) -> NDArray[np.bool_]:
    """Which values 0 … 9 may take a digit's place, `[n, 10]`; never the value it has."""
    check_digit(problems, operand, digit)
    digits = problems.operands[operand]
    current = digits[:, digit].astype(np.int64)
    allowed = np.arange(10) != current[:, None]
    if keep_leading:
        leads = (problems.lengths[:, operand] == digit + 1) & (current != 0)
        allowed[leads, 0] = False
    if problems.task.arithmetic == "modular":
        changed = to_int64(digits)[:, None] + (np.arange(10) - current[:, None]) * 10**digit
        allowed &= changed < problems.task.operand_limits[operand]
    return allowed


def check_operand(problems: Problems, operand: int) -> None:
    """Raises InputError where the task has no such operand."""
    count = len(problems.operands)
    if isinstance(operand, bool) or not isinstance(operand, int | np.integer):
        raise InputError(f"operands are numbered from 0, not named {operand!r}")
    if not 0 <= operand < count:
        raise InputError(f"{problems.task.name} has operands 0 to {count - 1}, not {operand}")


def check_digit(problems: Problems, operand: int, digit: int) -> None:
    """Raises InputError where the operand has no such digit."""
    check_operand(problems, operand)
    width = problems.task.operand_digits[operand]
    if isinstance(digit, bool) or not isinstance(digit, int | np.integer):
        raise InputError(f"digits are numbered from 0, the least significant, not {digit!r}")
    if not 0 <= digit < width:
        raise InputError(
            f"operand {operand} of {problems.task.name} has digits 0 to {width - 1}, not {digit}"
        )


def with_digit(problems: Problems, operand: int, digit: int, values: NDArray[Any]) -> Problems:
    """The same problems with one digit written over by `values` `[n]`."""
    operands = list(problems.operands)
    changed = operands[operand].copy()
    changed[:, digit] = values
    operands[operand] = changed
    return Problems(problems.task, operands, problems.operators)


def swap_operand(
    problems: Problems, operand: int, *, seed: int = 0, keep_length: bool = False
) -> Problems:
    """One operand replaced by another value, uniform among the others.

    `keep_length=True` draws among the values with as many significant digits. Raises InputError for
    an operand that does not exist, or that has no other value of its length in some row.
    """
    check_operand(problems, operand)
    rng = generator(seed)
    task, old = problems.task, problems.operands[operand]
    new = old.copy()
    same = np.arange(problems.n)
    for _ in range(_REDRAWS):
        if keep_length:
            new[same] = operand_of_length(task, operand, problems.lengths[same, operand], rng)
        else:
            new[same] = uniform_operand(task, operand, len(same), rng)
        same = same[(new[same] == old[same]).all(axis=1)]
        if len(same) == 0:
            break
    stuck = np.isin(np.arange(problems.n), same)
    raise_for_rows(stuck, f"operand {operand} has no other value of that length")
    operands = list(problems.operands)
    operands[operand] = new
    return Problems(task, operands, problems.operators)


def swap_operator(problems: Problems, *, seed: int = 0, gap: int = 0) -> Problems:
    """The operator at one gap replaced by another that the task allows there.

    Raises InputError where the task allows one only: pairs of a + b and a - b are problems of
    MixedAddition, and Expression takes ± for a gap that may hold either.
    """
    task = problems.task
    if not 0 <= gap < len(task.operators):
        raise InputError(f"{task.name} has gaps 0 to {len(task.operators) - 1}, not {gap}")
    allowed = np.array(task.operators[gap])
    if len(allowed) == 1:
        raise InputError(
            f"{task.name} has no other operator than {str(allowed[0])!r} at gap {gap}: use a task "
            "that allows several, such as MixedAddition (addsub:5) or Expression('A±B')"
        )
    # A shift other than 0, so that whatever stands there is replaced.
    shift = generator(seed).integers(1, len(allowed), size=problems.n)
    place = (problems.operators[:, gap, None] == allowed).argmax(axis=1)
    operators = problems.operators.copy()
    operators[:, gap] = allowed[(place + shift) % len(allowed)]
    return Problems(task, problems.operands, operators)

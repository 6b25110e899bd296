"""Counterfactual answers: arithmetic with one intermediate set to another value. Uses no model.

The schoolbook algorithm recomputes everything above the changed intermediate; everything beside or
below it is kept. A signed sum is computed as larger minus smaller: which operand is the larger, and
so the sign, is kept too. With r = carry − borrow

    ĉ_k = s_k + carry_{k-1} − borrow_{k-1}      c_k = ĉ_k mod 10      r_k = floor(ĉ_k / 10)
"""

import re

import numpy as np
import numpy.typing as npt

from interp.arithmetic.digits import to_digits
from interp.arithmetic.problems import Problems
from interp.arithmetic.schoolbook import sum_carry_range
from interp.arithmetic.tasks import Task
from interp.errors import InputError

Ints = npt.NDArray[np.int64]


def answer_if(problems: Problems, name: str, values: npt.NDArray[np.floating]) -> Ints:
    """Answer digits [n, answer_digits] if the target `name` had `values` [n] instead.

    product[i,j] and product_last[i,j] change the column sum they stand in; column_sum[k],
    running_sum[k], carry[k] and borrow[k] change the output of column k (with carry the borrow is
    kept, with borrow the carry); c[k] changes that digit alone; an operand digit changes the
    operand.

    Raises InputError for targets that determine no answer. `keeps_sign` gives the rows in which
    the answer keeps its sign.
    """
    task, new = problems.task, np.rint(values).astype(np.int64)
    _check_follows(task, name)
    family, index = _split(name)
    if family in task.operand_names and index:
        return _operand_moved(problems, family, index[0], new).answer.astype(np.int64)
    if task.arithmetic == "modular":
        return _modular(problems, family, new)
    return _columns(problems, name, new)[0]


def keeps_sign(
    problems: Problems, name: str, values: npt.NDArray[np.floating]
) -> npt.NDArray[np.bool_]:
    """Mask [n] of rows in which a signed answer keeps its sign; all rows of an unsigned task.

    A row loses its sign if a borrow exceeds what the columns hold (52 − 50 with a borrow out of the
    units and no tens to take it from), if the new operand digit makes the smaller number the
    larger, or if a minus would stand before a zero.

    Raises InputError as `answer_if`.
    """
    task, new = problems.task, np.rint(values).astype(np.int64)
    _check_follows(task, name)
    if not task.signed:
        return np.ones(len(problems), dtype=bool)
    family, index = _split(name)
    if family in task.operand_names:
        other = _operand_moved(problems, family, index[0], new)
        return np.asarray((other.sign < 0) == (problems.sign < 0))
    digits, over = _columns(problems, name, new)
    return np.asarray((over >= 0) & (digits.any(axis=1) | (problems.sign >= 0)))


def _columns(problems: Problems, name: str, new: Ints) -> tuple[Ints, Ints]:
    """Digits [n, columns] of a sum or product, and the carry out of the highest column [n]."""
    family, index = _split(name)
    sums = problems.columns("column_sum").T.astype(np.int64)
    if family.startswith("product"):
        own = problems.column(name.replace("product_last", "product")).astype(np.int64)
        old = own % 10 if family == "product_last" else own
        sums[sum(index)] += new - old
        return _work_out(sums, "", -1, new)
    return _work_out(sums, family, index[0], new)


def value_range(task: Task, name: str) -> tuple[int, int]:
    """Minimum and maximum of a target in the task.

    Raises InputError for targets that determine no answer.
    """
    _check_follows(task, name)
    family, index = _split(name)
    if family in (*task.operand_names, "product_last"):
        return 0, 9
    if task.arithmetic == "modular":
        return 0, (task.operand_limits[0] - 1) * (2 if family == "sum" else 1)
    if task.signed:
        return _signed_range(task, family, index[0])
    largest = task.problems(*(limit - 1 for limit in task.operand_limits))  # no carry is larger
    if family == "c":
        return 0, min(9, int(largest.column(f"running_sum[{index[0]}]")[0]))
    return 0, int(largest.column(name)[0])


def _signed_range(task: Task, family: str, k: int) -> tuple[int, int]:
    """Minimum and maximum for larger minus smaller, over all choices of operators.

    Below the operands' highest column a deficit can be borrowed from a higher column. From that
    column on it cannot, so no running sum is negative there.
    """
    count, width = len(task.operand_digits), max(task.operand_digits)
    minuses = {written for written in range(count) if _can_write(task, written)}
    minuses |= {count - written for written in minuses if written}  # where the result is negative
    least, most, running_least, running_most = [], [], [], []
    for number in minuses:
        low, high = sum_carry_range(task, number)
        below, above = (int(low[k - 1]), int(high[k - 1])) if k else (0, 0)
        own = (-9 * number, 9 * (count - number)) if k < width else (0, 0)
        top = k >= width - 1
        least.append(max(own[0], -above) if top else own[0])
        most.append(own[1])
        running_least.append(0 if top else own[0] + below)
        running_most.append(own[1] + above)
    running = min(running_least), max(running_most)
    return {
        "column_sum": (min(least), max(most)),
        "running_sum": running,
        "carry": (0, running[1] // 10),
        "borrow": (0, -(running[0] // 10)),
        "c": (0, 9 if k < width else min(9, running[1])),
    }[family]


def _can_write(task: Task, minuses: int) -> bool:
    """Whether the task's operators can contain this many minus signs."""
    forced = sum(set(gap) == {"-"} for gap in task.operators)
    return forced <= minuses <= sum("-" in gap for gap in task.operators)


_RESIDUES = ("a_value", "b_value", "sum", "c_value")
_ABOVE = ("product", "product_last", "column_sum", "running_sum", "carry", "borrow", "c")


def answer_follows(task: Task, name: str) -> bool:
    """Whether a new value of the target determines a new answer.

    False for facts about a whole number (magnitude, parity, residue, near), which many numbers
    share, and for descriptions of a problem (its operator, sign, classes, cascades).
    """
    family, index = _split(name)
    known = _RESIDUES if task.arithmetic == "modular" else _ABOVE
    return (family in task.operand_names and bool(index)) or family in known


def _check_follows(task: Task, name: str) -> None:
    if not answer_follows(task, name):
        other = (
            "residue" if task.arithmetic == "modular" else "digit, product, sum, carry or borrow"
        )
        raise InputError(
            f"no answer follows from another {name}, which many problems share: choose a {other} "
            "instead (a probe of it takes mode='remove')"
        )


def named_digit(name: str) -> str | None:
    """The lowest answer digit that a target can change: c2 for running_sum[2], carry[1] or
    borrow[1]."""
    family, index = _split(name)
    if not index:
        return None
    if family.startswith("product"):
        return f"c{sum(index)}"
    return f"c{index[0] + (family in ('carry', 'borrow'))}"


def _work_out(sums: Ints, family: str, column: int, new: Ints) -> tuple[Ints, Ints]:
    """Digits [n, columns] from column sums [columns, n] with one intermediate set, and the carry
    out of the highest column [n]."""
    digits = np.empty_like(sums)
    incoming = np.zeros(sums.shape[1], dtype=np.int64)
    for k in range(len(sums)):
        own = new if (family, column) == ("column_sum", k) else sums[k]
        running = new if (family, column) == ("running_sum", k) else own + incoming
        digits[k] = new if (family, column) == ("c", k) else running % 10
        incoming = running // 10
        if (family, column) == ("carry", k):
            incoming = new + np.minimum(incoming, 0)
        elif (family, column) == ("borrow", k):
            incoming = np.maximum(incoming, 0) - new
    return digits.T, incoming


def _operand_moved(problems: Problems, name: str, digit: int, new: Ints) -> Problems:
    if new.min() < 0 or new.max() > 9:
        raise InputError(f"a digit is 0 to 9, not {new[(new < 0) | (new > 9)][0]}")
    operands = [x.copy() for x in problems.operands]
    operands[problems.task.operand_names.index(name)][:, digit] = new
    return Problems(problems.task, operands, problems.operators)


def _modular(problems: Problems, family: str, new: Ints) -> Ints:
    limit, width = problems.task.operand_limits[0], problems.task.answer_digits
    values = [problems.values(i).astype(np.int64) for i in range(2)]
    sums = {"a_value": new + values[1], "b_value": values[0] + new, "sum": new, "c_value": new}
    return to_digits(sums[family] % limit, width).astype(np.int64)


def _split(name: str) -> tuple[str, tuple[int, ...]]:
    found = re.fullmatch(r"(\w+)(?:\[([\d,]+)\])?", name)
    if found is None:
        return name, ()
    return found[1], tuple(int(i) for i in found[2].split(",")) if found[2] else ()

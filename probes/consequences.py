"""The answer that arithmetic gives when one intermediate has another value: worked out before a
model is asked.

Everything above the changed intermediate is done again by the schoolbook algorithm; what stands
beside or below it stays.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from interp.arithmetic.digits import to_digits
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.errors import InputError

Ints = npt.NDArray[np.int64]


def answer_if(problems: Problems, name: str, values: npt.NDArray[np.floating]) -> Ints:
    """Answer digits [n, answer_digits] if the target `name` had `values` [n] instead.

    product[i,j] and product_last[i,j] change the column sum they stand in; column_sum[k],
    running_sum[k] and carry[k] what comes out of column k; c[k] that digit alone; an operand digit
    the operand.

    Raises InputError for signed tasks, and targets from which no answer follows.
    """
    task, new = problems.task, np.rint(values).astype(np.int64)
    _check_follows(task, name)
    family, index = _split(name)
    if family in task.operand_names and index:
        return _with_operand(problems, family, index[0], new)
    if task.arithmetic == "modular":
        return _modular(problems, family, new)
    sums = problems.columns("column_sum").T.astype(np.int64)
    if family.startswith("product"):
        own = problems.column(name.replace("product_last", "product")).astype(np.int64)
        old = own % 10 if family == "product_last" else own
        sums[sum(index)] += new - old
        return _work_out(sums, "", -1, new)
    return _work_out(sums, family, index[0], new)


def largest_value(task: Task, name: str) -> int:
    """The largest value that a target takes in the task; the least is 0.

    Raises InputError for targets from which no answer follows.
    """
    _check_follows(task, name)
    family, index = _split(name)
    if family in (*task.operand_names, "product_last"):
        return 9
    if task.arithmetic == "modular":
        return (task.operand_limits[0] - 1) * (2 if family == "sum" else 1)
    largest = task.problems(*(limit - 1 for limit in task.operand_limits))  # no carry is larger
    if family == "c":
        return min(9, int(largest.column(f"running_sum[{index[0]}]")[0]))
    return int(largest.column(name)[0])


_RESIDUES = ("a_value", "b_value", "sum", "c_value")
_ABOVE = ("product", "product_last", "column_sum", "running_sum", "carry", "c")


def _check_follows(task: Task, name: str) -> None:
    family, index = _split(name)
    if family in task.operand_names and index:
        return
    modular = task.arithmetic == "modular"
    if family not in (_RESIDUES if modular else _ABOVE) or task.signed:
        raise InputError(
            f"which answer follows from another {name} is not known: use mode='remove', or a "
            + ("residue" if modular else "product, sum, carry or digit of an unsigned task")
        )


def named_digit(name: str) -> str | None:
    """The lowest answer digit that a target can change: c2 for running_sum[2] or carry[1]."""
    family, index = _split(name)
    if not index:
        return None
    if family.startswith("product"):
        return f"c{sum(index)}"
    return f"c{index[0] + (family == 'carry')}"


def _work_out(sums: Ints, family: str, column: int, new: Ints) -> Ints:
    """Digits [n, columns] of column sums [columns, n], with one intermediate given."""
    digits = np.empty_like(sums)
    incoming = np.zeros(sums.shape[1], dtype=np.int64)
    for k in range(len(sums)):
        own = new if (family, column) == ("column_sum", k) else sums[k]
        running = new if (family, column) == ("running_sum", k) else own + incoming
        digits[k] = new if (family, column) == ("c", k) else running % 10
        incoming = new if (family, column) == ("carry", k) else running // 10
    return digits.T


def _with_operand(problems: Problems, name: str, digit: int, new: Ints) -> Ints:
    if new.min() < 0 or new.max() > 9:
        raise InputError(f"a digit is 0 to 9, not {new[(new < 0) | (new > 9)][0]}")
    operands = [x.copy() for x in problems.operands]
    operands[problems.task.operand_names.index(name)][:, digit] = new
    return Problems(problems.task, operands, problems.operators).answer.astype(np.int64)


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

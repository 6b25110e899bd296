r"""The truth table: the exact value of every intermediate of the schoolbook algorithm.

Index 0 is the least significant. k runs over the answer's digits, r_{-1} = 0, and s, r, ĉ are those
of `schoolbook` (for signed results: of the columns of larger minus smaller, so that the most
significant borrow is always 0).

| column                  | value                                         | task            |
|-------------------------|-----------------------------------------------|-----------------|
| `a[i]` `b[j]` `d[i]`…   | operand digits in order (c is the answer)     | all             |
| `product[i,j]`          | a_i · b_j                                     | products        |
| `column_sum[k]`         | s_k: Σ_{i+j=k} a_i b_j, or o · Σ_i σ_i x_i[k] | products, sums  |
| `running_sum[k]`        | ĉ_k = s_k + r_{k-1}                           | products, sums  |
| `carry[k]`              | max(r_k, 0), r_k = floor(ĉ_k / 10)            | where it occurs |
| `borrow[k]`             | max(-r_k, 0)                                  | with a minus    |
| `c[k]`                  | ĉ_k mod 10: the digits of \|answer\|          | all             |
| `sign`                  | -1, 0 or 1: the sign of the answer            | with a minus    |
| `operator`              | `+` or `-`; `operator[g]` if several gaps     | where it varies |
| `sum_is_nine[k]`        | a_k + b_k = 9, in + rows                      | a + b           |
| `difference_is_zero[k]` | a_k = b_k, in - rows                          | a - b           |
| `cascade[k]`            | length of the carry chain that ends in k      | products, sums  |
| `lookahead[k]`          | columns k and k-1 alone settle c[k]           | products, sums  |
| `class[k]`              | subtask class, see `subtasks`                 | where defined   |
| `a_value` `b_value`     | operands as values                            | modular         |
| `sum`                   | a + b before reduction                        | modular         |
| `wrap`                  | a + b ≥ p                                     | modular         |
| `c_value`               | (a + b) mod p                                 | modular         |

So everywhere ĉ_k = column_sum[k] + carry[k-1] - borrow[k-1]. `sum_is_nine` and `difference_is_zero`
are False in columns without operand digits.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.digits import to_int64
from interp.arithmetic.schoolbook import cascade_lengths, decided_by_lookahead
from interp.arithmetic.specification import Specification
from interp.arithmetic.subtasks import (
    CLASSES,
    class_codes,
    has_classes,
    subtask_class,
    sum_of_widths,
)
from interp.arithmetic.worked import Worked
from interp.errors import InputError

Compute = Callable[[Worked], NDArray[Any]]


def families(task: Specification) -> tuple[str, ...]:
    """The families of columns that the truth table of a task has, in order."""
    return tuple(_families(task))


def column_names(task: Specification, family: str) -> tuple[str, ...]:
    """The names of a family's columns: `carry[0]`, `carry[1]`, …"""
    if family == "product":
        m, n = task.operand_digits
        return tuple(f"product[{i},{j}]" for i in range(m) for j in range(n))
    if family in _SCALARS or (family == "operator" and len(task.operators) == 1):
        return (family,)
    return tuple(f"{family}[{k}]" for k in range(_width(task, family)))


def columns(problems: Worked, family: str) -> NDArray[Any]:
    """A family as an array `[n, width]`: int32, bool, or strings (`class`, `operator`).

    Raises InputError for a family that the task does not have.
    """
    known = _families(problems.task)
    if family not in known:
        raise InputError(
            f"{problems.task.name} has no truth family {family!r}; it has {', '.join(known)}"
        )
    return known[family](problems)


def split_name(task: Specification, name: str) -> tuple[str, int]:
    """The family of a column and its place there: `"carry[2]"` → `("carry", 2)`.

    Raises InputError for a column that the task does not have.
    """
    family = re.sub(r"\[.*", "", name)
    known = column_names(task, family) if family in _families(task) else ()
    if name not in known:
        hint = (
            f"{family} goes from {known[0]} to {known[-1]}"
            if known
            else f"its families are {', '.join(families(task))}"
        )
        raise InputError(f"{task.name} has no truth column {name!r}; {hint}")
    return family, known.index(name)


def table(problems: Worked, columns_of: Callable[[str], NDArray[Any]]) -> pd.DataFrame:
    """The whole truth table as a DataFrame `[n, columns]`; strings are categoricals.

    `columns_of` gives the array of a family: `columns`, or what remembers it.
    """
    found: dict[str, Any] = {}
    for family in _families(problems.task):
        names = column_names(problems.task, family)
        if family == "class":
            codes = class_codes(problems)
            found |= {
                name: pd.Categorical.from_codes(codes[:, k], categories=list(CLASSES))
                for k, name in enumerate(names)
            }
            continue
        values = columns_of(family)
        for k, name in enumerate(names):
            found[name] = pd.Categorical(values[:, k]) if family == "operator" else values[:, k]
    return pd.DataFrame(found, copy=False)


_SCALARS = frozenset({"sign", "a_value", "b_value", "sum", "wrap", "c_value"})


def _width(task: Specification, family: str) -> int:
    if family in task.operand_names:
        return task.operand_digits[task.operand_names.index(family)]
    return len(task.operators) if family == "operator" else task.answer_digits


def _families(task: Specification) -> dict[str, Compute]:
    found: dict[str, Compute] = {name: _operand(i) for i, name in enumerate(task.operand_names)}
    if any(len(gap) > 1 for gap in task.operators):
        found["operator"] = lambda problems: problems.operators
    if task.arithmetic == "modular":
        return found | {"c": _answer} | _MODULAR
    if task.arithmetic == "product":
        found["product"] = _products
    found["column_sum"] = lambda problems: problems.worksheet.column_sum.T
    found["running_sum"] = lambda problems: problems.worksheet.running_sum.T
    if can_carry(task):
        found["carry"] = lambda problems: np.maximum(problems.worksheet.carry, 0).T
    if task.signed:
        found["borrow"] = lambda problems: np.maximum(-problems.worksheet.carry, 0).T
    found["c"] = _answer
    if task.signed:
        found["sign"] = lambda problems: problems.sign.astype(np.int32)[:, None]
    return found | _chains(task)


def _chains(task: Specification) -> dict[str, Compute]:
    """The families that say how carries travel."""
    found: dict[str, Compute] = {}
    two_numbers = task.arithmetic == "sum" and len(task.operators) == 1
    if two_numbers and "+" in task.operators[0]:
        found["sum_is_nine"] = lambda problems: _own_sum_is(problems, "+", 9)
    if two_numbers and "-" in task.operators[0]:
        found["difference_is_zero"] = lambda problems: _own_sum_is(problems, "-", 0)
    found["cascade"] = lambda problems: cascade_lengths(problems.worksheet).T
    found["lookahead"] = _lookahead
    if has_classes(task):
        found["class"] = subtask_class
    return found


def can_carry(task: Specification) -> bool:
    """True if any problem of the task carries: only a lone difference never does."""
    return task.arithmetic == "product" or task.operators != (("-",),)


def _operand(i: int) -> Compute:
    return lambda problems: problems.operands[i].astype(np.int32)


def _answer(problems: Worked) -> NDArray[np.int32]:
    return problems.answer.astype(np.int32)


def _products(problems: Worked) -> NDArray[np.int32]:
    a, b = (x.astype(np.int32) for x in problems.operands)
    return (a[:, :, None] * b[:, None, :]).reshape(problems.n, -1)


def _lookahead(problems: Worked) -> NDArray[np.bool_]:
    return decided_by_lookahead(problems.task, problems.operators, problems.worksheet).T


def _own_sum_is(problems: Worked, operator: str, value: int) -> NDArray[np.bool_]:
    found = (problems.worksheet.column_sum == value) & (problems.operators[:, 0] == operator)
    found[sum_of_widths(problems.task) :] = False
    return found.T


def _value(problems: Worked, operand: int) -> NDArray[np.int64]:
    return to_int64(problems.operands[operand])[:, None]


def _modular_sum(problems: Worked) -> NDArray[np.int64]:
    return _value(problems, 0) + _value(problems, 1)


def _wraps(problems: Worked) -> NDArray[np.bool_]:
    return _modular_sum(problems) >= problems.task.operand_limits[0]


_MODULAR: dict[str, Compute] = {
    "a_value": lambda problems: _value(problems, 0),
    "b_value": lambda problems: _value(problems, 1),
    "sum": _modular_sum,
    "wrap": _wraps,
    "c_value": lambda problems: to_int64(problems.answer)[:, None],
}

"""Operands and operators from integers, sequences of them, or digit arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits, object_array, to_digits
from interp.arithmetic.schoolbook import Operators
from interp.arithmetic.specification import Specification
from interp.errors import InputError


def read_operands(
    task: Specification, operands: Sequence[Any], operators: Any = None
) -> list[Digits]:
    """Digit arrays `[n, width]` from integers, integer sequences or digit arrays (`Task.problems`).

    Single integers stand for as many rows as there are other operands, or else operators.
    """
    expected = len(task.operand_digits)
    if len(operands) != expected:
        raise InputError(f"{task.name} takes {expected} operands, not {len(operands)}")
    digits = [_read_operand(task, i, given) for i, given in enumerate(operands)]
    counts = {len(x) for x, given in zip(digits, operands, strict=True) if np.ndim(given) > 0}
    if len(counts) > 1:
        raise InputError(f"operands differ in length: {sorted(counts)} rows; give each the same")
    n = counts.pop() if counts else _rows_of(operators)
    if n == 0:
        raise InputError(f"there are no problems of {task.name} here: give at least one")
    return [x if len(x) == n else np.repeat(x, n, axis=0) for x in digits]


def _rows_of(operators: Any) -> int:
    """Rows of problems whose operands are single integers: as many as operators are given for."""
    return 1 if operators is None or isinstance(operators, str) else len(operators)


def _read_operand(task: Specification, i: int, given: Any) -> Digits:
    if isinstance(given, np.ndarray) and given.ndim == 2:
        return _read_digits(task, i, given)
    values = _read_integers(task, i, given)
    limit = task.operand_limits[i]
    if len(values) and (values.min() < 0 or values.max() >= limit):
        wrong = values.min() if values.min() < 0 else values.max()
        raise InputError(
            f"operand {i} of {task.name} cannot be {wrong}: it must be between 0 and {limit - 1}"
        )
    return to_digits(values, task.operand_digits[i])


def _read_integers(task: Specification, i: int, given: Any) -> NDArray[Any]:
    if isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype.kind in "iu":
        fits = given.dtype != np.uint64
        return given.astype(np.int64) if fits else given.astype(object)
    listed = [given] if np.ndim(given) == 0 else list(given)
    for value in listed:
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise InputError(f"operand {i} of {task.name} holds {value!r}; give whole numbers")
    return object_array(listed)


def _read_digits(task: Specification, i: int, given: NDArray[Any]) -> Digits:
    width = task.operand_digits[i]
    if given.dtype.kind not in "iu":
        raise InputError(f"digit arrays hold whole numbers, not {given.dtype}")
    if given.shape[1] > width:
        raise InputError(
            f"operand {i} of {task.name} has {width} digits, too few for an array of "
            f"{given.shape[1]} columns"
        )
    if given.size and (given.min() < 0 or given.max() > 9):
        raise InputError(f"operand {i}: a digit array holds digits from 0 to 9")
    padded = np.zeros((len(given), width), dtype=np.uint8)
    padded[:, : given.shape[1]] = given
    return padded


def read_operators(task: Specification, n: int, given: Any) -> Operators:
    """Operators `[n, gaps]`, as `Task.problems` takes them."""
    gaps = len(task.operators)
    if given is None:
        if any(len(allowed) > 1 for allowed in task.operators):
            raise InputError(f"{task.name} leaves the operator open: pass operators=, such as '-'")
        given = "".join(allowed[0] for allowed in task.operators)
    if isinstance(given, np.ndarray) and given.shape == (n, gaps):
        return given.astype("<U1")
    rows = [given] if isinstance(given, str) else [str(row) for row in given]
    if len(rows) not in (1, n) or any(len(row) != gaps for row in rows):
        raise InputError(
            f"operators= must give {gaps} for each of {n} problems: one string, {n} strings, "
            f"or an array of shape {(n, gaps)}"
        )
    marks = np.array([list(row) for row in rows], dtype="<U1")
    return marks if len(rows) == n else np.repeat(marks, n, axis=0)

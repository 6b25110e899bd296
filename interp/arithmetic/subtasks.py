"""Subtask classes of answer columns, as defined in the literature.

A class is a partition: each column of each problem has exactly one. The last column of an answer,
where no operand has a digit, holds nothing but the carry and is always `CA`.

**m-digit by one-digit products** (Qiu et al., 2407.15360, who print no formula; these are the
operational definitions used here). p = column_sum, r = the carry into the column, s = p + r:

| class          | name                        | definition                                      |
|----------------|-----------------------------|-------------------------------------------------|
| `BM`           | base multiply               | r = 0, p < 10                                   |
| `BMC`          | base multiply with carry    | r = 0, p ≥ 10                                   |
| `UC`           | use carry                   | r > 0, s < 10                                   |
| `UCFC`         | use carry, further carry    | r > 0, s ≥ 10, the neighbours are not such      |
| `UCFC-cascade` | cascaded UCFC               | the same, two or more such columns side by side |
| `CA`           | carry                       | last column                                     |

**Sums and differences of two numbers** (Quirke & Barez, 2310.13121 and 2402.02619: base add, make
carry, sum is nine, use carry, use sum-nine; MD, MB, MZ the same for subtraction). The first letter
pair without a carry (or borrow) into the column, the second with one:

| `+` rows | a + b < 9 | a + b = 9 | a + b > 9 | | `-` rows | x > y | x = y | x < y |
|----------|-----------|-----------|-----------|-|----------|-------|-------|-------|
| without  | `BA`      | `SS`      | `MC`      | | without  | `MD`  | `MZ`  | `MB`  |
| with     | `UC`      | `US9`     | `UMC`     | | with     | `UB`  | `UZ`  | `UMB` |

x is the digit of the larger number, y that of the smaller one, whichever was written first; the
papers' N-classes (negative answers) are the rows whose `sign` is -1.

A class describes the schoolbook algorithm, not a model's computation.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.schoolbook import Worksheet, cascade_lengths
from interp.arithmetic.specification import Specification
from interp.arithmetic.worked import Worked
from interp.errors import InputError

_SUM_CLASSES = ("BA", "SS", "MC", "UC", "US9", "UMC")
_DIFFERENCE_CLASSES = ("MD", "MZ", "MB", "UB", "UZ", "UMB")
_PRODUCT_CLASSES = ("BM", "BMC", "UCFC", "UCFC-cascade", "CA")  # and UC, which sums have too
CLASSES = _SUM_CLASSES + _DIFFERENCE_CLASSES + _PRODUCT_CLASSES

CLASS_MEANINGS = {
    "BA": "base add: nothing comes in, the digits sum to less than 9",
    "SS": "sum is nine: nothing comes in, the digits sum to 9",
    "MC": "make carry: nothing comes in, a carry goes out",
    "UC": "use carry: a carry comes in, none goes out",
    "US9": "use sum-nine: a carry comes in to digits that sum to 9, so one goes out",
    "UMC": "use and make carry: one comes in, one goes out",
    "MD": "base difference: nothing is borrowed, the upper digit is larger",
    "MZ": "zero: nothing is borrowed, the digits are equal",
    "MB": "make borrow: nothing is borrowed from here, this column borrows",
    "UB": "use borrow: one was borrowed from here, none is borrowed on",
    "UZ": "use zero: one was borrowed from here, the digits are equal, so one is borrowed on",
    "UMB": "use and make borrow: one was borrowed from here, one is borrowed on",
    "BM": "base multiply: nothing comes in, the product is less than 10",
    "BMC": "base multiply with carry: nothing comes in, a carry goes out",
    "UCFC": "use carry, further carry: one comes in, one goes out, the neighbours are not such",
    "UCFC-cascade": "the same in two or more columns side by side",
    "CA": "the last column: nothing but the carry",
}

_CODE = {name: code for code, name in enumerate(CLASSES)}
CARRY_ALONE = _CODE["CA"]
_ADDITION = np.array([_CODE[name] for name in _SUM_CLASSES], np.int8)
_SUBTRACTION = np.array([_CODE[name] for name in _DIFFERENCE_CLASSES], np.int8)


def has_classes(task: Specification) -> bool:
    """True where the literature defines classes: two-number sums, and products with one digit."""
    if task.arithmetic == "product":
        return 1 in task.operand_digits
    return task.arithmetic == "sum" and len(task.operand_digits) == 2


def subtask_class(problems: Worked) -> NDArray[np.object_]:
    """The class of each answer column, `[n, answer_digits]`, as strings.

    Raises InputError for tasks without classes (see `has_classes`).
    """
    return np.array(CLASSES, dtype=object)[class_codes(problems)]


def class_codes(problems: Worked) -> NDArray[np.int8]:
    """The same as indices into `CLASSES`, `[n, answer_digits]`."""
    if not has_classes(problems.task):
        raise InputError(
            f"{problems.task.name} has no subtask classes: they are defined for sums and "
            "differences of two numbers and for products with a one-digit factor (mul:5x1)"
        )
    sheet = problems.worksheet
    incoming = np.zeros(sheet.carry.shape, dtype=bool)
    incoming[1:] = sheet.carry[:-1] != 0
    if problems.task.arithmetic == "product":
        codes = _product_codes(sheet, incoming)
    else:
        codes = sum_codes(sheet.column_sum, incoming, problems.operators[:, 0] == "-")
    codes[sum_of_widths(problems.task) :] = CARRY_ALONE
    return codes.T


def sum_of_widths(task: Specification) -> int:
    """Number of columns with operand digits; columns above hold only the carry."""
    if task.arithmetic == "product":
        return sum(task.operand_digits) - 1
    return max(task.operand_digits)


def sum_codes(
    column_sum: NDArray[Any], incoming: NDArray[np.bool_], minus: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """Classes of two-number columns, from column sums and incoming carries."""
    middle = np.where(minus, 0, 9)
    kind = np.where(column_sum == middle, 1, np.where((column_sum > middle) ^ minus, 2, 0))
    kind += 3 * incoming
    return np.where(minus, _SUBTRACTION[kind], _ADDITION[kind])


def _product_codes(sheet: Worksheet, incoming: NDArray[np.bool_]) -> NDArray[np.int8]:
    makes_carry = sheet.running_sum >= 10
    further = incoming & makes_carry
    beside = np.zeros_like(further)
    beside[1:] |= further[:-1]
    beside[:-1] |= further[1:]
    alone = np.where(beside, _CODE["UCFC-cascade"], _CODE["UCFC"])
    with_carry = np.where(further, alone, _CODE["UC"])
    without = np.where(makes_carry, _CODE["BMC"], _CODE["BM"])
    return np.where(incoming, with_carry, without).astype(np.int8)


def complexity(problems: Worked) -> NDArray[np.object_]:
    """The complexity of each problem `[n]`: `S0`, `S1`, … by its longest carry cascade.

    S0 carries nothing, S1 makes carries that go one column far, S2 sends one through a sum of nine,
    and so on (Quirke & Barez stop counting at S5). Subtractions are `M0`, `M1`, … where the answer
    is not negative and `N0`, … where it is; there the columns are those of larger minus smaller,
    while the papers count them on the operands as written.

    Raises InputError for anything but sums and differences of two numbers.
    """
    task = problems.task
    if task.arithmetic != "sum" or len(task.operand_digits) != 2:
        raise InputError(
            f"{task.name} has no complexity class: it is defined for sums and differences of two "
            "numbers (add:5, sub:5, addsub:5); for others use columns('cascade').max(axis=1)"
        )
    longest = cascade_lengths(problems.worksheet).max(axis=0)
    minus = problems.operators[:, 0] == "-"
    letter = np.where(minus, np.where(problems.sign < 0, "N", "M"), "S").astype(object)
    return letter + longest.astype(str).astype(object)

"""The digits of the question that determine a target.

One input token alone can show a target without any model: the token c_k shows the running sum
ĉ_k mod 10, and the answer's top digit shows the carry that it is.
"""

import re
from typing import Literal

from interp.arithmetic.tasks import Task

_OWN_COLUMN = ("column_sum", "sum_is_nine", "difference_is_zero")


def column_needs(task: Task, name: str) -> frozenset[str]:
    """The operand digits (`a0`) that a target depends on, and `op` where operators vary.

    Never too few; if one digit decides (the parity of a number), only that one. A signed result is
    computed as larger minus smaller, so every column needs every digit.
    """
    operators = {f"op{gap + 1 if gap else ''}" for gap, choices in enumerate(task.operators)
                 if len(choices) > 1}  # fmt: skip
    family, index = _split(name)
    if family in task.operand_names:
        return frozenset({f"{family}{index[0]}"})
    if family == "operator":
        gap = index[0] if index else 0
        return frozenset({f"op{gap + 1 if gap else ''}"})
    if family in ("product", "product_last"):
        return frozenset({f"a{index[0]}", f"b{index[1]}"})
    if family in ("a_value", "b_value"):
        return _all(task, family[0])
    if whole := re.fullmatch(r"(magnitude|parity|residue|near)\(([a-i])(?:,(\d+))?\)", name):
        found = _whole(task, whole[1], whole[2], int(whole[3] or 2))
        return found | operators if whole[2] == "c" else found
    everything = frozenset().union(*(_all(task, x) for x in task.operand_names))
    if task.arithmetic == "modular" or task.signed or not index:
        return everything | operators
    return _below(task, family, index[0])


def answer_digit_of(task: Task, name: str) -> str | None:
    """The answer digit in whose column a target stands: c2 for carry[2], c3 for product[1,2]."""
    family, index = _split(name)
    if family in task.operand_names or family == "operator" or not index:
        return None
    column = sum(index) if family in ("product", "product_last") else index[0]
    return f"c{column}"


def own_digits(task: Task, name: str) -> tuple[str, ...]:
    """At most two digits of the target's own column, those on which it depends most.

    They are the input types of the control task, and what split="combination" holds out. In a
    product's column k it is the pair a_i, b_j with i + j = k in the middle of the column.
    """
    needs = column_needs(task, name)
    digits = sorted(digit for digit in needs if not digit.startswith("op"))
    if len(digits) <= 2:
        return tuple(digits)
    index = _split(name)[1]
    if not index or "(" in name:
        return ()
    k, names = index[0], task.operand_names
    if task.arithmetic == "product":
        m, n = task.operand_digits
        i = min(max(k // 2, k - n + 1, 0), m - 1)
        return (f"a{i}", f"b{min(max(k - i, 0), n - 1)}")
    column = [f"{x}{k}" for x, width in zip(names, task.operand_digits, strict=True) if k < width]
    return tuple(column[:2])


def _below(task: Task, family: str, k: int) -> frozenset[str]:
    """Digits of columns up to k, or of column k alone, for unsigned sums and products."""
    if task.arithmetic == "product":
        m, n = task.operand_digits
        pairs = [(i, j) for i in range(m) for j in range(n)
                 if i + j == k or (i + j < k and family not in _OWN_COLUMN)]  # fmt: skip
        return frozenset({f"a{i}" for i, _ in pairs} | {f"b{j}" for _, j in pairs})
    lowest = k if family in _OWN_COLUMN else 0
    return frozenset(
        f"{x}{i}"
        for x, width in zip(task.operand_names, task.operand_digits, strict=True)
        for i in range(lowest, min(k + 1, width))
    )


def _whole(task: Task, fact: str, number: str, modulus: int) -> frozenset[str]:
    lowest_alone = fact != "magnitude" and 10 % modulus == 0
    if number != "c":
        return frozenset({f"{number}0"}) if lowest_alone else _all(task, number)
    if lowest_alone and task.arithmetic != "modular" and not task.signed:
        return frozenset(f"{x}0" for x in task.operand_names)
    return frozenset().union(*(_all(task, x) for x in task.operand_names))


def _all(task: Task, number: str) -> frozenset[str]:
    width = task.operand_digits[task.operand_names.index(number)]
    return frozenset(f"{number}{i}" for i in range(width))


def _split(name: str) -> tuple[str, tuple[int, ...]]:
    family = re.split(r"[\[(]", name)[0]
    found = re.search(r"\[([\d,]+)\]", name)
    return family, tuple(int(i) for i in found[1].split(",")) if found else ()


Visible = Literal["", "mod 10", "whole", "chain"]

_LOWEST: dict[str, Literal["mod 10", "whole"]] = {
    "product": "mod 10",
    "column_sum": "mod 10",
    "product_last": "whole",
    "sum_is_nine": "whole",
    "difference_is_zero": "whole",
}
_ABOUT_ANSWER = re.compile(r"(?:magnitude|parity|residue|near)\(c(?:,(\d+))?\)")


def told_by(task: Task, name: str, held: set[str]) -> Visible:
    """How much of the target `name` one token shows: all, its last digit, or neither.

    `held` are the digits (`a0`, `c2`), `op` and `sign` of the token.
    """
    family, top = re.split(r"[\[(]", name)[0], task.answer_digits - 1
    if column_needs(task, name) <= held or name in held:
        return "whole"
    if about := _ABOUT_ANSWER.fullmatch(name):
        lowest = not name.startswith("magnitude") and 10 % int(about[1] or 2) == 0
        return "whole" if held >= ({"c0"} if lowest else _answer(task)) else ""
    if family in ("a_value", "b_value", "c_value"):
        if family == "c_value" and held >= _answer(task):
            return "whole"
        return "mod 10" if f"{family[0]}0" in held else ""
    if family == "carry":  # into a column without operand digits, which is the carry
        return "whole" if name == f"carry[{top - 1}]" and f"c{top}" in held and (
            top >= _columns(task)) else ""  # fmt: skip
    digit = answer_digit_of(task, name)
    if digit not in held:
        return ""
    if family == "c":
        return "whole"
    if family == "running_sum":
        return "whole" if digit == f"c{top}" else "mod 10"
    mixed = any(len(choices) > 1 for choices in task.operators)
    if digit != "c0" or (mixed and _LOWEST.get(family) == "whole"):
        return ""
    return _LOWEST.get(family, "")


def _answer(task: Task) -> set[str]:
    return {f"c{k}" for k in range(task.answer_digits)}


def _columns(task: Task) -> int:
    """Number of columns that hold operand digits or their products."""
    if task.arithmetic == "product":
        return sum(task.operand_digits) - 1
    return max(task.operand_digits)

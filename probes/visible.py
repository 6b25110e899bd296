"""What one token of the input tells of a target by itself, without any model.

At the token c_k the running sum ĉ_k mod 10 is no discovery; nor is a carry at the answer's top
digit, which is that carry.
"""

from __future__ import annotations

import re
from typing import Literal

from interp.arithmetic.tasks import Task
from probes.needs import answer_digit_of, column_needs

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
    """What digits (`a0`, `c2`), `op` and `sign` of one token tell of the target `name`: all of it,
    its last digit, or neither of these."""
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
    """How many columns hold operand digits or their products."""
    if task.arithmetic == "product":
        return sum(task.operand_digits) - 1
    return max(task.operand_digits)

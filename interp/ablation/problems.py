"""Canonical text of a problem, independent of a prompt's wording."""

from __future__ import annotations

from interp.arithmetic.problems import Problems


def named(problems: Problems) -> tuple[str, ...]:
    """Each problem as `12+5`: equal for equal operands and operators, whatever the wording, the
    few-shot examples and the width of the task. Sums modulo a number name it (`12+5 mod 7`).
    `12+5` and `5+12` are two problems."""
    task = problems.task
    modulus = f" mod {task.operand_limits[0]}" if task.arithmetic == "modular" else ""
    return tuple(problems.text(row) + modulus for row in range(len(problems)))

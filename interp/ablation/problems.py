"""Which problem a prompt asks, whatever its wording."""

from __future__ import annotations

from interp.arithmetic.problems import Problems


def named(problems: Problems) -> tuple[str, ...]:
    """Each problem as people write it, `12+5`: equal where operands and operators are, in whatever
    wording, between whatever examples, and as a problem of however wide a task. Sums modulo a
    number name it (`12+5 mod 7`). `12+5` and `5+12` are two problems."""
    task = problems.task
    modulus = f" mod {task.operand_limits[0]}" if task.arithmetic == "modular" else ""
    return tuple(problems.text(row) + modulus for row in range(len(problems)))

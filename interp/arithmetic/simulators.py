"""Simulators of faulty arithmetic: each answers every problem by a faulty rule.

If one of them predicts a model's *wrong* answers far better than chance, the model may follow its
rule. Does not show: that it does. Two rules can give the same wrong answer, so look at `alone` in
`explain_errors`, and intervene on the model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic import faults
from interp.arithmetic.digits import object_array
from interp.arithmetic.faults import Answers
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.errors import InputError

Rule = Callable[["Problems", np.random.Generator], Answers]


@dataclass(frozen=True)
class Simulator:
    """A faulty rule and its description.

    A guessing rule has `digits`: its possible digits in each column, [n, columns, 10]. It explains
    every answer that it could have given.
    """

    name: str
    does: str
    rule: Rule
    digits: Callable[[Problems], NDArray[np.bool_]] | None = None

    def answers(self, problems: Problems, *, seed: int = 0) -> Answers:
        """Signed answers [n], as Python integers; right if the fault has no effect.

        `seed` matters only for a guessing rule.
        """
        return object_array(self.rule(problems, np.random.default_rng(seed)).tolist())


def simulators(task: Task) -> tuple[Simulator, ...]:
    """The simulators of a task, schoolbook faults first."""
    if task.arithmetic == "modular":
        return (_FORGETS_MODULUS, *_copies(task), *_off_by_one())
    found = [_LOOKAHEAD, _NO_CARRY, _NO_CASCADE, *_dropped_carries(task)]
    if task.arithmetic == "sum" and len(task.operand_digits) == 2:
        found.append(_LEFT_ALIGNED)
        if task.signed:
            found.append(_SMALLER_FROM_LARGER)
    return (*found, *_other_operators(task), *_copies(task), *_off_by_one())


def simulator(name: str, task: Task) -> Simulator:
    """The simulator of this name. Raises InputError where the task has none."""
    found = {one.name: one for one in simulators(task)}
    if name not in found:
        raise InputError(f"{task.name!r} has no simulator {name!r}; it has {', '.join(found)}.")
    return found[name]


def _exactly(rule: Callable[[Problems], Answers]) -> Rule:
    def ruled(problems: Problems, rng: np.random.Generator) -> Answers:
        return rule(problems)

    return ruled


def _smaller_from_larger(problems: Problems) -> Answers:
    minus = problems.operators[:, 0] == "-"
    return np.where(minus, faults.smaller_from_larger(problems), problems.answers())


_LOOKAHEAD = Simulator(
    "lookahead",
    "looks one column ahead for the carry, and guesses when that leaves it open",
    faults.lookahead,
    faults.lookahead_digits,
)
_NO_CARRY = Simulator("no-carry", "never carries", _exactly(faults.no_carry))
_NO_CASCADE = Simulator(
    "no-cascade", "never lets a carry cause another carry", _exactly(faults.no_cascade)
)
_LEFT_ALIGNED = Simulator(
    "left-aligned", "aligns the numbers at their left ends", _exactly(faults.left_aligned)
)
_SMALLER_FROM_LARGER = Simulator(
    "smaller-from-larger",
    "takes the smaller digit from the larger in every column of a difference",
    _exactly(_smaller_from_larger),
)
_FORGETS_MODULUS = Simulator(
    "forgets-modulus",
    "adds without wrapping around",
    _exactly(lambda problems: problems.values(0) + problems.values(1)),
)


def _dropped_carries(task: Task) -> list[Simulator]:
    def dropped(column: int, problems: Problems) -> Answers:
        return faults.carries_dropped(problems)[:, column]

    return [
        Simulator(
            f"drops-carry-{k}",
            f"forgets the carry out of column {k}",
            _exactly(partial(dropped, k)),
        )
        for k in range(task.answer_digits - 1)
    ]


def _other_operators(task: Task) -> list[Simulator]:
    """Simulators that apply the wrong operation; two numbers only."""
    if len(task.operand_digits) != 2:
        return []
    found = {
        "adds": ("adds, whatever is asked", lambda a, b: a + b),
        "subtracts": ("subtracts, whatever is asked", lambda a, b: a - b),
        "multiplies": ("multiplies, whatever is asked", lambda a, b: a * b),
    }
    own = {"+": "adds", "-": "subtracts", "*": "multiplies"}
    if len(task.operators[0]) == 1:
        del found[own[task.operators[0][0]]]

    def applied(operation: Callable[[Answers, Answers], Answers], problems: Problems) -> Answers:
        return operation(problems.values(0), problems.values(1))

    return [
        Simulator(name, does, _exactly(partial(applied, operation)))
        for name, (does, operation) in found.items()
    ]


def _copies(task: Task) -> list[Simulator]:
    def copied(operand: int, problems: Problems) -> Answers:
        return problems.values(operand)

    return [
        Simulator(f"copies-{name}", f"repeats operand {name}", _exactly(partial(copied, i)))
        for i, name in enumerate(task.operand_names)
    ]


def _off_by_one() -> list[Simulator]:
    def moved(by: int, problems: Problems) -> Answers:
        return problems.answers() + by

    return [
        Simulator("one-more", "gives one more than the answer", _exactly(partial(moved, 1))),
        Simulator("one-less", "gives one less than the answer", _exactly(partial(moved, -1))),
    ]

"""New values of a probed intermediate, and the rows of problems whose answer they change."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from interp.arithmetic.answers_if import answer_if, keeps_sign, named_digit, value_range
from interp.arithmetic.problems import Problems
from interp.errors import InputError
from interp.models.tokens import digits_in
from probes.targets import Target

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_DRAWS = 50


def named_role(problems: Problems, target: str, roles: Sequence[str]) -> str:
    """Role in `roles` of the answer digit that a target names; '' if there is none."""
    digit = named_digit(target)
    for role in roles:
        held = digits_in(role)
        if held is None:
            continue
        if digit is None or int(digit[1:]) in held[1]:
            return role
    return ""


def new_values(
    problems: Problems,
    target: Target,
    values: Floats,
    to: float | Sequence[float] | None,
    named: str,
    seed: int,
) -> tuple[Floats, Mask]:
    """New target values [n], and a mask of the rows that they change.

    The mask holds rows in which the named answer digit (the answer, if no digit is named) changes
    and the answer keeps its sign. Random values are those of other problems, so the target takes
    them.

    Raises InputError if the number of values differs from the number of problems, and for values
    outside the target's range in the task.
    """
    if to is None:
        return _drawn(problems, target, values, named, seed)
    new = np.asarray(to, dtype=np.float64)
    if new.ndim and new.shape != values.shape:
        raise InputError(f"to= has {new.size} values for {len(values)} problems: one, or one each")
    _check_possible(problems, target, new)
    new = np.broadcast_to(new, values.shape).astype(np.float64)
    return new, _changes(problems, target, new, named)


def _check_possible(problems: Problems, target: Target, new: Floats) -> None:
    if not np.isfinite(new).all():
        raise InputError("to= holds NaN or infinity: give a value that the target takes")
    if target.kind == "class":  # `wanted_reading` rejects a class without a prompt
        return
    least, most = value_range(problems.task, target.name)
    wrong = new[(new != np.rint(new)) | (new < least) | (new > most)]
    if len(wrong):
        raise InputError(
            f"{target.name} is never {wrong[0]:g} in {problems.task.name}: give whole numbers from "
            f"{least} to {most}"
        )


def _drawn(
    problems: Problems, target: Target, values: Floats, named: str, seed: int
) -> tuple[Floats, Mask]:
    rng = np.random.default_rng(seed)
    new, done = values.copy(), np.zeros(len(values), dtype=bool)
    for _ in range(_DRAWS):
        drawn = np.where(done, new, rng.permutation(values))
        changes = _changes(problems, target, drawn, named)
        new = np.where(changes, drawn, new)
        done |= changes
        if done.all():
            break
    return new, done


def _changes(problems: Problems, target: Target, new: Floats, named: str) -> Mask:
    after = answer_if(problems, target.name, new)
    before = problems.answer.astype(np.int64)
    held = digits_in(named)
    columns = list(held[1]) if held else list(range(before.shape[1]))
    changed = (after[:, columns] != before[:, columns]).any(axis=1)
    return np.asarray(changed & keeps_sign(problems, target.name, new))

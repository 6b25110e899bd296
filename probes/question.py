"""The question itself as features: what a linear probe could read without any model.

One-hot digits make every function linear that is a sum over single digits, whatever the digits'
own coding. That is what a probe of a model must beat before anything counts as computed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.models.prompts import PromptBatch
from probes.places import digits_seen, other_tokens

_ABSENT = 10


def one_hot_operands(problems: Problems) -> npt.NDArray[np.float64]:
    """Ten columns for each operand digit, and two for each operator that varies, [n, columns]."""
    codes = [digits for operand in problems.operands for digits in operand.T]
    codes += [
        (problems.operators[:, gap] == "-").astype(np.uint8)
        for gap, choices in enumerate(problems.task.operators)
        if len(choices) > 1
    ]
    return one_hot(np.stack(codes, axis=1))


def one_hot_question(
    batch: PromptBatch, place: str, what: Literal["one_hot", "shown"]
) -> npt.NDArray[np.float64]:
    """One-hot digits that stand at or before `place`, [n, columns].

    what   "one_hot", the operand digits (and operators that vary); "shown", also the answer digits
           and the sign that were printed by then, and every other token that varies, such as those
           of a chain of thought
    """
    problems, columns = batch.problems, []
    for name, rows in digits_seen(batch, place).items():
        if what == "one_hot" and (name[0] == "c" or name == "sign"):
            continue
        codes = _codes(problems, name)
        if codes is not None:
            columns.append(np.where(rows, codes, _ABSENT))
    if what == "shown":
        for tokens in other_tokens(batch, place):
            columns.append(np.unique(tokens, return_inverse=True)[1].ravel())
    if not columns:  # nothing was seen by then
        return np.zeros((len(batch), 1))
    return one_hot(np.stack(columns, axis=1))


def one_hot(codes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Codes [n, digits] as indicator columns, those that never or always occur left out."""
    values = np.arange(int(codes.max()) + 1)
    wide = (codes[:, :, None] == values).reshape(len(codes), -1)
    varies = wide.any(axis=0) & ~wide.all(axis=0)
    return np.asarray(wide[:, varies] if varies.any() else wide[:, :1], dtype=np.float64)


def _codes(problems: Problems, name: str) -> npt.NDArray[np.int64] | None:
    """The value of a digit, an operator or the sign for each row; None for unknown operators."""
    if name == "sign":
        return problems.sign.astype(np.int64) + 1
    if name.startswith("op"):
        gap = int(name[2:] or 1) - 1
        if gap >= problems.operators.shape[1]:
            return None
        return (problems.operators[:, gap] == "-").astype(np.int64)
    digits = problems.answer if name[0] == "c" else _operand(problems, name[0])
    return digits[:, int(name[1:])].astype(np.int64)


def _operand(problems: Problems, name: str) -> npt.NDArray[np.uint8]:
    return problems.operands[problems.task.operand_names.index(name)]

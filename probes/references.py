"""References of every cell at one place: probes of the one-hot question and of the token.

Every sum of functions of single digits is linear in the one-hot digits, whatever the digits' own
coding. A model computes a target only if its probe beats that reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.models.prompts import PromptBatch
from probes.design import Design
from probes.fitting import Found, constants, fit_design
from probes.places import digits_seen, other_tokens
from probes.scores import score

Floats = npt.NDArray[np.float64]
Reference = Literal["shown", "embedding", "constant"]
_ABSENT = 10


def one_hot_operands(problems: Problems) -> npt.NDArray[np.float64]:
    """One-hot operands [n, columns]: ten columns per operand digit, two per varying operator."""
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

    what   "one_hot": the operand digits and varying operators; "shown": also the answer digits and
           the sign printed by then, and every other varying token, such as a chain of thought
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
    """Indicator columns of codes [n, digits], without those that never or always occur."""
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


@dataclass(frozen=True, eq=False)
class References:
    """Reference probes of each target of one design, fitted to inputs that no layer computed."""

    one_hot: list[Found]
    shown: list[Found]
    embedding: list[Found] | None

    def of(self, design: Design, i: int) -> tuple[Reference, Floats]:
        """The strongest reference of a target, and its predictions on the held-out rows.

        Candidates are the digits shown, the token's embedding and the best constant; for targets
        that the question states outright, which the digits determine, only the latter two.

        The embedding of a token that is a whole number may code any fact about it, and the one-hot
        digits only sums over single digits. Choosing the best on the held-out rows can only lower
        the gain.
        """
        target, true = design.targets[i], design.test_values[:, i]
        said: dict[Reference, Floats] = {"shown": self.shown[i].predicted}
        if self.embedding is not None:
            said["embedding"] = self.embedding[i].predicted
            if target.copied:
                del said["shown"]
        said["constant"] = constants(design, i)[0]
        scores = {name: score(target, true, predicted) for name, predicted in said.items()}
        best = max(said, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf))
        return best, said[best]


def references(
    batch: PromptBatch,
    designs: Sequence[Design],
    embedding: npt.NDArray[np.float32] | None,
    memory: int,
) -> list[References]:
    """The references of every design at one place. `embedding` are the activations there before
    the first block, [n, d]."""
    if not designs:
        return []
    place = designs[0].place
    one_hot, shown = (one_hot_question(batch, place, what) for what in ("one_hot", "shown"))
    same = one_hot.shape == shown.shape and np.array_equal(one_hot, shown)
    out = []
    for design in designs:
        alone = design.without_controls()
        first = fit_design(one_hot, alone, memory=memory)
        out.append(
            References(
                first,
                first if same else fit_design(shown, alone, memory=memory),
                None if embedding is None else fit_design(embedding, alone, memory=memory),
            )
        )
    return out

"""What every cell at one place is compared with: one-hot features of the question, and the token.

One-hot digits make every function linear that is a sum over single digits, whatever the digits'
own coding. A probe of a model must beat that before anything counts as computed.
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


@dataclass(frozen=True, eq=False)
class References:
    """For one design, a probe of each target from each kind of input that is no model's work."""

    one_hot: list[Found]
    shown: list[Found]
    embedding: list[Found] | None

    def of(self, design: Design, i: int) -> tuple[Reference, Floats]:
        """What a target of the design must beat, and what that says of the held-out rows: the
        digits shown, the token's embedding or the best constant, whichever tells more of it there;
        of what the question says outright, which the digits have whole, one of the latter two.

        A token that is a whole number may code any fact about it without a layer of the model, and
        digits tell only what is a sum over them. To take the best after looking at all makes a gain
        smaller, never larger.
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

"""Oracle of attribution: the probability that an answer digit changes with an operand digit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from interp.arithmetic.counterfactuals import all_digit_swaps
from interp.arithmetic.oracle import rederive
from interp.arithmetic.problems import Problems
from interp.models.prompts import PromptBatch
from interp.models.swaps import Swap, swappable
from interp.models.tokens import digits_in


def change_probability(
    batch: PromptBatch, role: str, answers: Sequence[str], prefix: str
) -> npt.NDArray[np.float64]:
    """Exact P(answer role changes) [n, answers] over every other value of an operand digit.

    The probability is that of the true answer of the changed problem. The exception: where the text
    prints the least digit first and the prefix is kept, a solver reads the original's lower digits
    after the changed operands; there the digit is derived from these digits
    (`arithmetic.oracle.rederive`). A token of several digits changes when one of them does. NaN in
    rows without the digit.
    """
    problems = batch.problems
    chance = np.full((len(batch), len(answers)), np.nan)
    rows = swappable(batch, role)
    if not len(rows):
        return chance
    swapped, of = all_digit_swaps(problems[rows], *batch.operand_digit(role))
    changed = _changed(batch, swapped, problems[rows[of]], answers, prefix)
    count = np.bincount(of)
    for column in range(len(answers)):
        chance[rows, column] = np.bincount(of, weights=changed[:, column]) / count
    return chance


def answer_changes(
    batch: PromptBatch, swap: Swap, answers: Sequence[str], prefix: str
) -> npt.NDArray[np.bool_]:
    """True where the given replacement changes an answer role, bool [n, answers]; digits as in
    `change_probability`."""
    return _changed(batch, swap.problems, batch.problems, answers, prefix)


def _changed(
    batch: PromptBatch, swapped: Problems, original: Problems, answers: Sequence[str], prefix: str
) -> npt.NDArray[np.bool_]:
    trusting = prefix == "keep" and batch.prints_least_first
    trusting &= original.task.arithmetic != "modular"  # modular: no columns, so no carry
    new = rederive(swapped, original) if trusting else swapped.answer
    changed = np.empty((len(original), len(answers)), dtype=bool)
    for column, role in enumerate(answers):
        digits = digits_in(role)
        if digits is None:  # the sign: zero has none, as a positive number
            changed[:, column] = (swapped.sign < 0) != (original.sign < 0)
        else:
            places = slice(digits[1].start, digits[1].stop)
            changed[:, column] = (new[:, places] != original.answer[:, places]).any(axis=1)
    return changed

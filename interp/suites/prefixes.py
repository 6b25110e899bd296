"""The noisy-prefix test of "Teaching arithmetic to small transformers" (arXiv 2307.03381).

A model generates an answer digit by digit and reads its own digits. The test replaces some of them
by wrong digits and scores the next one: a model that copies a carry from earlier digits fails, one
that computes it from the operands does not. Accuracy is exact, and relaxed by ±1, the effect of one
wrong carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits
from interp.arithmetic.proportions import share_of
from interp.errors import InputError

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems

Noise = Literal["random", "precise"]


def noisy_prefix(
    problems: Problems,
    columns: Sequence[int],
    *,
    noise: Noise = "random",
    seed: int = 0,
) -> Digits:
    """Answers with wrong digits in some columns, for `Format.render(problems, answer=…)`.

    columns   the digits to perturb, 0 the least significant
    noise     "random": uniform over all other digits; "precise": one more or one less, if that is a
              digit

    Returns digits [n, answer_digits], column 0 least significant; other columns hold the right
    digits. Score the columns that the model writes *after* the perturbed ones in the order of its
    format; `score_next_digit` scores one.

    Raises InputError for a column that the answer lacks, and for an unknown noise.
    """
    width = problems.task.answer_digits
    if not len(columns) or not all(0 <= k < width for k in columns):
        raise InputError(
            f"columns must name digits of the answer, 0 to {width - 1}, not {list(columns)}."
        )
    rng = np.random.default_rng(seed)
    digits = problems.answer.copy()
    for k in sorted(set(columns)):
        if noise == "random":
            digits[:, k] = (digits[:, k] + rng.integers(1, 10, problems.n)) % 10
        elif noise == "precise":
            step = rng.choice([-1, 1], problems.n)
            right = digits[:, k].astype(np.int64)
            step = np.where(right + step < 0, 1, np.where(right + step > 9, -1, step))
            digits[:, k] = right + step
        else:
            raise InputError(f"noise must be 'random' or 'precise', not {noise!r}.")
    return digits


def score_next_digit(
    problems: Problems, column: int, predicted: Sequence[Any] | NDArray[Any]
) -> pd.DataFrame:
    """The accuracy of the digit at `column` after a noisy prefix, as one row.

    predicted   the model's digit, [n]; negative for a token that is no digit

    n, n_distinct; exact with low and high (Wilson); relaxed, at most one away from the right digit
    on the circle of digits (0 and 9 are neighbours: a carry turns one into the other), with its
    interval; relaxed_chance, the relaxed accuracy of a random digit.

    Repeated problems count once, at their first prediction.
    """
    given = np.asarray(predicted)
    if given.shape != (problems.n,) or given.dtype.kind not in "iu" or given.max() > 9:
        raise InputError(
            f"predicted must be {problems.n} whole numbers up to 9, one a problem "
            f"(negative for no digit), not {given.dtype} of shape {list(given.shape)}."
        )
    if not 0 <= column < problems.task.answer_digits:
        raise InputError(
            f"{problems.task.name!r} has answer digits 0 to {problems.task.answer_digits - 1}, "
            f"not {column}."
        )
    _, first = np.unique(problems.rows, axis=0, return_index=True)
    mine, right = given[first].astype(np.int64), problems.answer[first, column].astype(np.int64)
    distance = np.minimum((mine - right) % 10, (right - mine) % 10)
    is_digit = mine >= 0
    exact = share_of(int((is_digit & (distance == 0)).sum()), len(first))
    relaxed = share_of(int((is_digit & (distance <= 1)).sum()), len(first))
    row = {"column": column, "n": problems.n, "n_distinct": len(first), "exact": exact.share}
    row |= {"low": exact.low, "high": exact.high, "relaxed": relaxed.share}
    row |= {"relaxed_low": relaxed.low, "relaxed_high": relaxed.high, "relaxed_chance": 0.3}
    return pd.DataFrame([row])

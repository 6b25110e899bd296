"""Error positions against shuffled answers: shares of wrong digits, and of places in a token.

`error_places` has them per answer; here they are counted. A wrong answer unrelated to its problem
has nine digits in ten wrong, and its most significant error nearly always in its first digit: only
differences from the shuffle are evidence.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.error_places import WrongDigits, token_place
from interp.arithmetic.problems import Problems
from interp.arithmetic.proportions import share_of
from interp.arithmetic.wrong_answers import Rows, WrongAnswers, wrong_answers
from interp.errors import InputError

Counts = Callable[[Rows], NDArray[np.int64]]


def share_of_digits(
    problems: Problems,
    answers: Sequence[Any] | NDArray[Any],
    *,
    seed: int = 0,
    shuffles: int = 200,
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of the wrong answers with digit k wrong, one row a digit of the right answers.

    Each wrong answer to each problem counts once; a digit that is missing counts as 0.

    digit                0 the least significant
    n, n_distinct        wrong answers to problems whose right answer has the digit, and problems
    hits, share          how many have it wrong, between low and high (Wilson)
    chance               mean share when the answers are shuffled among problems with equally long
                         right answers, between chance_low and chance_high in `level` of them

    Raises InputError where no answer is wrong.
    """
    wrong = wrong_answers(problems, answers).once()
    digits = WrongDigits(wrong)

    def count(order: Rows) -> NDArray[np.int64]:
        return np.asarray((digits.wrong(order) & digits.asked).sum(axis=0))

    n = digits.asked.sum(axis=0)
    distinct = [wrong.problems[mask].n_distinct if mask.any() else 0 for mask in digits.asked.T]
    table = _table(count, n, wrong, seed, shuffles, level)
    table.insert(0, "digit", np.arange(len(n)))
    table.insert(2, "n_distinct", distinct)
    return table[table["n"] > 0].reset_index(drop=True)


def share_of_places(
    problems: Problems,
    answers: Sequence[Any] | NDArray[Any],
    *,
    from_right: NDArray[np.bool_] | bool = False,
    seed: int = 0,
    shuffles: int = 200,
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of wrong answers by token and place of the most significant wrong digit.

    from_right   whether an answer's tokens are cut from its right end; for all, or one a problem

    token, place         both from 1 at the left, in the answer as given; 0 and 0 where it is too
                         short to have that digit
    and n, n_distinct, hits, share, low, high, chance, chance_low, chance_high as in
    `share_of_digits`; the shares add up to 1.

    Raises InputError where no answer is wrong, or the cuts are not one a problem.
    """
    cuts = np.broadcast_to(from_right, len(problems)) if np.ndim(from_right) == 0 else from_right
    cuts = np.asarray(cuts)
    if cuts.shape != (len(problems),) or cuts.dtype != bool:
        raise InputError(f"from_right must be True or False, or {len(problems)} of them.")
    wrong = wrong_answers(problems, answers).once()
    digits, cut_right = WrongDigits(wrong), cuts[wrong.rows]

    def places(order: Rows) -> NDArray[np.int64]:
        top, length = digits.top(order), digits.length[order]
        left, right = (np.stack(token_place(length, top, cut)) for cut in ("left", "right"))
        token, place = np.where(cut_right[order], right, left)
        return np.asarray(token * _PLACES + place)

    width = int(digits.length.max()) + _PLACES  # no answer has more tokens than digits

    def count(order: Rows) -> NDArray[np.int64]:
        return np.bincount(places(order), minlength=width * _PLACES)

    n = np.full(width * _PLACES, wrong.n)
    table = _table(count, n, wrong, seed, shuffles, level)
    token, place = np.divmod(np.arange(len(n)), _PLACES)
    table.insert(0, "token", token)
    table.insert(1, "place", place)
    table.insert(3, "n_distinct", wrong.problems.n_distinct)
    return table[(table["hits"] > 0) | (table["chance"] > 0)].reset_index(drop=True)


_PLACES = 4  # in a token: none, and 1 to 3


def _table(
    count: Counts,
    n: NDArray[np.int64],
    wrong: WrongAnswers,
    seed: int,
    shuffles: int,
    level: float,
) -> pd.DataFrame:
    hits = count(np.arange(wrong.n))
    by_chance = np.stack([count(order) for order in wrong.shuffles(shuffles, seed)])
    with np.errstate(invalid="ignore"):
        shares = by_chance / n
    shown = [share_of(int(k), int(total), level) for k, total in zip(hits, n, strict=True)]
    ends = (1 - level) / 2, (1 + level) / 2
    return pd.DataFrame(
        {
            "n": n,
            "hits": hits,
            "share": [s.share for s in shown],
            "low": [s.low for s in shown],
            "high": [s.high for s in shown],
            "chance": shares.mean(axis=0),
            "chance_low": np.quantile(shares, ends[0], axis=0, method="lower"),
            "chance_high": np.quantile(shares, ends[1], axis=0, method="higher"),
        }
    )

"""Positions of a wrong answer's wrong digits: column, carry, place within a token.

Places within tokens follow "Tokenization counts" (arXiv 2402.14903): numbers are cut into tokens
of three digits, from the left as common tokenizers do with bare digits, or from the right as
commas make them; the token at the other end is shorter.
"""

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.faults import GROUP
from interp.arithmetic.scoring import digit_table
from interp.arithmetic.wrong_answers import Rows, WrongAnswers

Cut = Literal["left", "right"]


def places(wrong: WrongAnswers, tokens: Cut) -> pd.DataFrame:
    """Table of wrong digits, one row per wrong answer, compared by column from the right.

    n_digits, right_digits    digits of the given and of the right answer
    longer_answer             the right answer has more digits than every operand
    n_carries, longest_chain  carries in the right calculation, and the longest run of them
    wrong[k], off_by[k]       digit k is wrong, and by how much; a missing digit counts as 0
    n_wrong                   how many digits are wrong
    carry_in_errors           wrong digits in columns that a carry goes into
    carry_out_errors          wrong digits in columns that a carry goes out of
    top_wrong                 the most significant wrong column
    token, place              of the digit at top_wrong in the answer as given: its token from the
                              left and its place in that token, both from 1; 0 where the answer is
                              too short to have it
    """
    problems = wrong.problems
    digits = WrongDigits(wrong)
    off_by = digits.off_by
    is_wrong = off_by > 0
    carries = _carries(wrong, off_by.shape[1])
    into = np.hstack([np.zeros((wrong.n, 1), dtype=bool), carries[:, :-1]])
    top = digits.top(np.arange(wrong.n))
    token, place = token_place(digits.length, top, tokens)
    table = pd.DataFrame(
        {
            "n_digits": digits.length,
            "right_digits": digits.right_length,
            "longer_answer": digits.right_length > problems.lengths.max(axis=1),
            "n_carries": carries.sum(axis=1),
            "longest_chain": _longest_run(carries),
            "n_wrong": is_wrong.sum(axis=1),
            "carry_in_errors": (is_wrong & into).sum(axis=1),
            "carry_out_errors": (is_wrong & carries).sum(axis=1),
            "top_wrong": top,
            "token": token,
            "place": place,
        }
    )
    columns = range(problems.answer.shape[1])
    by_digit: dict[str, NDArray[Any]] = {f"wrong[{k}]": is_wrong[:, k] for k in columns}
    by_digit |= {f"off_by[{k}]": off_by[:, k] for k in columns}
    return pd.concat([table, pd.DataFrame(by_digit)], axis=1)


class WrongDigits:
    """Given and right digits side by side, column 0 least significant; missing ones are 0."""

    def __init__(self, wrong: WrongAnswers) -> None:
        given = [str(abs(value)) for value in wrong.given]
        right = [str(abs(value)) for value in wrong.problems.answers()]
        self.length, self.right_length = (np.array([*map(len, x)]) for x in (given, right))
        width = int(max(self.length.max(), wrong.problems.answer.shape[1]))
        self._given, self._right = (
            np.maximum(digit_table(digits, width), 0) for digits in (given, right)
        )
        self.asked = np.arange(self.right_length.max()) < self.right_length[:, None]

    def wrong(self, order: Rows) -> NDArray[np.bool_]:
        """[n, digits of the longest right answer], when answer order[i] is given to problem i."""
        return self._all_wrong(order)[:, : self.asked.shape[1]]

    def top(self, order: Rows) -> NDArray[np.int64]:
        """The most significant wrong column, -1 where only the sign is wrong or nothing is; [n]."""
        wrong = self._all_wrong(order)
        return np.where(wrong.any(axis=1), wrong.shape[1] - 1 - wrong[:, ::-1].argmax(axis=1), -1)

    def _all_wrong(self, order: Rows) -> NDArray[np.bool_]:
        return np.asarray(self._given[order] != self._right)

    @property
    def off_by(self) -> NDArray[np.int8]:
        """|given - right| of each digit [n, width], the answers in their own order."""
        return np.abs(self._given - self._right)


def token_place(
    n_digits: NDArray[np.int64], column: NDArray[np.int64], cut: Cut
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token, from the left, and place within it of a column of numbers with `n_digits`; from 1.

    >>> token_place(np.array([8]), np.array([3]), "left")  # 12345678: 123 456 78, the 5
    (array([2]), array([2]))
    >>> token_place(np.array([8]), np.array([3]), "right")  # 12 345 678
    (array([2]), array([3]))
    """
    from_left = n_digits - 1 - column
    shift = np.where(cut == "right", -n_digits % GROUP, 0)  # blanks in the short first token
    token = (from_left + shift) // GROUP
    place = from_left + shift - token * GROUP - np.where(token == 0, shift, 0)
    there = (from_left >= 0) & (column >= 0)
    return np.where(there, token + 1, 0), np.where(there, place + 1, 0)


def _carries(wrong: WrongAnswers, width: int) -> NDArray[np.bool_]:
    """[n, width]: does a carry (or borrow) go out of the column?"""
    carries = np.zeros((wrong.n, width), dtype=bool)
    if wrong.problems.task.arithmetic != "modular":
        carry = wrong.problems.worksheet.carry.T != 0
        carries[:, : carry.shape[1]] = carry
    return carries


def _longest_run(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    run = longest = np.zeros(len(flags), dtype=np.int64)
    for column in flags.T:
        run = np.where(column, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest

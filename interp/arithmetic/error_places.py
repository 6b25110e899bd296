"""Where the digits of a wrong answer go wrong: column, carry, place within a token.

Places within tokens follow "Tokenization counts" (arXiv 2402.14903): numbers are cut into tokens
of three digits, from the left as common tokenizers do with bare digits, or from the right as
commas make them; the token at the other end is shorter.
"""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.faults import GROUP
from interp.arithmetic.scoring import digit_table
from interp.arithmetic.wrong_answers import WrongAnswers

Cut = Literal["left", "right"]


def places(wrong: WrongAnswers, tokens: Cut) -> pd.DataFrame:
    """One row a wrong answer; digits are compared column by column from the right.

    n_digits, right_digits    how many digits were given, how many the right answer has
    longer_answer             the right answer has more digits than every operand n_carries,
    longest_chain  carries in the right calculation, and the longest run of them wrong[k],
    off_by[k]       digit k is wrong, and by how much; a digit that is missing counts as 0 n_wrong
    how many digits are wrong carry_in_errors           wrong digits in columns that a carry goes
    into; carry_out_errors          in columns that a carry goes out of top_wrong
    the most significant wrong column token, place              of the digit at top_wrong in the
    answer as given: its token counted from
                              the left, and its place within that token, both from 1; 0 where the
                              answer is too short to have it
    """
    problems = wrong.problems
    size = [str(abs(value)) for value in wrong.given]
    right = [str(abs(value)) for value in problems.answers()]
    length, right_length = (np.array([len(d) for d in digits]) for digits in (size, right))
    width = int(max(length.max(), problems.answer.shape[1]))
    given = np.maximum(digit_table(size, width), 0)
    off_by = np.abs(given - np.maximum(digit_table(right, width), 0))
    is_wrong = off_by > 0
    carries = _carries(wrong, width)
    into = np.hstack([np.zeros((wrong.n, 1), dtype=bool), carries[:, :-1]])
    top = np.where(is_wrong.any(axis=1), width - 1 - is_wrong[:, ::-1].argmax(axis=1), -1)
    token, place = token_place(length, top, tokens)
    table = pd.DataFrame(
        {
            "n_digits": length,
            "right_digits": right_length,
            "longer_answer": right_length > problems.lengths.max(axis=1),
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
    digits = {f"wrong[{k}]": is_wrong[:, k] for k in columns}
    digits |= {f"off_by[{k}]": off_by[:, k] for k in columns}
    return pd.concat([table, pd.DataFrame(digits)], axis=1)


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

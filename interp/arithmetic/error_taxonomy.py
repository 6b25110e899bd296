"""Kinds of wrong answers, after the taxonomy of "Tokenization counts" (arXiv 2402.14903).

A wrong answer can have several kinds: an omitted carry is off by a power of ten. `labels` gives one
boolean per kind; `share_of_kinds` compares their shares with those of answers shuffled among
problems: many kinds fit some random numbers, and some (a multiple of ten) fit one in ten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic import faults
from interp.arithmetic.error_places import Cut, places
from interp.arithmetic.faults import Answers
from interp.arithmetic.problems import Problems
from interp.arithmetic.proportions import share_of
from interp.arithmetic.tasks import Task
from interp.arithmetic.wrong_answers import Rows, WrongAnswers, as_codes, wrong_answers

Variants = Callable[["Problems"], Answers]

KINDS: dict[str, str] = {
    "sign": "the right size with the wrong sign",
    "left_aligned": "the numbers aligned at their left ends",
    "groups_right": "groups of three added apart, aligned at the right",
    "groups_left": "groups of three added apart, aligned at the left",
    "carry_omitted": "the carry out of one column forgotten",
    "operand_digit_dropped": "one digit of an operand left out",
    "answer_digit_dropped": "one digit of the right answer left out",
    "digits_swapped": "two neighbouring digits of the right answer swapped",
    "power_of_ten": "off by exactly one power of ten",
    "one_digit": "one digit wrong, the others and their number right",
    "length": "too many or too few digits",
    "multiple_of_ten": "off by a multiple of ten: the last digit is right",
}
"""Every kind in words, from the most specific to the least: `kind` is the first that holds."""


def labels(
    problems: Problems,
    answers: Sequence[Any] | NDArray[Any],
    *,
    tokens: Cut = "left",
) -> pd.DataFrame:
    """Table of wrong answers, indexed by problem; unreadable answers are left out.

    answer, right, error    given, true, given - true (Python integers)
    one column a kind       True or False (`KINDS` has them in words)
    carry_omitted[k]        the carry out of column k forgotten
    kind                    the first kind that holds, else "other"
    and the places of the wrong digits: `error_places.places`; `tokens` is the end from which a
    number is split into tokens of three digits

    Raises InputError where no answer is wrong.
    """
    wrong = wrong_answers(problems, answers)
    kinds = _Kinds(wrong)
    order = np.arange(wrong.n)
    held = kinds.held(order)
    table = pd.DataFrame(
        {
            "answer": wrong.given,
            "right": wrong.problems.answers(),
            "error": wrong.given - wrong.problems.answers(),
            **held,
            "kind": _first_kind(held),
        },
        index=pd.Index(wrong.rows, name="row"),
    )
    if "carry_omitted" in held:
        for k, column in enumerate(kinds.variants_held("carry_omitted", order).T):
            table[f"carry_omitted[{k}]"] = column
    return pd.concat([table, places(wrong, tokens).set_index(table.index)], axis=1)


def share_of_kinds(
    problems: Problems,
    answers: Sequence[Any] | NDArray[Any],
    *,
    seed: int = 0,
    shuffles: int = 200,
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of the errors of each kind, and of the same answers shuffled among problems.

    Each wrong answer to each problem counts once. The shuffle is among problems with equally long
    right answers, except for the kind `length`, which that would determine.

    kind, means          the kind and what it means; `other` is none of them
    n, n_distinct        wrong answers, and distinct problems among them
    hits, share          number and share of this kind, with low and high (Wilson)
    first                share for which this is the first kind that holds: these add up to 1
    chance               mean share over the shuffles, below chance_high in `level` of them
    p                    shuffles with at least as many, (1 + count) / (1 + shuffles)

    Does not show: why a model errs. A kind far above chance describes the errors only.
    """
    wrong = wrong_answers(problems, answers).once()
    kinds = _Kinds(wrong)
    held = kinds.held(np.arange(wrong.n))
    first = _first_kind(held)
    by_chance = _chance_counts(wrong, kinds, shuffles, seed)
    rows = []
    for name, hits in _with_other(held).items():
        share = share_of(int(hits.sum()), wrong.n, level)
        rows.append(
            {
                "kind": name,
                "means": KINDS.get(name, "none of these"),
                "n": wrong.n,
                "n_distinct": wrong.problems.n_distinct,
                "hits": share.hits,
                "share": share.share,
                "low": share.low,
                "high": share.high,
                "first": float(np.mean(first == name)),
                "chance": by_chance[name].mean() / wrong.n,
                "chance_high": np.quantile(by_chance[name], level, method="higher") / wrong.n,
                "p": (1 + (by_chance[name] >= share.hits).sum()) / (1 + shuffles),
            }
        )
    return pd.DataFrame(rows)


def _chance_counts(
    wrong: WrongAnswers, kinds: _Kinds, shuffles: int, seed: int
) -> dict[str, NDArray[np.int64]]:
    """Number of answers of each kind, in every shuffle."""
    counts = pd.DataFrame(
        {name: int(hits.sum()) for name, hits in _with_other(kinds.held(order)).items()}
        for order in wrong.shuffles(shuffles, seed)
    )
    anywhere = wrong.shuffles(shuffles, seed, equal_length=False)
    counts["length"] = [int(kinds.length_differs(order).sum()) for order in anywhere]
    return {str(name): counts[name].to_numpy(dtype=np.int64) for name in counts}


def _with_other(held: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
    return {**held, "other": ~np.any(list(held.values()), axis=0)}


def _first_kind(held: dict[str, NDArray[np.bool_]]) -> NDArray[np.str_]:
    return np.select(list(held.values()), list(held), default="other")


class _Kinds:
    """Evaluates each kind for any assignment of the answers to the problems."""

    def __init__(self, wrong: WrongAnswers) -> None:
        problems = wrong.problems
        variants = {name: make(problems) for name, make in _variants(problems.task).items()}
        self._right, self._given, *coded = as_codes(
            problems.answers(), wrong.given, *variants.values()
        )
        self._variants = dict(zip(variants, coded, strict=True))
        self._digits = _digit_strings(wrong.given)
        self._true_digits = _digit_strings(problems.answers())
        self._length = np.array([len(d) for d in self._digits])
        self._true_length = np.array([len(d) for d in self._true_digits])
        self._last = (wrong.given % 10).astype(np.int64)
        self._true_last = (problems.answers() % 10).astype(np.int64)
        width = int(max(self._length.max(), self._true_length.max()))
        self._table, self._true_table = (
            _aligned(d, width) for d in (self._digits, self._true_digits)
        )
        self._negative = (wrong.given < 0).astype(bool)
        self._true_negative = (problems.answers() < 0).astype(bool)

    def held(self, order: Rows) -> dict[str, NDArray[np.bool_]]:
        """For each kind [n]: does it hold when answer order[i] is given to problem i?"""
        given = self._given[order]
        wrong = given != self._right
        found: dict[str, NDArray[np.bool_]] = {
            name: np.asarray(self.variants_held(name, order).any(axis=1)) for name in self._variants
        }
        same_sign = self._negative[order] == self._true_negative
        differing = (self._table[order] != self._true_table).sum(axis=1)
        found["length"] = self.length_differs(order)
        found["one_digit"] = ~found["length"] & same_sign & (differing == 1)
        found["multiple_of_ten"] = wrong & (self._last[order] == self._true_last)
        return {name: found[name] for name in KINDS if name in found}

    def length_differs(self, order: Rows) -> NDArray[np.bool_]:
        """Has answer order[i] another number of digits than the right one of problem i? [n]"""
        return self._length[order] != self._true_length

    def variants_held(self, kind: str, order: Rows) -> NDArray[np.bool_]:
        """[n, variants]: is the answer exactly this wrong one?"""
        given = self._given[order][:, None]
        variants = self._variants[kind]
        variants = variants if variants.ndim == 2 else variants[:, None]
        return (variants == given) & (given != self._right[:, None])


def _variants(task: Task) -> dict[str, Variants]:
    """The task's kinds that are lists of particular wrong answers."""
    found: dict[str, Variants] = {
        "answer_digit_dropped": faults.answer_digit_dropped,
        "digits_swapped": faults.answer_digits_swapped,
        "power_of_ten": faults.off_by_power_of_ten,
    }
    if task.signed:
        found["sign"] = lambda problems: -problems.answers()
    if task.arithmetic == "modular":
        return found
    found["carry_omitted"] = lambda problems: faults.carries_dropped(problems)[:, :-1]
    found["operand_digit_dropped"] = faults.operand_digit_dropped
    if task.arithmetic == "sum" and len(task.operand_digits) == 2:
        found["left_aligned"] = faults.left_aligned
        if not task.signed:
            found["groups_right"] = partial(faults.groups_added_apart, align="right")
            found["groups_left"] = partial(faults.groups_added_apart, align="left")
    return found


def _digit_strings(values: Answers) -> list[str]:
    return [str(abs(value)) for value in values]


def _aligned(digits: Sequence[str], width: int) -> NDArray[np.uint8]:
    """Digits aligned at their right ends, zeros in front: [n, width], column 0 the last."""
    text = "".join(number.rjust(width, "0")[::-1] for number in digits)
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(-1, width) - np.uint8(48)

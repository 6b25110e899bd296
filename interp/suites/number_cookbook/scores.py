"""The Number Cookbook's scores (arXiv 2411.03766) by digit length, and learned lengths.

An answer has one part for integers, two for floats and fractions, three for scientific notation.
With p and g the digits of prediction and truth,

    exact match          all parts equal
    digit match          Σ_parts Σ_i [p_i = g_i] / Σ_parts |g|
    length difference    | Σ_parts |p| - Σ_parts |g| |

Parts are aligned at the right, decimals at the left; missing digits count as wrong, extra ones do
not count; signs are dropped. An unreadable answer has no digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.proportions import Interval, share_of, wilson
from interp.errors import InputError
from interp.results.intervals import mean_interval
from interp.suites.number_cookbook.representations import Representation
from interp.suites.number_cookbook.tasks import cookbook_task

WELL_LEARNED = {"exact_match": 0.9, "digit_match": 0.9, "length_difference": 0.1}
PRESERVING = {"exact_match": 0.1, "digit_match": 0.5, "length_difference": 1.0}
SURE_FROM = 35
"""Fewest problems of a length whose interval can pass `WELL_LEARNED`: n / (n + z²) ≥ 0.9, where all
are right, with z² = 3.84 of Wilson's 95 % interval."""
_SMALLER_IS_BETTER = {"length_difference"}
_WRITTEN = {
    "integer": r"\d+",
    "float": r"\d+\.\d+",
    "fraction": r"\d+/\d+",
    "scientific": r"\d+\.\d+[eE][+-]?\d+",
}

_A_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e\d+|/\d+)?", re.ASCII)


class StringScore(NamedTuple):
    """The three scores of one answer."""

    exact_match: bool
    digit_match: float
    length_difference: int


def read_cookbook_answer(text: str, kind: Representation) -> str:
    """The number at the start of a text, in plain form; "" for none.

    As in the benchmark, no leading sign is accepted, and the sign of an exponent is dropped.
    """
    found = re.match(_WRITTEN[kind.name], text.strip(), re.ASCII)
    return found[0].replace("E", "e").translate({43: None, 45: None}) if found else ""


def string_score(predicted: str, true: str, kind: Representation) -> StringScore:
    """Score one written answer against another."""
    mine, right = kind.parts(predicted), kind.parts(true)
    hits = 0
    for end, p, g in zip(kind.ends, mine, right, strict=True):
        step = -1 if end == "right" else 1
        hits += sum(x == y for x, y in zip(p[::step], g[::step], strict=False))
    digits = sum(map(len, right))
    return StringScore(mine == right, hits / digits, abs(sum(map(len, mine)) - digits))


def score_cookbook(problems: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """The problems (`CookbookTask.sample`, also of several tasks) with a model's texts, scored.

    Adds read (the number, "" for none), parsed, exact_match, digit_match, length_difference.
    Raises InputError if the numbers of texts and problems differ.
    """
    if len(problems) != len(texts) or not len(texts):
        raise InputError(f"{len(problems)} problems need as many answers, not {len(texts)}.")
    kinds = {str(name): cookbook_task(str(name)).answer for name in problems["task"].unique()}
    rows = []
    for name, true, text in zip(problems["task"], problems["answer"], texts, strict=True):
        read = read_cookbook_answer(text, kinds[name])
        rows.append({"read": read, "parsed": bool(read),
                     **string_score(read, true, kinds[name])._asdict()})  # fmt: skip
    return pd.concat([problems.reset_index(drop=True), pd.DataFrame(rows)], axis=1)


def naive_share(problems: pd.DataFrame) -> float:
    """Share of problems that the best rule without arithmetic answers: always the same answer, or
    always the question's first number, or its second, and so on. It is chosen on these problems,
    which makes it look a little better than it is."""
    answers = list(problems["answer"])
    numbers = [_A_NUMBER.findall(text.rpartition(": ")[2]) for text in problems["question"]]
    same = max(map(answers.count, answers)) / len(answers)
    copied = [
        [row[at : at + 1] == [right] for row, right in zip(numbers, answers, strict=True)]
        for at in range(max(map(len, numbers)))
    ]
    return max(same, *(sum(hits) / len(hits) for hits in copied))


def by_length(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean scores of each task at each length, n, n_distinct and exact match's interval."""
    rows = []
    for (name, length), cell in scores.groupby(["task", "length"], sort=True):
        exact = share_of(int(cell["exact_match"].sum()), len(cell))
        rows.append(
            {
                "task": name,
                "length": length,
                "n": len(cell),
                "n_distinct": cell["question"].nunique(),
                "parsed": cell["parsed"].mean(),
                "exact_match": exact.share,
                "low": exact.low,
                "high": exact.high,
                "digit_match": cell["digit_match"].mean(),
                "length_difference": cell["length_difference"].mean(),
            }
        )
    return pd.DataFrame(rows)


def match_interval(match: npt.ArrayLike) -> Interval:
    """95 % interval of the mean of shares x between 0 and 1: Wilson's, with Σ x for the successes.

    The variance of such an x is at most that of a right-or-wrong answer with the same mean, so this
    errs on the wide side, and unlike a bootstrap it has a width where every x is the same. Does not
    show: bias, or problems of another kind.
    """
    values = np.asarray(match, dtype=float)
    return wilson(min(values.sum(), len(values)), len(values))


def length_interval(difference: npt.ArrayLike, seed: int = 0) -> Interval:
    """95 % interval of the mean difference of lengths d ≥ 0, in digits: the bootstrap's, widened to

        Wilson's interval of the share of answers with d > 0  ·  max(1, their mean d)

    which has a width where every d is the same. Does not show: differences larger than those seen;
    where none is seen, an unseen one counts as one digit.
    """
    values = np.asarray(difference, dtype=float)
    other = values[values > 0]
    size = max(1.0, float(other.mean())) if len(other) else 1.0
    drawn, share = mean_interval(values, seed=seed), wilson(len(other), len(values))
    return Interval(np.fmin(drawn.low, share.low * size), np.fmax(drawn.high, share.high * size))


def learned_lengths(scores: pd.DataFrame) -> pd.DataFrame:
    """The greatest learned lengths of each task, by each of the three scores.

    well_learned             the greatest length with a mean of at least 0.9 (length difference: at
                             most 0.1), 0 for none
    performance_preserving   the same with thresholds 0.1, 0.5 and 1
    S, M, L, XL              the score over the benchmark's ranges of lengths, every problem
                             counting once; NaN for a range without problems

    As in the benchmark the greatest such length counts even if a shorter one fails; `by_length`
    shows these failures.
    """
    lengths = by_length(scores)
    rows = []
    for name, cell in lengths.groupby("task", sort=False):
        asked = scores[scores["task"] == name]
        for score in WELL_LEARNED:
            rows.append(
                {
                    "task": name,
                    "score": score,
                    "well_learned": _greatest(cell, score, WELL_LEARNED[score]),
                    "performance_preserving": _greatest(cell, score, PRESERVING[score]),
                    **_range_means(asked, score, cookbook_task(str(name)).ranges),
                }
            )
    return pd.DataFrame(rows)


def _greatest(cell: pd.DataFrame, score: str, threshold: float) -> int:
    value = cell[score]
    good = value <= threshold if score in _SMALLER_IS_BETTER else value >= threshold
    return int(cell.loc[good, "length"].max()) if good.any() else 0


def _range_means(
    asked: pd.DataFrame, score: str, ranges: dict[str, tuple[int, int]]
) -> dict[str, float]:
    means = {}
    for name, (shortest, longest) in ranges.items():
        inside = asked.loc[asked["length"].between(shortest, longest), score]
        means[name] = float(inside.astype(float).mean()) if len(inside) else float(np.nan)
    return means

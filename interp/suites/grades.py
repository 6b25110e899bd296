"""StreetMath's scores of approximate answers (arXiv 2510.25776).

With e = |x - exact| / |exact|, an answer x is

    exact               |x - exact| ≤ 10^-6
    good                e ≤ 0.2
    mildly off          e ≤ 0.6
    way off             anything else, an answer without a number included
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from interp.arithmetic.proportions import share_of
from interp.errors import InputError

GRADES = ("exact", "good", "mildly off", "way off")
EXACT, GOOD, MILD = 1e-6, 0.2, 0.6
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_FINAL = re.compile(rf"final answer\s*:?\s*\**\s*[$€£]?\s*({_NUMBER})", re.IGNORECASE | re.ASCII)


class Comparison(NamedTuple):
    """Two shares, their difference (second - first), and the two-sided p of no difference."""

    first: float
    second: float
    difference: float
    z: float
    p: float


def read_final_answer(text: str) -> float | None:
    """The number after the last `Final answer:`; None if there is none.

    >>> read_final_answer("About 30 + 20. Final answer: 1,250.5")
    1250.5
    """
    found = _FINAL.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def grade(exact: Sequence[float], answers: Sequence[float | None]) -> pd.DataFrame:
    """The graded answers, one row each: exact, answer, relative_error, grade (`GRADES`).

    Raises InputError if the numbers of answers and exact values differ, and for exact values that
    are zero (no relative error) or not finite.
    """
    truth = np.asarray(exact, dtype=np.float64)
    if truth.ndim != 1 or len(truth) != len(answers) or not len(truth):
        raise InputError(f"{truth.shape} exact values need as many answers, not {len(answers)}.")
    if not np.isfinite(truth).all() or (truth == 0).any():
        raise InputError("exact values must be finite and not 0: relative errors divide by them.")
    given = np.array([math.nan if a is None else float(a) for a in answers])
    distance = np.abs(given - truth)
    relative = distance / np.abs(truth)
    tests = [distance <= EXACT, relative <= GOOD, relative <= MILD]
    return pd.DataFrame(
        {
            "exact": truth,
            "answer": given,
            "relative_error": relative,
            "grade": np.select(tests, GRADES[:3], default=GRADES[3]),
        }
    )


def share_of_grades(graded: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """The share of each grade with low and high (Wilson); unread: answers without a number."""
    rows = []
    for name in GRADES:
        share = share_of(int((graded["grade"] == name).sum()), len(graded), level)
        rows.append({"grade": name, "hits": share.hits, "n": share.n, "share": share.share,
                     "low": share.low, "high": share.high})  # fmt: skip
    unread = int(graded["answer"].isna().sum())
    return pd.DataFrame(rows).assign(unread=[0, 0, 0, unread])


def compare_shares(first: tuple[int, int], second: tuple[int, int]) -> Comparison:
    """Two-proportion z-test, pooled: (hits, n) of two independent sets of answers.

        z = (p2 - p1) / √(p (1 - p) (1/n1 + 1/n2)),   p = (k1 + k2) / (n1 + n2)

    Raises InputError for empty sets or impossible counts. Does not show: anything about two runs
    over the *same* questions, which are not independent.
    """
    (k1, n1), (k2, n2) = first, second
    if min(n1, n2) < 1:
        raise InputError("both sets need at least one answer.")
    p1, p2 = share_of(k1, n1).share, share_of(k2, n2).share
    pooled = (k1 + k2) / (n1 + n2)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    z = (p2 - p1) / spread if spread else 0.0
    return Comparison(p1, p2, p2 - p1, z, 2 * NormalDist().cdf(-abs(z)))

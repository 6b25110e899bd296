"""Confidence of a model in each answer token, from published log-probabilities.

Some result files of "Tokenization counts" (arXiv 2402.14903) hold, for every token, its
log-probability and those of the five likeliest, in the column `logprobs_json`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from interp.arithmetic.error_places import Cut
from interp.arithmetic.faults import GROUP
from interp.arithmetic.published_answers import PublishedAnswers
from interp.errors import InputError

_COLUMN = "logprobs_json"


def token_confidence(published: PublishedAnswers) -> pd.DataFrame:
    """Table of confidences, one row per number token of an answer.

    | columns                     | meaning                                                        |
    |-----------------------------|----------------------------------------------------------------|
    | row, token                  | the row of the file; the token's place in the answer, from 1   |
    | text, right_text            | the token given; that of the right answer there, None if none  |
    | logprob                     | of the given token                                             |
    | margin                      | log-probability of the likeliest minus that of the second      |
    | entropy_low                 | lower bound on the entropy in nats, see `entropy_low`          |
    | right_logprob, right_rank   | of the right token among those listed, NaN where it is not     |

    Raises InputError where the file has no log-probabilities, or they cannot be read.
    """
    if _COLUMN not in published.frame:
        raise InputError(
            f"this file has no column {_COLUMN!r}: only result files from 2024 on hold "
            f"log-probabilities."
        )
    rows = []
    right = published.problems.answers()
    cuts = published.cut_from_right
    for row, text in enumerate(published.frame[_COLUMN]):
        tokens = [t for t in _listed(row, text) if _is_number(str(t["token"]))]
        expected = pieces(str(right[row]), "right" if cuts[row] else "left")
        for place, token in enumerate(tokens):
            wanted = expected[place] if place < len(expected) else None
            rows.append({"row": row, "token": place + 1, **_one(row, token, wanted)})
    return pd.DataFrame(rows)


def pieces(digits: str, cut: Cut) -> list[str]:
    """A number in tokens of three digits, cut from the left or from the right.

    >>> pieces("12345", "left"), pieces("12345", "right")
    (['123', '45'], ['12', '345'])
    """
    first = len(digits) % GROUP if cut == "right" else 0
    starts = [*([0] if first else []), *range(first, len(digits), GROUP)]
    return [digits[a:b] for a, b in zip(starts, [*starts[1:], len(digits)], strict=True)]


def entropy_low(logprobs: Sequence[float]) -> float:
    """A lower bound on the entropy (nats) of a distribution with known top probabilities.

        H ≥ -(Σ_i p_i log p_i + (1 - Σ_i p_i) log p_last)

    since no other token is likelier than the last of those.
    """
    known = sum(math.exp(value) for value in logprobs)
    inside = sum(math.exp(value) * value for value in logprobs)
    return -(inside + max(1 - known, 0.0) * min(logprobs))


def rank_among_substitutions(
    given: str, right: str, frequency_rank: Mapping[str, int], place: int
) -> int | None:
    """Frequency rank of the given token, from 0, among the right one with digit `place` replaced.

    The ten candidates are ordered by how frequent they are in the tokenizer's training text
    (`frequency_rank`, 0 the most frequent); a model with no preference for frequent tokens has a
    mean rank of 4.5. None where the given token is not one of them. `place` counts from the left,
    from 0.
    """
    candidates = [right[:place] + str(digit) + right[place + 1 :] for digit in range(10)]
    ordered = sorted(candidates, key=lambda token: frequency_rank[token])
    return ordered.index(given) if given in ordered else None


def _is_number(text: str) -> bool:
    return text.strip().isdecimal() and text.isascii()


def _listed(row: int, text: Any) -> list[dict[str, Any]]:
    try:
        listed = json.loads(text)
        return [dict(entry) for entry in listed]
    except (TypeError, ValueError) as error:
        raise InputError(f"row {row} has no readable {_COLUMN}: {error}") from error


def _one(row: int, token: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    try:
        top = sorted(
            ((str(t["token"]).strip(), float(t["logprob"])) for t in token["top_5_logprobs"]),
            key=lambda pair: -pair[1],
        )
        given, logprob = str(token["token"]).strip(), float(token["logprob"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"row {row} has no readable {_COLUMN}: {error!r}") from error
    ranks = {text: i for i, (text, _) in reversed(list(enumerate(top)))}
    known = wanted in ranks
    return {
        "text": given,
        "right_text": wanted,
        "logprob": logprob,
        "margin": top[0][1] - top[1][1] if len(top) > 1 else math.nan,
        "entropy_low": entropy_low([value for _, value in top]),
        "right_logprob": top[ranks[str(wanted)]][1] if known else math.nan,
        "right_rank": ranks[str(wanted)] + 1 if known else math.nan,
    }

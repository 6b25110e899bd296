"""Analyses that put free text to a model, proved on one that is made to say known things.

No planted model reads prose. Here a random model's `generate` is replaced by a speaker whose every
answer is known, and plain Python says what the scores must be.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import interp
from interp import suites
from interp.engine import answers
from interp.suites.street_problems import street_problems
from tests.behaviour.test_cookbook import wide, writing

_QUESTIONS = 60


@cache
def reader() -> Any:
    """A random model that knows every character of the questions."""
    with tempfile.TemporaryDirectory() as folder:
        return interp.load(str(wide(folder)))


def _asked(answer: Callable[[str], str], call: Callable[[Any], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "generate", writing(answer, reader()))
        return call(reader())


def prove_cookbook(seed: int) -> None:
    """Right up to two digits, then the last digit wrong, then a digit too many."""

    def operands(question: str) -> list[str]:
        return re.findall(r"\d+", question.rpartition(":")[2])  # an example number goes before

    def sum_of(question: str) -> int:
        return sum(map(int, operands(question)))

    def given(question: str, length: int) -> str:
        right = sum_of(question)
        if length <= 2:
            return str(right)
        return str(right - right % 10 + (right + 1) % 10) if length == 3 else f"{right}0"

    lengths = {}

    def answer(text: str) -> str:
        question = text.splitlines()[-1]
        length = max(map(len, operands(question)))
        lengths[question] = length
        return " " + given(question, length)

    found = _asked(
        answer,
        lambda model: suites.cookbook(
            model, ["add:integer"], lengths=(1, 2, 3, 4), n=20, shots=1, seed=seed
        ),
    )
    assert len(lengths) == len(found.answers)
    table = found.of("add:integer").set_index("length")
    means: dict[int, tuple[float, float, float]] = {}
    for length, cell in found.answers.groupby("length"):
        exact, match, difference = [], [], []
        for question in cell["question"]:
            right, mine = str(sum_of(question)), given(question, lengths[question])
            exact.append(mine == right)
            hits = sum(x == y for x, y in zip(mine[::-1], right[::-1], strict=False))
            match.append(hits / len(right))
            difference.append(abs(len(mine) - len(right)))
        means[int(length)] = (np.mean(exact), np.mean(match), np.mean(difference))
    columns = ["exact_match", "digit_match", "length_difference"]
    assert set(table.index) == {1, 2, 3, 4}
    for length, want in means.items():
        assert np.abs(table.loc[length, columns].to_numpy(float) - want).max() < 1e-9, length
        lows, highs = (
            table.loc[length, [f"{name}_{end}" for name in columns]].to_numpy(float)
            for end in ("low", "high")
        )
        assert (lows <= np.add(want, 1e-9)).all() and (np.subtract(want, 1e-9) <= highs).all()
    learned = found.learned.set_index("score")
    for column, name, good in (
        ("well_learned", "exact_match", lambda m: m[0] >= 0.9),
        ("performance_preserving", "digit_match", lambda m: m[1] >= 0.5),
        ("well_learned", "length_difference", lambda m: m[2] <= 0.1),
    ):
        most = max(length for length, mean in means.items() if good(mean))
        assert learned.loc[name, column] == most, (column, name)


def prove_approximation(seed: int) -> None:
    """Exact where exactness is asked for; 10 % off with the hint; without it every second answer
    10 % off, the others 100 %."""
    problems = street_problems(_QUESTIONS, seed=seed)
    exact = dict(zip(problems["question"], problems["exact"], strict=True))
    number = {question: i for i, question in enumerate(problems["question"])}

    def said(question: str, wording: str) -> float:
        rough = (1.1, 2.0)[number[question] // 8 % 2]
        return {"exactly": 1.0, "hinted": 1.1, "roughly": rough}[wording] * exact[question]

    def answer(text: str) -> str:
        question = max((q for q in exact if q in text), key=len)
        wording = "hinted" if "round each" in text else "roughly" if "rough" in text else "exactly"
        return f" {said(question, wording):.7f}"

    found = _asked(answer, lambda model: suites.approximation(model, n=_QUESTIONS, seed=seed))
    shares = {}
    for wording in ("roughly", "hinted", "exactly"):
        table = found.shares(wording).set_index("grade")
        want = dict.fromkeys(("exact", "good", "mildly off", "way off"), 0.0)
        chance = dict(want)
        for question, topic in zip(problems["question"], problems["topic"], strict=True):
            want[_grade(exact[question], said(question, wording))] += 1 / _QUESTIONS
            others = problems.loc[problems["topic"] == topic, "question"]
            for other in others:
                mine = _grade(exact[question], said(other, wording))
                chance[mine] += 1 / _QUESTIONS / len(others)
        for grade, share in want.items():
            assert abs(table.loc[grade, "share"] - share) < 1e-9, (wording, grade)
            assert abs(table.loc[grade, "chance"] - chance[grade]) < 0.03, (wording, grade)
        shares[wording] = want["exact"] + want["good"]
    assert abs(found.difference - (shares["roughly"] - shares["exactly"])) < 1e-9
    assert found.difference_low <= found.difference <= found.difference_high
    assert abs(found.hint - (shares["hinted"] - shares["roughly"])) < 1e-9
    assert found.hint_low <= found.hint <= found.hint_high
    first = [float(re.findall(r"\d+(?:\.\d+)?", q)[0]) for q in problems["question"]]
    echo = [_grade(exact[q], x) in ("exact", "good")
            for q, x in zip(problems["question"], first, strict=True)]  # fmt: skip
    assert abs(found.echo - np.mean(echo)) < 1e-9


def _grade(exact: float, given: float) -> str:
    off = abs(given - exact) / abs(exact)
    if abs(given - exact) <= 1e-6:
        return "exact"
    return "good" if off <= 0.2 else "mildly off" if off <= 0.6 else "way off"

from __future__ import annotations

import re

import pytest

from interp.errors import InputError
from interp.suites.street_problems import TOPICS, street_problems, street_prompt


def exact(topic: str, numbers: list[float]) -> float:
    a, b = numbers[0], numbers[1]
    return {
        "basket": sum(numbers[:3]),
        "discount": a * (1 - b / 100),
        "tax": a * (1 + b / 100),
        "tip": a * b / 100,
        "units": numbers[-1] * 1.609,
        "travel time": a / b * 60,
    }[topic]


def test_exact_values_follow_from_the_text() -> None:
    table = street_problems(120, seed=3)
    assert table["question"].nunique() == 120
    assert table["topic"].value_counts().to_dict() == dict.fromkeys(TOPICS, 20)
    for row in table.itertuples():
        numbers = [float(x) for x in re.findall(r"\d+(?:\.\d+)?", str(row.question))]
        assert exact(str(row.topic), numbers) == pytest.approx(row.exact)


def test_a_seed_gives_the_same_questions() -> None:
    assert street_problems(12, seed=1).equals(street_problems(12, seed=1))
    assert not street_problems(12, seed=1).equals(street_problems(12, seed=2))


def test_errors() -> None:
    with pytest.raises(InputError, match="n must be at least 1"):
        street_problems(0)
    with pytest.raises(InputError, match="wording must be one of roughly, exactly"):
        street_prompt("How far?", "loudly")

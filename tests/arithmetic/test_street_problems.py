from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from interp.errors import InputError
from interp.results.result import Result
from interp.suites.street_problems import TOPICS, WORDINGS, street_problems, street_prompt
from tests.golden.make import DATA


def exact(topic: str, numbers: list[float]) -> float:
    a, b = numbers[0], numbers[1]
    return {
        "basket": sum(numbers[:3]),
        "discount": a * (1 - b / 100),
        "tax": a * (1 + b / 100),
        "tip": a * b / 100,
        "units": numbers[-1] * 1.609,
        "travel time": a / b * 60,
        "fermi": a * b / 100 * numbers[-1],
        "filling": a / b,
    }[topic]


def test_exact_values_follow_from_the_text() -> None:
    table = street_problems(160, seed=3)
    assert table["question"].nunique() == 160
    assert table["topic"].value_counts().to_dict() == dict.fromkeys(TOPICS, 20)
    for row in table.itertuples():
        numbers = [float(x) for x in re.findall(r"\d+(?:\.\d+)?", str(row.question))]
        assert exact(str(row.topic), numbers) == pytest.approx(row.exact)


def test_a_seed_gives_the_same_questions() -> None:
    assert street_problems(12, seed=1).equals(street_problems(12, seed=1))
    assert not street_problems(12, seed=1).equals(street_problems(12, seed=2))


def test_the_hint_is_added_to_the_rough_wording() -> None:
    asked = {wording: street_prompt("How far?", wording) for wording in WORDINGS}
    rough, hinted = asked["roughly"].splitlines(), asked["hinted"].splitlines()
    assert hinted[0].startswith(rough[0]) and "round" in hinted[0]
    assert hinted[1:] == rough[1:] == ["Final answer:"]


def test_errors() -> None:
    with pytest.raises(InputError, match="n must be at least 1"):
        street_problems(0)
    with pytest.raises(InputError, match="wording must be one of roughly, hinted, exactly"):
        street_prompt("How far?", "loudly")


def test_a_result_saved_before_the_hint_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(DATA / "results" / "approximation", folder)
    fields = folder / "data" / "fields.json"
    content = json.loads(fields.read_text())
    for name in ("hint", "hint_low", "hint_high"):
        del content["fields"][name]
    fields.write_text(json.dumps(content))
    found = Result.load(folder)
    assert "hint" not in found.metrics and "hint" not in str(found.conclusion())
    assert "difference" in found.metrics

"""StreetMath's grades at their borders, its final answers and its comparison of two runs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InputError
from interp.suites.grades import GRADES, compare_shares, grade, read_final_answer, share_of_grades


@pytest.mark.parametrize(
    ("exact", "answer", "expected"),
    [
        (50.0, 50.0, "exact"),
        (50.0, 50.0 + 5e-7, "exact"),
        (50.0, 50.01, "good"),
        (50.0, 60.0, "good"),
        (50.0, 40.0, "good"),
        (50.0, 60.01, "mildly off"),
        (50.0, 80.0, "mildly off"),
        (50.0, 81.0, "way off"),
        (50.0, -50.0, "way off"),
        (-50.0, -45.0, "good"),
        (50.0, None, "way off"),
    ],
)
def test_borders(exact: float, answer: float | None, expected: str) -> None:
    assert grade([exact], [answer])["grade"].item() == expected


def test_shares_by_hand() -> None:
    graded = grade([10, 10, 10, 10, 10], [10, 11, 15, 100, None])
    table = share_of_grades(graded).set_index("grade")
    assert table.index.tolist() == list(GRADES)
    assert table["hits"].tolist() == [1, 1, 1, 2]
    assert table["unread"].tolist() == [0, 0, 0, 1]
    assert table["share"].sum() == pytest.approx(1)
    # The paper's Qwen2.5-32B: 5937 of 10,000 exact.
    many = share_of_grades(grade([1.0] * 10_000, [1.0] * 5937 + [9.0] * 4063)).set_index("grade")
    assert many.loc["exact", "low"] == pytest.approx(0.5840, abs=5e-5)
    assert many.loc["exact", "high"] == pytest.approx(0.6033, abs=5e-5)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Roughly 20 and 30.\nFinal answer: 50", 50.0),
        ("final answer 1,250.5 dollars", 1250.5),
        ("Final answer: **$42**", 42.0),
        ("Final answer: 3. No: Final answer: -4", -4.0),
        ("Final answer: 12,34", 12.0),
        ("It is 50.", None),
        ("", None),
    ],
)
def test_final_answers(text: str, number: float | None) -> None:
    assert read_final_answer(text) == number


def test_comparison_by_hand() -> None:
    # 60 of 100 against 50 of 100: pooled 0.55, z = -0.1 / sqrt(0.55 * 0.45 * 0.02) = -1.4213
    found = compare_shares((60, 100), (50, 100))
    assert found.difference == pytest.approx(-0.1)
    assert found.z == pytest.approx(-1.42134, abs=1e-5)
    assert found.p == pytest.approx(0.15523, abs=1e-4)
    assert compare_shares((5, 5), (9, 9)).p == 1.0


@given(st.integers(1, 500), st.integers(1, 500), st.data())
@settings(deadline=None, max_examples=40)
def test_comparison_is_symmetric(n: int, m: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, n)), n
    second = data.draw(st.integers(0, m)), m
    there, back = compare_shares(first, second), compare_shares(second, first)
    assert there.z == pytest.approx(-back.z)
    assert there.p == pytest.approx(back.p)
    assert 0 <= there.p <= 1
    assert math.isfinite(there.z)


@pytest.mark.parametrize(
    ("exact", "answers", "message"),
    [
        ([1.0, 2.0], [1.0], "need as many answers, not 1"),
        ([], [], "need as many answers"),
        ([0.0], [1.0], "must be finite and not 0"),
        ([math.inf], [1.0], "must be finite and not 0"),
    ],
)
def test_bad_input(exact: list[float], answers: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grade(exact, answers)
    with pytest.raises(InputError, match="at least one answer"):
        compare_shares((0, 0), (1, 2))

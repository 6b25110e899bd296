"""The Number Cookbook: every task against a slow solver on strings and Decimal, scores by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InputError
from interp.suites.number_cookbook.representations import (
    FLOAT,
    FRACTION,
    INTEGER,
    REPRESENTATIONS,
    SCIENTIFIC,
)
from interp.suites.number_cookbook.scores import (
    by_length,
    learned_lengths,
    naive_share,
    read_cookbook_answer,
    score_cookbook,
    string_score,
)
from interp.suites.number_cookbook.tasks import cookbook_task, cookbook_tasks

NAMES = [task.name for task in cookbook_tasks(variants=True)]


def value(text: str) -> Fraction:
    """A written number, by Decimal and by Fraction's own reading."""
    return Fraction(text) if "/" in text else Fraction(Decimal(text))


def spelt_digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def digit_by_digit(a: str, b: str, pick: Callable[[int, int], int]) -> Fraction:
    (x, _, xd), (y, _, yd) = a.partition("."), b.partition(".")
    width, places = max(len(x), len(y)), max(len(xd), len(yd))
    x, y = x.zfill(width) + xd.ljust(places, "0"), y.zfill(width) + yd.ljust(places, "0")
    digits = "".join(str(pick(int(p), int(q))) for p, q in zip(x, y, strict=True))
    return Fraction(int(digits), 10**places)


def rounded(text: str, figures: int) -> str:
    with localcontext() as context:
        context.prec, context.rounding = figures, ROUND_HALF_EVEN
        found = f"{+Decimal(text):.{figures - 1}e}"
    if Decimal(text) == 0:  # Decimal keeps an exponent for its zeros
        return f"0.{'0' * (figures - 1)}e0"
    mantissa, _, power = found.partition("e")
    return f"{mantissa}e{int(power)}"


SOLVERS: dict[str, Callable[[str, str], object]] = {
    "add": lambda a, b: value(a) + value(b),
    "sub": lambda a, b: value(a) - value(b),
    "multiply": lambda a, b: value(a) * value(b),
    "truediv": lambda a, b: value(a) / value(b),
    "floordiv": lambda a, b: int(a) // int(b),
    "mod": lambda a, b: int(a) % int(b),
    "max": lambda a, b: max(value(a), value(b)),
    "min": lambda a, b: min(value(a), value(b)),
    "digit-max": lambda a, b: digit_by_digit(a, b, max),
    "digit-min": lambda a, b: digit_by_digit(a, b, min),
    "digit-add": lambda a, b: digit_by_digit(a, b, lambda x, y: (x + y) % 10),
    "get-digit": lambda a, b: int(spelt_digits(a)[int(b)]),
    "length": lambda a, b: len(spelt_digits(a)),
    "count": lambda a, b: a.count(b),
    "to-float": lambda a, b: value(a),
    "to-scientific": lambda a, b: value(a),
    "significant": lambda a, b: rounded(a, int(b)),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_right_and_written_right(name: str) -> None:
    task = cookbook_task(name)
    solve = SOLVERS[task.title.removesuffix("-easy").removesuffix("-hard")]
    for length in (1, 2, 5, 12, task.ranges["XL"][1]):
        problems = task.sample(15, length, seed=3)
        assert len(problems) > 0
        assert problems["question"].is_unique
        for row in problems.itertuples():
            expected = solve(row.a, row.b)
            if isinstance(expected, str):
                assert row.answer == expected
                continue
            assert value(row.answer) == expected
            assert re.fullmatch(task.answer.pattern, row.answer)
            assert task.answer.write(task.answer.read(row.answer)) == row.answer
            assert row.question.endswith(
                f"{row.a} {task.between} {row.b} =" if row.b else f"{row.a} ="
            )


def test_41_tasks_and_12_variants() -> None:
    assert len(cookbook_tasks()) == 41
    assert len(cookbook_tasks(variants=True)) == 53
    kinds = pd.Series([task.kind.name for task in cookbook_tasks()]).value_counts()
    assert kinds.to_dict() == {"integer": 16, "float": 12, "fraction": 7, "scientific": 6}


@pytest.mark.parametrize("kind", REPRESENTATIONS.values(), ids=str)
@pytest.mark.parametrize("length", [1, 2, 7, 20, 100])
def test_drawn_numbers_have_their_length_and_come_back(kind: object, length: int) -> None:
    rng = np.random.default_rng(length)
    for _ in range(10):
        number = kind.draw(length, rng)  # type: ignore[attr-defined]
        text = kind.write(number)  # type: ignore[attr-defined]
        assert kind.read(text) == number  # type: ignore[attr-defined]
        assert kind.length(number) == length  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        (INTEGER, Fraction(0), "0"),
        (FLOAT, Fraction(0), "0.0"),
        (FLOAT, Fraction(1, 8), "0.125"),
        (FLOAT, Fraction(1230, 10), "123.0"),
        (FRACTION, Fraction(6, 4), "3/2"),
        (FRACTION, Fraction(5), "5/1"),
        (SCIENTIFIC, Fraction(0), "0.0e0"),
        (SCIENTIFIC, Fraction(100), "1.0e2"),
        (SCIENTIFIC, Fraction(12345, 10), "1.2345e3"),
    ],
    ids=str,
)
def test_written_by_hand(kind: object, number: Fraction, text: str) -> None:
    assert kind.write(number) == text  # type: ignore[attr-defined]
    assert kind.read(text) == number  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("number", "figures", "text"),
    [
        (Fraction(996, 100), 2, "1.0e1"),
        (Fraction(125), 2, "1.2e2"),
        (Fraction(135), 2, "1.4e2"),
        (Fraction(1251, 10), 2, "1.3e2"),
        (Fraction(12004, 10), 3, "1.20e3"),
        (Fraction(5), 2, "5.0e0"),
        (Fraction(0), 2, "0.0e0"),
    ],
    ids=str,
)
def test_significant_figures_by_hand(number: Fraction, figures: int, text: str) -> None:
    assert SCIENTIFIC.significant(number, figures) == text


def test_how_operands_are_drawn() -> None:
    easy = cookbook_task("multiply-easy:integer").sample(60, 12, seed=1)
    assert (easy["b"].str.len() <= 3).all()
    mod = cookbook_task("mod:integer").sample(60, 10, seed=1)
    assert (mod["b"].str.len() <= 8).all()
    below = cookbook_task("max:fraction").sample(60, 6, seed=1)
    assert all(value(a) <= 1 and value(b) <= 1 for a, b in zip(below["a"], below["b"], strict=True))
    sums = cookbook_task("add:scientific").sample(60, 6, seed=1)
    powers = sums[["a", "b"]].map(lambda text: int(text.partition("e")[2]))
    assert ((powers["a"] - powers["b"]).abs() <= 5).all()
    hard = cookbook_task("max-hard:integer").sample(200, 12, seed=1)
    same = [len(a) == len(b) for a, b in zip(hard["a"], hard["b"], strict=True)]
    assert all(same)
    alike = [a[0] == b[0] for a, b in zip(hard["a"], hard["b"], strict=True)]
    assert np.mean(alike) > 0.8
    short = cookbook_task("add:integer").sample(200, 10, seed=1)
    lengths = short[["a", "b"]].map(len)
    assert (lengths.max(axis=1) == 10).all()
    assert (lengths.min(axis=1) >= 5).all()
    assert (lengths["a"] < 10).any()
    assert (lengths["b"] < 10).any()


def test_the_same_seed_draws_the_same_and_lengths_differ() -> None:
    task = cookbook_task("add:float")
    assert task.sample(5, 4, seed=1).equals(task.sample(5, 4, seed=1))
    assert not task.sample(5, 4, seed=1).equals(task.sample(5, 4, seed=2))


def test_few_short_problems() -> None:
    problems = cookbook_task("length:integer").sample(50, 1, seed=0)
    assert len(problems) == 10
    assert set(problems["answer"]) == {"1"}


@pytest.mark.parametrize(
    ("text", "kind", "read"),
    [
        ("1287", INTEGER, "1287"),
        (" 1287.\nNext", INTEGER, "1287"),
        ("-12", INTEGER, ""),
        ("The answer is 12", INTEGER, ""),
        ("10.40 apples", FLOAT, "10.40"),
        ("10", FLOAT, ""),
        ("7/13", FRACTION, "7/13"),
        ("1.23E+04", SCIENTIFIC, "1.23e04"),
        ("1.23e-4", SCIENTIFIC, "1.23e4"),
    ],
)
def test_reading(text: str, kind: object, read: str) -> None:
    assert read_cookbook_answer(text, kind) == read  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("predicted", "true", "kind", "exact", "match", "length"),
    [
        ("123", "123", INTEGER, True, 1.0, 0),
        ("9123", "123", INTEGER, False, 1.0, 1),
        ("23", "123", INTEGER, False, 2 / 3, 1),
        ("1230", "123", INTEGER, False, 0.0, 1),
        ("12.34", "2.345", FLOAT, False, 3 / 4, 0),
        ("2.45", "2.345", FLOAT, False, 1 / 4, 1),
        ("12/5", "2/5", FRACTION, False, 1.0, 1),
        ("1.23e4", "1.23e14", SCIENTIFIC, False, 4 / 5, 1),
        ("", "1.5", FLOAT, False, 0.0, 2),
    ],
)
def test_scores_by_hand(
    predicted: str, true: str, kind: object, exact: bool, match: float, length: int
) -> None:
    found = string_score(predicted, true, kind)  # type: ignore[arg-type]
    assert found.exact_match == exact
    assert found.digit_match == pytest.approx(match)
    assert found.length_difference == length


@given(st.integers(0, 10**8), st.integers(0, 10**8))
@settings(deadline=None, max_examples=50)
def test_integer_scores_against_the_definition(p: int, g: int) -> None:
    found = string_score(str(p), str(g), INTEGER)
    hits = sum(x == y for x, y in zip(str(p)[::-1], str(g)[::-1], strict=False))
    assert found == (p == g, hits / len(str(g)), abs(len(str(p)) - len(str(g))))


def scored(good: dict[int, float]) -> pd.DataFrame:
    """add:integer, 20 problems a length, of which the given share is answered right."""
    parts = []
    for length, share in good.items():
        problems = cookbook_task("add:integer").sample(20, length, seed=0)
        texts = [a if i < share * 20 else "x" for i, a in enumerate(problems["answer"])]
        parts.append(score_cookbook(problems, texts))
    return pd.concat(parts, ignore_index=True)


def test_by_length_and_learned_lengths() -> None:
    scores = scored({2: 1.0, 4: 0.9, 6: 0.5, 10: 0.1, 16: 0.0})
    lengths = by_length(scores).set_index("length")
    assert lengths["exact_match"].tolist() == [1.0, 0.9, 0.5, 0.1, 0.0]
    assert (lengths["n"] == 20).all()
    assert (lengths["n_distinct"] == 20).all()
    assert lengths.loc[6, "low"] < 0.5 < lengths.loc[6, "high"]
    assert lengths.loc[6, "parsed"] == 0.5
    learned = learned_lengths(scores).set_index("score")
    assert learned["well_learned"].to_dict() == {
        "exact_match": 4,
        "digit_match": 4,
        "length_difference": 2,
    }
    assert learned["performance_preserving"].to_dict() == {
        "exact_match": 10,
        "digit_match": 6,
        "length_difference": 4,
    }
    ranges = learned.loc["exact_match", ["S", "M", "L", "XL"]].tolist()
    assert ranges == pytest.approx([0.95, 0.5, 0.1, 0.0])


def test_nothing_learned() -> None:
    learned = learned_lengths(scored({3: 0.0})).set_index("score")
    assert (learned[["well_learned"]] == 0).all(axis=None)
    assert np.isnan(learned.loc["exact_match", "XL"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cookbook_task("add:roman"), "no task 'add:roman' in the Number Cookbook"),
        (lambda: cookbook_task("mod:float"), "no task 'mod:float'"),
        (lambda: cookbook_task("add:integer").sample(3, 21), "has lengths 1 to 20, not 21"),
        (lambda: cookbook_task("max:integer").sample(3, 101), "has lengths 1 to 100, not 101"),
        (lambda: cookbook_task("add:integer").sample(0, 3), "n must be at least 1, not 0"),
        (
            lambda: score_cookbook(cookbook_task("add:integer").sample(3, 3), ["1"]),
            "3 problems need as many answers, not 1",
        ),
        (lambda: FLOAT.read("12"), "'12' is not written as float, such as '12300.0'"),
        (lambda: FRACTION.read("1/0"), "1/0 divides by zero"),
        (lambda: INTEGER.write(Fraction(1, 2)), "1/2 is not a whole number"),
        (lambda: FLOAT.write(Fraction(1, 3)), "1/3 has no finite decimals"),
        (lambda: SCIENTIFIC.write(Fraction(1, 2)), "its exponent would be negative"),
    ],
)
def test_bad_input(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_the_best_rule_without_arithmetic_by_hand() -> None:
    def share(questions: list[str], answers: list[str]) -> float:
        return naive_share(pd.DataFrame({"question": questions, "answer": answers}))

    # The second number three times of four, the first once; no answer occurs twice.
    asked = [f"Answer such as 7/13. Give the larger: {a} and {b} =" for a, b in
             [("1/2", "2/3"), ("3.5", "4.25"), ("1.2e3", "3.4e5"), ("9", "8")]]  # fmt: skip
    assert share(asked, ["2/3", "4.25", "3.4e5", "9"]) == 0.75
    assert share(asked, ["5", "5", "6", "9"]) == 0.5  # the same answer twice
    assert share(["Count: 12 and the digit 1 ="], ["7"]) == 1.0

"""The result file that comes with the project, its accuracy table, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.arithmetic.published_answers import (
    PublishedAnswers,
    read_published,
    read_response,
    separators_in,
)
from interp.behaviour import explain_published, published_errors
from interp.errors import InputError, StorageError

FILE = Path(__file__).parents[2] / "fixtures" / "data" / "tokenization_counts_io.csv"

# Share of answers whose digits, separators dropped, are the sum: 90 problems a cell, 1 2 4 8 shots.
ACCURACY = {
    ("comma_r2l", "nosep"): (0.911, 0.956, 0.656, 0.578),
    ("comma_r2l", "space_r2l"): (0.900, 0.978, 0.978, 0.989),
    ("nosep", "comma_r2l"): (0.511, 0.556, 0.567, 0.589),
}


@pytest.fixture(scope="module")
def published() -> PublishedAnswers:
    return read_published(FILE)


def test_the_accuracy_table(published: PublishedAnswers) -> None:
    table = published.accuracy()
    assert published.n == 1080
    assert (table["n"] == 90).all()
    assert (table["n_distinct"] == 90).all()
    for (problem, answer), shares in ACCURACY.items():
        rows = table[
            (table["problem_number_format"] == problem) & (table["answer_number_format"] == answer)
        ]
        assert rows["num_shots"].tolist() == [1, 2, 4, 8]
        assert tuple(rows["accuracy"].round(3)) == shares
        assert ((rows["low"] < rows["accuracy"]) & (rows["accuracy"] < rows["high"])).all()


def test_with_and_without_a_longer_answer(published: PublishedAnswers) -> None:
    assert published.longer_answer.sum() == 12 * 21
    table = published.accuracy(("answer_number_format", "longer_answer"))
    cell = table.set_index(["answer_number_format", "longer_answer"])["accuracy"]
    for answer in ("nosep", "comma_r2l", "space_r2l"):
        assert cell[answer, True] < cell[answer, False]


def test_every_error_has_the_right_last_digit(published: PublishedAnswers) -> None:
    table = published.errors()
    assert len(table) == 251 - 14
    assert table["multiple_of_ten"].all()
    assert not table["length"].any()
    kinds = published.kinds(shuffles=50).set_index(["problems", "kind"])
    every = kinds.loc["all"]
    assert every.loc["multiple_of_ten", "share"] == 1.0
    assert every.loc["multiple_of_ten", "chance"] < 0.25
    assert every.loc["length", "share"] == 0
    assert every.loc["power_of_ten", "low"] > every.loc["power_of_ten", "chance_high"]
    parts = kinds.xs("other", level="kind")["n"]
    assert parts["all"] == parts["longer answer"] + parts["as long as an operand"]


def test_errors_off_by_a_power_of_ten_sit_at_the_end_of_a_token(
    published: PublishedAnswers,
) -> None:
    spaces = published.where(answer_number_format="space_r2l").errors()
    assert (spaces["place"] == 3).all()
    assert spaces["power_of_ten"].all()


def test_wrong_digits(published: PublishedAnswers) -> None:
    table = published.wrong_digits()
    errors = published.errors()
    total = sum(errors[f"wrong[{k}]"].sum() for k in range(10))
    assert table["wrong"].sum() == total
    assert (table.loc[table["digit"] == 0, "wrong"] == 0).all()
    row = table[(table["right_digits"] == 10) & (table["digit"] == 6)].iloc[0]
    assert row["longer_answer"]
    assert row["from_left"] == 4
    assert row["share"] == pytest.approx(row["wrong"] / row["n"])


def test_rows_can_be_chosen(published: PublishedAnswers) -> None:
    part = published.where(answer_number_format="nosep", num_shots=4)
    assert part.n == 90
    assert part.right.mean() == pytest.approx(0.656, abs=5e-4)
    with pytest.raises(InputError, match="no column 'shot'"):
        published.where(shot=4)
    with pytest.raises(InputError, match="no answer of the file fulfils"):
        published.where(num_shots=3)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8,363,772", 8363772),
        ("1 094 014 650", 1094014650),
        ("973815263", 973815263),
        (" 12.345#678$9 ", 123456789),
        ("The sum is 1,234.", 1234),
        ("12+30=42", 42),
        ("The sum of 1 and 2 is 3.", None),
        ("I do not know", None),
        ("", None),
    ],
)
def test_responses(text: str, number: int | None) -> None:
    assert read_response(text) == number


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*missing\.csv"):
        read_published(tmp_path / "missing.csv")
    frame = pd.read_csv(FILE, index_col=0)
    other = tmp_path / "other.csv"
    frame.drop(columns=["response", "num_shots"]).to_csv(other)
    with pytest.raises(InputError, match="lacks response, num_shots"):
        read_published(other)
    frame.assign(num1=0.5).to_csv(other)
    with pytest.raises(InputError, match=r"num1 and num2 .* must be whole numbers"):
        read_published(other)


def test_a_file_without_errors(tmp_path: Path, published: PublishedAnswers) -> None:
    rows = np.flatnonzero(published.right)
    with pytest.raises(InputError, match="no readable answer of these is wrong"):
        published[rows].errors()
    with pytest.raises(InputError, match="no readable answer of these is wrong"):
        published[rows].kinds()


def rows(tmp_path: Path, separator: str, answers: list[str] | None = None, **columns: str) -> Path:
    """A result file of 40 sums in groups of three with a separator, all answered rightly or as
    given."""
    rng = np.random.default_rng(0)
    pairs = rng.integers(10**6, 10**9, size=(40, 2)).tolist()

    def written(number: int) -> str:
        return f"{number:,}".replace(",", separator)

    frame = pd.DataFrame(
        {
            "num1": [a for a, _ in pairs],
            "num2": [b for _, b in pairs],
            "problem_msg": [f"{written(a)}+{written(b)}=" for a, b in pairs],
            "response": answers or [written(a + b) for a, b in pairs],
            "model": "a model",
            "problem_number_format": "foo_r2l",
            "answer_number_format": "foo_r2l",
            "num_shots": 1,
            "shots": "1+1=2",
        }
    ).assign(**columns)
    path = tmp_path / "rows.csv"
    frame.to_csv(path)
    return path


@pytest.mark.parametrize("separator", ["oof", "foo", "(", "--", "=", "a.b"])
def test_the_separator_is_learnt_from_the_prompt(tmp_path: Path, separator: str) -> None:
    published = read_published(rows(tmp_path, separator))
    assert published.right.all()
    assert not published.unreadable.any()
    assert published.never_read == ()
    assert separators_in(f"2{separator}307+6{separator}058=", 2307, 6058)[0] == separator


NOT_DIGITS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Nd", "Cs")).filter(lambda c: c != "="),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(
    NOT_DIGITS, st.integers(1000, 10**12), st.integers(1000, 10**12), st.integers(0, 3), st.data()
)
def test_any_separator_is_read(
    separator: str, a: int, b: int, image: int, data: st.DataObject
) -> None:
    """As the prompt writes it, reversed, with its brackets turned, or both; or with commas."""
    turned = separator.translate(str.maketrans("()[]{}<>", ")(][}{><"))
    answered = (separator, separator[::-1], turned, turned[::-1])[image]
    groups = f"{a + b:,}".split(",")
    text = groups[0] + "".join(
        data.draw(st.sampled_from([answered, ","])) + group for group in groups[1:]
    )
    prompt = f"{a:,}+{b:,}=".replace(",", separator)
    for numbers in ((a, b), (b, a)):
        assert read_response(text, separators_in(prompt, *numbers)) == a + b
    assert read_response(f"{text} and {text}", separators_in(prompt, a, b)) is None


def test_a_format_that_is_never_read_is_no_zero(tmp_path: Path) -> None:
    whole = pd.read_csv(rows(tmp_path, "oof"), index_col=0)
    lost = whole.drop(columns="problem_msg").iloc[:20]
    plain = whole.iloc[20:].assign(
        answer_number_format="nosep",
        response=[str(a + b + (i < 8)) for i, (a, b) in
                  enumerate(zip(whole["num1"][20:], whole["num2"][20:], strict=True))],
    )  # fmt: skip
    plain.loc[plain.index[-2:], "response"] = "12 or 13"
    path = tmp_path / "mixed.csv"
    pd.concat([lost, plain.drop(columns="problem_msg")]).to_csv(path)
    published = read_published(path)
    table = published.accuracy().set_index("answer_number_format")
    assert table["unreadable"].to_dict() == {"foo_r2l": 20, "nosep": 2}
    assert table.loc["foo_r2l", ["accuracy", "low", "high"]].isna().all()
    assert table.loc["nosep", "accuracy"] == pytest.approx(10 / 20)
    assert published.never_read == ("foo_r2l → foo_r2l",)
    for analysis in (published_errors, explain_published):
        found = analysis(path, shuffles=20)
        assert found.metrics["unreadable"] == pytest.approx(22 / 40)
        assert found.metrics["never_read"] == 1
        assert "No answer could be read in foo_r2l → foo_r2l" in str(found.conclusion())


def test_two_numbers_are_not_joined() -> None:
    """A separator of one prompt is none in another, and words between two numbers are none."""
    assert separators_in("12+34=", 12, 34) == ()
    assert separators_in("112+34=", 12, 34) == ()
    assert separators_in("", 12, 34) == ()
    assert read_response("8oof365", separators_in("1,200+34=", 1200, 34)) is None

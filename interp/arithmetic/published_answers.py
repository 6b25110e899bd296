"""Answers of commercial models to long sums, as published with "Tokenization counts" (2402.14903).

Reads the result files of aadityasingh/TokenizationCounts: one row a question, with the two numbers,
the model's response and how problem and answer were to be written. One of them comes with this
project (`fixtures/data/tokenization_counts_io.csv`); the others have the same columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.error_places import Cut
from interp.arithmetic.error_taxonomy import labels, share_of_kinds
from interp.arithmetic.problems import Problems
from interp.arithmetic.proportions import share_of
from interp.arithmetic.tasks import Addition
from interp.errors import InputError, StorageError

COLUMNS = (
    *("num1", "num2", "response", "model", "problem_number_format", "answer_number_format"),
    *("num_shots", "shots"),
)
CONDITIONS = ("model", "problem_number_format", "answer_number_format", "num_shots")
SEPARATORS = (",", " ", ".", "#", "$")
_MIRRORED = str.maketrans("()[]{}<>", ")(][}{><")


@dataclass(frozen=True)
class PublishedAnswers:
    """A result file: `frame` as read, its `problems`, the answers as numbers.

    None is an unreadable answer, which is not the same as a wrong one.
    """

    frame: pd.DataFrame
    problems: Problems
    answers: NDArray[np.object_]

    @property
    def n(self) -> int:
        return len(self.frame)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Rows whose number, separators dropped, is the sum."""
        return np.asarray(self.answers == self.problems.answers(), dtype=bool)

    @cached_property
    def unreadable(self) -> NDArray[np.bool_]:
        """Rows without a single readable number in the response: the answer is unknown."""
        return ~_readable(self.answers)

    @cached_property
    def never_read(self) -> tuple[str, ...]:
        """Pairs of problem and answer format without any readable response,
        "foo_r2l → foo_r2l": a gap in the parser, or answers of another kind."""
        names = ["problem_number_format", "answer_number_format"]
        cells = self.frame.assign(unreadable=self.unreadable).groupby(names, dropna=False)
        none = cells["unreadable"].all()
        return tuple(f"{problem} → {answer}" for problem, answer in none.index[none])

    @property
    def cut_from_right(self) -> NDArray[np.bool_]:
        """Rows whose answer was to have separators from the right, and so tokens from the right."""
        formats = self.frame["answer_number_format"].astype(str)
        return formats.str.endswith("_r2l").to_numpy(dtype=bool)

    @property
    def longer_answer(self) -> NDArray[np.bool_]:
        """Rows whose sum has more digits than both numbers: the paper's length mismatch."""
        sums = self.problems.answers().astype(str)
        return np.char.str_len(sums.astype(np.str_)) > self.problems.lengths.max(axis=1)

    def where(self, **conditions: object) -> PublishedAnswers:
        """The rows with these values in these columns, such as answer_number_format="nosep".

        Raises InputError for an unknown column, and where no row is left.
        """
        kept = np.ones(self.n, dtype=bool)
        for column, value in conditions.items():
            if column not in self.frame:
                raise InputError(f"there is no column {column!r}: {', '.join(self.frame)}.")
            kept &= (self.frame[column] == value).to_numpy()
        return self[kept]

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> PublishedAnswers:
        index = np.arange(self.n)[rows]
        if not len(index):
            raise InputError("no answer of the file fulfils these conditions.")
        return PublishedAnswers(
            self.frame.iloc[index].reset_index(drop=True), self.problems[index], self.answers[index]
        )

    def accuracy(self, by: tuple[str, ...] = CONDITIONS) -> pd.DataFrame:
        """Share of right answers in each cell of the columns `by` (also "longer_answer").

        `n`, `n_distinct`, `accuracy` (right of all n) with `low` and `high`, and beside them how
        many of the n are `unreadable`. Where all of them are, accuracy is not known: NaN.
        """
        table = self.frame.assign(
            longer_answer=self.longer_answer, right=self.right, unreadable=self.unreadable
        )
        rows = []
        for values, cell in table.groupby(list(by), sort=True, dropna=False):
            share = share_of(int(cell["right"].sum()), len(cell))
            named = dict(zip(by, values, strict=True))
            distinct = len(cell[["num1", "num2"]].drop_duplicates())
            unreadable = int(cell["unreadable"].sum())
            scores = {"accuracy": share.share, "low": share.low, "high": share.high}
            if unreadable == len(cell):
                scores = dict.fromkeys(scores, np.nan)
            rows.append({**named, "n": share.n, "n_distinct": distinct, **scores,
                         "unreadable": unreadable})  # fmt: skip
        return pd.DataFrame(rows)

    def errors(self) -> pd.DataFrame:
        """`error_taxonomy.labels` of every wrong answer, with the columns of the file beside them.

        Tokens are taken to be cut from the right in the rows `cut_from_right`, else from the left.
        """
        parts = []
        from_right = self.cut_from_right
        ends: dict[Cut, NDArray[np.bool_]] = {"left": ~from_right, "right": from_right}
        for tokens, chosen in ends.items():
            rows = np.flatnonzero(chosen & _readable(self.answers) & ~self.right)
            if len(rows):
                part = labels(self.problems[rows], self.answers[rows], tokens=tokens)
                parts.append(part.set_index(pd.Index(rows, name="row")))
        if not parts:
            raise InputError("no readable answer of these is wrong.")
        table = pd.concat(parts).sort_index()
        return table.join(self.frame[list(CONDITIONS)])

    def kinds(self, *, seed: int = 0, shuffles: int = 200) -> pd.DataFrame:
        """`share_of_kinds`, for all rows and for those with and without a longer answer."""
        tables = []
        for name, chosen in (
            ("all", np.ones(self.n, dtype=bool)),
            ("longer answer", self.longer_answer),
            ("as long as an operand", ~self.longer_answer),
        ):
            if (chosen & _readable(self.answers) & ~self.right).any():
                table = share_of_kinds(
                    self.problems[chosen], self.answers[chosen], seed=seed, shuffles=shuffles
                )
                tables.append(table.assign(problems=name))
        if not tables:
            raise InputError("no readable answer of these is wrong.")
        return pd.concat(tables, ignore_index=True)

    def wrong_digits(self) -> pd.DataFrame:
        """How often each column is wrong, over all readable answers, by longer answer or not.

        digit k counts from the right, from_left from 1 on the left of the right answer.
        """
        table = self.errors()
        readable = _readable(self.answers)
        length = np.array([len(str(v)) for v in self.problems.answers()])
        rows = []
        for longer in (False, True):
            chosen = readable & (self.longer_answer == longer)
            wrong = table[table["longer_answer"] == longer]
            for digits in np.unique(length[chosen]):
                n = int((chosen & (length == digits)).sum())
                cell = wrong[wrong["right_digits"] == digits]
                for k in range(int(digits)):
                    share = share_of(int(cell[f"wrong[{k}]"].sum()), n)
                    rows.append(
                        {"longer_answer": longer, "right_digits": int(digits), "digit": k,
                         "from_left": int(digits) - k, "n": n, "wrong": share.hits,
                         "share": share.share, "low": share.low, "high": share.high}
                    )  # fmt: skip
        return pd.DataFrame(rows)


def read_published(path: str | Path) -> PublishedAnswers:
    """Read a result file.

    Raises StorageError where it cannot be read, InputError where columns are missing or numbers are
    not what they must be.
    """
    try:
        frame = pd.read_csv(path, index_col=0, dtype={"response": str, "shots": str})
    except UnicodeDecodeError as error:
        raise StorageError(
            f"{str(path)!r} is not written in UTF-8: read it with its own encoding and write it "
            f"again, such as pandas.read_csv(path, encoding='utf-16').to_csv(path)."
        ) from error
    except (OSError, TypeError, ValueError) as error:
        raise StorageError(
            f"cannot read {str(path)!r} as a table: {error}. Give the path of a CSV file."
        ) from error
    if missing := [name for name in COLUMNS if name not in frame]:
        raise InputError(
            f"{str(path)!r} is no result file of Tokenization counts: it lacks "
            f"{', '.join(missing)}. Give a CSV file with these columns"
            + (
                ": pandas.read_json(path, lines=True).to_csv(path) writes one from JSON lines."
                if str(path).endswith((".jsonl", ".json"))
                else f"; this one has {', '.join(map(str, frame.columns[:8])) or 'none'}."
            )
        )
    numbers = frame[["num1", "num2"]]
    if not all(kind.kind == "i" for kind in numbers.dtypes) or (numbers < 0).any(axis=None):
        raise InputError(f"num1 and num2 of {str(path)!r} must be whole numbers from 0 on.")
    frame = frame.reset_index(drop=True)
    task = Addition(len(str(int(numbers.to_numpy().max()))))
    problems = task.problems(frame["num1"].tolist(), frame["num2"].tolist())
    answers = np.empty(len(frame), dtype=object)
    answers[:] = _read(frame)
    return PublishedAnswers(frame, problems, answers)


def _read(frame: pd.DataFrame) -> list[int | None]:
    """The number in each response, with the separators of its own problem where that is given."""
    texts = frame["response"].fillna("")
    if "problem_msg" not in frame:
        return [read_response(text) for text in texts]
    prompts = frame["problem_msg"].fillna("").astype(str)
    asked = zip(prompts, frame["num1"], frame["num2"], texts, strict=True)
    return [
        read_response(text, separators_in(prompt, int(a), int(b))) for prompt, a, b, text in asked
    ]


def separators_in(prompt: str, num1: int, num2: int) -> tuple[str, ...]:
    """Separators between the digits of the two numbers in a prompt, with their mirror images:
    reversed, brackets turned, and both. () where the prompt does not hold the two numbers.

    >>> separators_in("2oof307+6oof058=", 2307, 6058)
    ('oof', 'foo')
    """
    for first, second in ((num1, num2), (num2, num1)):
        one, two = (r"(\D*)".join(str(number)) for number in (first, second))
        pattern = rf"(?<!\d){one}\D+{two}(?!\d)"
        if found := re.search(pattern, prompt, re.ASCII | re.DOTALL):
            written = [piece for piece in found.groups() if piece]
            return tuple(dict.fromkeys(image for piece in written for image in _images(piece)))
    return ()


def _images(separator: str) -> tuple[str, ...]:
    turned = separator.translate(_MIRRORED)
    return separator, separator[::-1], turned, turned[::-1]


def read_response(text: str, separators: Sequence[str] = ()) -> int | None:
    """The one number in a response, separators dropped; None where it holds none or several.

    `separators` may stand between digits beside the usual ones. A repeated problem counts up to its
    last "=" only: the answer stands behind it.

    >>> read_response("8,363,772"), read_response("The sum of 1 and 2 is 3.")
    (8363772, None)
    >>> read_response("8oof365oof772"), read_response("8oof365oof772", ["oof"])
    (None, 8365772)
    """
    answer = text if any("=" in one for one in separators) else text.rpartition("=")[2]
    found = _number(tuple(separators)).findall(answer)
    return int(re.sub(r"\D", "", found[0], flags=re.ASCII)) if len(found) == 1 else None


@lru_cache(maxsize=256)
def _number(separators: tuple[str, ...]) -> re.Pattern[str]:
    """Digits with separators between them. The longest separator first, and never given back: the
    time stays linear in the text."""
    every = sorted({*SEPARATORS, *separators}, key=len, reverse=True)
    between = "|".join(map(re.escape, every))
    return re.compile(rf"\d(?:(?>(?:{between})*)\d)*", re.ASCII)


def _readable(answers: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.array([answer is not None for answer in answers])

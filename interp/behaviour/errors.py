"""Error taxonomy of a model's answers, or of a published result file: kinds and positions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.digits import significant_digits
from interp.arithmetic.error_positions import share_of_digits, share_of_places
from interp.arithmetic.error_taxonomy import KINDS, labels, share_of_kinds
from interp.arithmetic.problems import Problems
from interp.arithmetic.wrong_answers import wrong_answers
from interp.behaviour.answers_given import GivenAnswers, check_shuffles, of_file, of_model
from interp.behaviour.results.errors import GROUPS, ErrorTaxonomy
from interp.engine.answers import problem_texts
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.models.asking import Asked
from interp.models.model import Model

Answers = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]


@shows_progress
def error_taxonomy(
    model: Model,
    asked: Asked,
    *,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    strict: bool = True,
    shuffles: int = 200,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> ErrorTaxonomy:
    """The kinds and positions of errors in a model's answers.

    Args:
        asked, n, seed, format, held_out, strict: as in `accuracy`.
        memory, cancel, progress: as in `engine.generate`.
        shuffles: number of shuffles of the answers among problems for the control.

    Returns:
        Shares by kind, by digit and by position within a token, over all problems and over those
        with and without an answer longer than every operand.

    Does not show: why the model errs.

    Raises:
        InputError: if no readable answer is wrong (ask harder problems), or the sample is empty.
        FormatError: if `strict` and most answers are unreadable.
    """
    check_shuffles(shuffles)
    given = of_model(
        model, asked, n=n, seed=seed, format=format, held_out=held_out, strict=strict,
        resources=Resources(memory, cancel, progress),
    )  # fmt: skip
    return _result(given, seed, shuffles)


def published_errors(
    path: str | Path | None = None,
    *,
    where: Mapping[str, Any] | None = None,
    seed: int = 0,
    shuffles: int = 200,
) -> ErrorTaxonomy:
    """The kinds and positions of errors in a published result file.

    Args:
        path: a result file of "Tokenization counts" (arXiv 2402.14903); None means this project's
            copy.
        where: only the rows with these values, such as {"answer_number_format": "nosep"}.
        shuffles: as in `error_taxonomy`.

    Raises:
        StorageError: if the file cannot be read.
        InputError: for another kind of file, no matching row, or no readable wrong answer.
    """
    check_shuffles(shuffles)
    return _result(of_file(path, where), seed, shuffles)


def longer_answer(problems: Problems) -> Flags:
    """True for problems whose right answer has more digits than every operand, [n]."""
    return np.asarray(significant_digits(problems.answer) > problems.lengths.max(axis=1))


def _result(given: GivenAnswers, seed: int, shuffles: int) -> ErrorTaxonomy:
    tables = _tables(given, seed, shuffles)
    return ErrorTaxonomy(**given.common(seed, shuffles), tokens=given.tokens, **tables)


def _tables(given: GivenAnswers, seed: int, shuffles: int) -> dict[str, pd.DataFrame]:
    """The four tables of an ErrorTaxonomy."""
    problems, answers = given.problems, given.answers
    wrong_answers(problems, answers)  # raises without wrong answers
    longer = longer_answer(problems)
    wrong = given.readable & (answers != problems.answers())
    kinds, digits, places = [], [], []
    for name, members in zip(GROUPS, (np.ones(len(problems), bool), longer, ~longer), strict=True):
        if not (members & wrong).any():
            continue
        mine, said = problems[members], answers[members]
        options: dict[str, Any] = {"seed": seed, "shuffles": shuffles}
        kinds.append(share_of_kinds(mine, said, **options).assign(problems=name))
        digits.append(share_of_digits(mine, said, **options).assign(problems=name))
        cuts = given.from_right[members]
        place = share_of_places(mine, said, from_right=cuts, **options).assign(problems=name)
        places.append(place if given.tokens != "none" else place.head(0))
    return {
        "kinds": _grouped(kinds),
        "digits": _grouped(digits),
        "places": _grouped(places),
        "wrong": _wrong_table(problems, answers),
    }


def _grouped(parts: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True)
    return table[["problems", *(name for name in table if name != "problems")]]


def _wrong_table(problems: Problems, answers: Answers) -> pd.DataFrame:
    found = labels(problems, answers)
    texts = problem_texts(problems)[found.index]
    kinds = [kind for kind in KINDS if kind in found]
    table = pd.DataFrame(
        {
            "problem": texts,
            "answer": found["right"].astype(str).to_numpy(),
            "given": found["answer"].astype(str).to_numpy(),
            "kind": found["kind"].to_numpy(),
        }
    )
    table = pd.concat([table, found[kinds].reset_index(drop=True)], axis=1)
    return table.drop_duplicates(["problem", "given"], ignore_index=True)

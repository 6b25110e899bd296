"""Kinds of errors and where they sit: of a model's answers, or of a published result file."""

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
from interp.arithmetic.published_answers import PublishedAnswers, read_published
from interp.arithmetic.tasks import Task
from interp.arithmetic.wrong_answers import wrong_answers
from interp.behaviour.asking import ask
from interp.behaviour.results.errors import GROUPS, ErrorTaxonomy
from interp.engine.answers import Resources, problem_texts
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.fixtures import fixtures_root
from interp.models.model import Model

Answers = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]


def error_taxonomy(
    model: Model,
    problems: Problems | Task | str,
    *,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    strict: bool = True,
    shuffles: int = 200,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> ErrorTaxonomy:
    """Ask the model, and sort its wrong answers.

    Args:
        problems: the problems; or a task (or its name), of which `n` are drawn with `seed` as in
            `accuracy`.
        format, strict, memory, cancel, progress: as in `accuracy`.
        shuffles: how often the answers are shuffled among problems for the control.

    Returns:
        Shares by kind, by digit and by place within a token, over all problems and over those with
        and without an answer longer than every operand.

    Does not show: why the model errs.

    Raises:
        InputError: where no readable answer is wrong (ask harder problems), or the sample is empty.
        FormatError: where `strict` and most answers cannot be read.
    """
    check_shuffles(shuffles)
    asked = ask(
        model, problems, n=n, seed=seed, format=format, strict=strict,
        resources=Resources(memory, cancel, progress),
    )  # fmt: skip
    tokens = token_cut(model)
    from_right = np.full(len(asked.problems), tokens == "right")
    tables = _tables(asked.problems, asked.answers, from_right, tokens != "none", seed, shuffles)
    return ErrorTaxonomy(
        model=asked.model,
        task=asked.problems.task.name,
        n=len(asked.problems),
        n_distinct=len(asked.problems),
        seed=seed,
        settings={**asked.settings, "shuffles": shuffles},
        source=str(asked.settings["format"]),
        tokens=tokens,
        read=int(readable(asked.answers).sum()),
        **tables,
    )


def published_errors(
    path: str | Path | None = None,
    *,
    where: Mapping[str, Any] | None = None,
    seed: int = 0,
    shuffles: int = 200,
) -> ErrorTaxonomy:
    """The wrong answers of a published result file, sorted the same way.

    Args:
        path: a result file of "Tokenization counts" (arXiv 2402.14903); None means the one that
            comes with this project.
        where: only the rows with these values, such as {"answer_number_format": "nosep"}.
        shuffles: as in `error_taxonomy`.

    Raises:
        StorageError: where the file cannot be read.
        InputError: where it is no such file, no row is left, or no readable answer is wrong.
    """
    check_shuffles(shuffles)
    file = published_file() if path is None else Path(path)
    published = chosen_rows(read_published(file), where)
    cuts = published.cut_from_right
    tables = _tables(published.problems, published.answers, cuts, True, seed, shuffles)
    return ErrorTaxonomy(
        model=None,
        task=published.problems.task.name,
        n=published.n,
        n_distinct=published.problems.n_distinct,
        seed=seed,
        settings={
            "path": None if path is None else str(path),
            "where": dict(where) if where else None,
            "shuffles": shuffles,
        },
        source=file.name,
        tokens="mixed" if len(set(cuts)) > 1 else "right" if cuts[0] else "left",
        read=int(readable(published.answers).sum()),
        never_read=published.never_read,
        **tables,
    )


def published_file() -> Path:
    """The result file that comes with this project: 1,080 answers of GPT-3.5."""
    return fixtures_root() / "data" / "tokenization_counts_io.csv"


def chosen_rows(published: PublishedAnswers, where: Mapping[str, Any] | None) -> PublishedAnswers:
    """The rows that fulfil the conditions; InputError where there is none or no such column."""
    return published.where(**where) if where else published


def token_cut(model: Model) -> str:
    """From which end the model's tokenizer cuts digits into tokens of three: "left" or "right".

    "none" where it does neither, as a tokenizer of single digits.
    """
    ids = model.tokens.tokenizer("12345678", add_special_tokens=False)["input_ids"]
    pieces = tuple(piece.strip() for piece in model.pieces(ids))
    if pieces == ("123", "456", "78"):
        return "left"
    return "right" if pieces == ("12", "345", "678") else "none"


def longer_answer(problems: Problems) -> Flags:
    """Problems whose right answer has more digits than every operand; [n]."""
    return np.asarray(significant_digits(problems.answer) > problems.lengths.max(axis=1))


def check_shuffles(shuffles: int) -> None:
    """Raise InputError where there would be no control."""
    if shuffles < 1:
        raise InputError(f"shuffles={shuffles}: the control needs at least one")


def _tables(
    problems: Problems,
    answers: Answers,
    from_right: Flags,
    cut: bool,
    seed: int,
    shuffles: int,
) -> dict[str, pd.DataFrame]:
    """The four tables of an ErrorTaxonomy."""
    wrong_answers(problems, answers)  # raises where there is nothing to sort
    longer = longer_answer(problems)
    wrong = readable(answers) & (answers != problems.answers())
    kinds, digits, places = [], [], []
    for name, members in zip(GROUPS, (np.ones(len(problems), bool), longer, ~longer), strict=True):
        if not (members & wrong).any():
            continue
        mine, given = problems[members], answers[members]
        options: dict[str, Any] = {"seed": seed, "shuffles": shuffles}
        kinds.append(share_of_kinds(mine, given, **options).assign(problems=name))
        digits.append(share_of_digits(mine, given, **options).assign(problems=name))
        cuts = from_right[members]
        place = share_of_places(mine, given, from_right=cuts, **options).assign(problems=name)
        places.append(place if cut else place.head(0))
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


def readable(answers: Answers) -> Flags:
    """Answers in which a number could be read; [n]."""
    return np.array([answer is not None for answer in answers])

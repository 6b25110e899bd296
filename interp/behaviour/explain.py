"""Which fault simulator predicts the wrong answers: a model's, or those of a published file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic import explain_errors as simulated
from interp.arithmetic.problems import Problems
from interp.arithmetic.published_answers import read_published
from interp.arithmetic.scoring import read_answer
from interp.arithmetic.simulators import Simulator, simulators
from interp.arithmetic.tasks import Task
from interp.arithmetic.wrong_answers import WrongAnswers, wrong_answers
from interp.behaviour.asking import ask
from interp.behaviour.errors import check_shuffles, chosen_rows, published_file, readable
from interp.behaviour.results.explain import ErrorExplanation
from interp.engine.answers import Resources, problem_texts
from interp.engine.requests import Cancel, Progress
from interp.models.model import Model

Answers = npt.NDArray[np.object_]


def explain_errors(
    model: Model,
    problems: Problems | Task | str,
    *,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    strict: bool = True,
    shuffles: int = 1000,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> ErrorExplanation:
    """Ask the model, and compare its wrong answers with those of every simulator of the task.

    Args:
        problems: the problems; or a task (or its name), of which `n` are drawn with `seed` as in
            `accuracy`.
        format, strict, memory, cancel, progress: as in `accuracy`.
        shuffles: how often the wrong answers are shuffled among problems for the control.

    Does not show: that the model computes as the simulator does.

    Raises:
        InputError: where no readable answer is wrong (ask harder problems), or the sample is empty.
        FormatError: where `strict` and most answers cannot be read.
    """
    check_shuffles(shuffles)
    asked = ask(
        model, problems, n=n, seed=seed, format=format, strict=strict,
        resources=Resources(memory, cancel, progress),
    )  # fmt: skip
    return ErrorExplanation(
        model=asked.model,
        task=asked.problems.task.name,
        n=len(asked.problems),
        n_distinct=len(asked.problems),
        seed=seed,
        settings={**asked.settings, "shuffles": shuffles},
        source=str(asked.settings["format"]),
        read=int(readable(asked.answers).sum()),
        **_tables(asked.problems, asked.answers, seed, shuffles),
    )


def explain_published(
    path: str | Path | None = None,
    *,
    where: Mapping[str, Any] | None = None,
    seed: int = 0,
    shuffles: int = 1000,
) -> ErrorExplanation:
    """The same for a published result file; `path` and `where` as in `published_errors`.

    Raises:
        StorageError: where the file cannot be read.
        InputError: where it is no such file, no row is left, or no readable answer is wrong.
    """
    check_shuffles(shuffles)
    file = published_file() if path is None else Path(path)
    published = chosen_rows(read_published(file), where)
    return ErrorExplanation(
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
        read=int(readable(published.answers).sum()),
        never_read=published.never_read,
        **_tables(published.problems, published.answers, seed, shuffles),
    )


def faults_behind(
    problems: Problems, texts: Sequence[str], format: str, *, seed: int = 0
) -> list[str]:
    """The simulators that predict what was written, by commas, for each problem; '' where the
    answer is right, unreadable or predicted by none."""
    answers = np.empty(len(problems), dtype=object)
    answers[:] = [read_answer(text, format, problems.task).value for text in texts]
    faults = [""] * len(problems)
    right = problems.answers()
    if any(a is not None and a != b for a, b in zip(answers, right, strict=True)):
        wrong = wrong_answers(problems, answers)
        found = _predicted_by(wrong, simulators(problems.task), seed)
        for row, fault in zip(wrong.rows.tolist(), found, strict=True):
            faults[row] = fault
    return faults


def _predicted_by(wrong: WrongAnswers, chosen: tuple[Simulator, ...], seed: int) -> list[str]:
    """The simulators that predict each wrong answer, by commas; [n]."""
    hits = simulated.predicted(wrong, chosen, seed=seed)
    names = np.array([one.name for one in chosen])
    return [", ".join(names[column]) for column in hits.T]


def _tables(
    problems: Problems, answers: Answers, seed: int, shuffles: int
) -> dict[str, pd.DataFrame]:
    chosen = simulators(problems.task)
    table = simulated.explain_errors(problems, answers, chosen, seed=seed, shuffles=shuffles)
    does = {one.name: one.does for one in chosen}
    table.insert(1, "does", table["simulator"].map(does))
    wrong = wrong_answers(problems, answers).once()
    listed = pd.DataFrame(
        {
            "problem": problem_texts(wrong.problems),
            "answer": wrong.problems.answers().astype(str),
            "given": wrong.given.astype(str),
            "simulators": _predicted_by(wrong, chosen, seed),
        }
    )
    return {"simulators": table, "wrong": listed}

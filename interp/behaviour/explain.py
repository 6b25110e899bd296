"""Explanation of wrong answers, of a model or a published file, by fault simulators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interp.arithmetic import explain_errors as simulated
from interp.arithmetic.problems import Problems
from interp.arithmetic.simulators import Simulator, simulators
from interp.arithmetic.wrong_answers import WrongAnswers, wrong_answers
from interp.behaviour.answers_given import (
    GivenAnswers,
    check_shuffles,
    numbers_in,
    of_file,
    of_model,
)
from interp.behaviour.results.explain import ErrorExplanation
from interp.engine.answers import problem_texts
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.models.asking import Asked
from interp.models.model import Model


@shows_progress
def explain_errors(
    model: Model,
    asked: Asked,
    *,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    strict: bool = True,
    shuffles: int = 1000,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> ErrorExplanation:
    """The share of a model's wrong answers that each fault simulator of the task predicts.

    Args:
        asked, n, seed, format, held_out, strict: as in `accuracy`.
        memory, cancel, progress: as in `engine.generate`.
        shuffles: number of shuffles of the wrong answers among problems for the control.

    Does not show: that the model computes as the simulator does.

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


def explain_published(
    path: str | Path | None = None,
    *,
    where: Mapping[str, Any] | None = None,
    seed: int = 0,
    shuffles: int = 1000,
) -> ErrorExplanation:
    """`explain_errors` of a published result file; `path` and `where` as in `published_errors`.

    Raises:
        StorageError: if the file cannot be read.
        InputError: for another kind of file, no matching row, or no readable wrong answer.
    """
    check_shuffles(shuffles)
    return _result(of_file(path, where), seed, shuffles)


def faults_behind(
    problems: Problems, texts: Sequence[str], format: str, *, seed: int = 0
) -> list[str]:
    """Comma-separated names of the simulators that predict each answer; '' if it is right,
    unreadable or predicted by none."""
    answers = numbers_in(list(texts), format, problems)
    faults = [""] * len(problems)
    right = problems.answers()
    if any(a is not None and a != b for a, b in zip(answers, right, strict=True)):
        wrong = wrong_answers(problems, answers)
        found = _predicted_by(wrong, simulators(problems.task), seed)
        for row, fault in zip(wrong.rows.tolist(), found, strict=True):
            faults[row] = fault
    return faults


def _predicted_by(wrong: WrongAnswers, chosen: tuple[Simulator, ...], seed: int) -> list[str]:
    """Comma-separated names of the simulators that predict each wrong answer, [n]."""
    hits = simulated.predicted(wrong, chosen, seed=seed)
    names = np.array([one.name for one in chosen])
    return [", ".join(names[column]) for column in hits.T]


def _result(given: GivenAnswers, seed: int, shuffles: int) -> ErrorExplanation:
    problems, answers = given.problems, given.answers
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
    return ErrorExplanation(**given.common(seed, shuffles), simulators=table, wrong=listed)

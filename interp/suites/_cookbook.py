"""The Number Cookbook benchmark of a language model, by digit length."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.engine.texts import continued, fitting, room_for
from interp.errors import InputError
from interp.models.model import Model
from interp.models.text_prompts import TextPrompts
from interp.suites.number_cookbook.scores import (
    PRESERVING,
    WELL_LEARNED,
    by_length,
    learned_lengths,
    length_interval,
    match_interval,
    score_cookbook,
)
from interp.suites.number_cookbook.tasks import cookbook_task, cookbook_tasks
from interp.suites.results.cookbook import CookbookScores


@shows_progress
def cookbook(
    model: Model,
    tasks: Sequence[str] | None = None,
    *,
    lengths: Sequence[int] = (1, 2, 3, 4),
    n: int = 40,
    shots: int = 2,
    seed: int = 0,
    seconds: float | None = None,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> CookbookScores:
    """The scores on up to `n` different problems of each task and length, shortest lengths first.

    Args:
        tasks: names such as "add:fraction"; None means all 41.
        lengths: digit lengths, within the benchmark's (1 to 20, for its easier tasks to 100).
        n: problems of each task and length; fewer if fewer exist. Fewer than 35 leave the interval
            of an all-right length wider than the threshold, so that none is surely well learned.
        shots: solved examples of the same task and length before the question, never the problem
            itself. The benchmark has none; a model without instruction tuning needs some to learn
            the form of an answer.
        seconds: time limit after which no further task and length begins; None means no limit. The
            finished ones are scored, and the rest counted.
        memory, cancel, progress: as in `engine.generate`; progress counts tasks × lengths.

    Raises:
        InputError: for an unknown task, a length outside the benchmark's, an invalid sample or
            number of shots, prompts too long for the context, or a model that cannot read these
            questions.
    """
    names = [task.name for task in cookbook_tasks()] if tasks is None else list(tasks)
    lengths = list(lengths)
    _check(names, lengths, n, shots, seconds)
    cells = [_cell(model, name, k, n, shots, seed) for k in sorted(set(lengths)) for name in names]
    began = time.monotonic()
    scores: list[pd.DataFrame] = []
    for done, cell in enumerate(cells):
        if scores and seconds is not None and time.monotonic() - began > seconds:
            break
        texts = continued(model, cell.prompts, cell.new, Resources(memory, cancel, None))
        scored = score_cookbook(cell.problems, texts)
        scores.append(scored.assign(given=texts, exhausted=cell.exhausted))
        if progress is not None:
            progress(done + 1, len(cells))
    if progress is not None and len(scores) < len(cells):
        progress(len(cells), len(cells))
    asked = pd.concat(scores, ignore_index=True)
    by_cell = _by_cell(asked, seed)
    return CookbookScores(
        model=model.id,
        task="Number Cookbook",
        n=len(asked),
        n_distinct=int(asked["question"].nunique()),
        seed=seed,
        settings={
            "tasks": None if tasks is None else names,
            "lengths": lengths,
            "n": n,
            "shots": shots,
            "seconds": seconds,
        },
        lengths=by_cell,
        learned=_learned(asked, by_cell),
        answers=asked[list(_ANSWERS)],
        shots=shots,
        cells=len(cells),
    )


_ANSWERS = (
    *("task", "length", "question", "answer", "given", "read"),
    *("exact_match", "digit_match", "length_difference"),
)


@dataclass(frozen=True)
class _Cell:
    """The problems of one task and length, as prompts."""

    problems: pd.DataFrame
    prompts: TextPrompts
    new: int
    exhausted: bool


def _cell(model: Model, name: str, length: int, n: int, shots: int, seed: int) -> _Cell:
    """The prompts of one cell."""
    examples, asked = drawn_problems(name, length, n, shots, seed)
    lines = examples["question"] + " " + examples["answer"] + "\n"
    before = "".join(lines)
    new = room_for(model, [*examples["answer"], *asked["answer"]])
    prompts = fitting(model, [before + question for question in asked["question"]], new)
    return _Cell(asked, prompts, new, len(asked) < n)


def drawn_problems(
    name: str, length: int, n: int, shots: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The examples of one cell, which are the first problems drawn, and the problems asked."""
    drawn = cookbook_task(name).sample(n + shots, length, seed=seed)
    if len(drawn) <= shots:
        raise InputError(
            f"{name} has only {len(drawn)} problems of length {length}, too few for {shots} shots "
            "and a question: ask for fewer shots, or a greater length."
        )
    return drawn.iloc[:shots], drawn.iloc[shots:].reset_index(drop=True)


def _by_cell(asked: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The table of `by_length` with an interval for each score."""
    table = by_length(asked).rename(columns={"low": "exact_match_low", "high": "exact_match_high"})
    rows = []
    for _, cell in asked.groupby(["task", "length"], sort=True):
        ends: dict[str, float | bool] = {"exhausted": bool(cell["exhausted"].iloc[0])}
        for score, interval in (
            ("digit_match", match_interval(cell["digit_match"].to_numpy(float))),
            ("length_difference", length_interval(cell["length_difference"].to_numpy(float), seed)),
        ):
            ends |= {f"{score}_low": float(interval.low), f"{score}_high": float(interval.high)}
        rows.append(ends)
    return pd.concat([table, pd.DataFrame(rows)], axis=1)


def _learned(asked: pd.DataFrame, by_cell: pd.DataFrame) -> pd.DataFrame:
    """The table of `learned_lengths` with the greatest lengths whose whole interval passes."""
    table = learned_lengths(asked)
    for name, thresholds in (
        ("well_learned", WELL_LEARNED),
        ("performance_preserving", PRESERVING),
    ):
        table[f"{name}_sure"] = [
            _greatest(by_cell[by_cell["task"] == row.task], str(row.score), thresholds)
            for row in table.itertuples()
        ]
    return table


def _greatest(cells: pd.DataFrame, score: str, thresholds: dict[str, float]) -> int:
    if score == "length_difference":
        good = cells[f"{score}_high"] <= thresholds[score]
    else:
        good = cells[f"{score}_low"] >= thresholds[score]
    return int(cells.loc[good, "length"].max()) if good.any() else 0


def _check(names: list[str], lengths: list[int], n: int, shots: int, seconds: float | None) -> None:
    if not names or not lengths:
        raise InputError("there is nothing to ask: name a task and a length")
    if n < 1 or shots < 0:
        raise InputError(f"n={n} and shots={shots}: ask at least 1 problem, after 0 shots or more")
    if seconds is not None and not seconds > 0:
        raise InputError(f"seconds={seconds}: give a time above 0, or None for no limit")
    if len(set(names)) < len(names):
        raise InputError(f"a task is named twice among {', '.join(names)}: name each once")

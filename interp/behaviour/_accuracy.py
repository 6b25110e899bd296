"""Accuracy of a model by answer digit, carry class and operand size."""

from __future__ import annotations

from typing import Literal, get_args

from interp.arithmetic.problems import Problems
from interp.arithmetic.scoring import check_answered_in
from interp.behaviour.breakdowns import cells
from interp.behaviour.results.accuracy import Behaviour
from interp.engine.answers import answer_table, forced, greedy
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import FormatError, InputError
from interp.models.asking import Asked, sample
from interp.models.model import Model

Mode = Literal["greedy", "forced"]


@shows_progress
def accuracy(
    model: Model,
    asked: Asked,
    *,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    mode: Mode = "greedy",
    strict: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Behaviour:
    """The accuracy of a model, with each distinct problem asked once.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch; each distinct problem counts once.
        n, seed, held_out: sampling of a task's problems (`interp.models.asking`).
        format: the prompt format; None means the model's first.
        mode: "greedy", the model's own answer; or "forced", each answer token predicted after the
            right ones (teacher forcing), which no user of the model ever sees.
        strict: raise if most answers are in another format than the prompt's; False counts such
            answers as wrong.
        memory, cancel, progress: as in `engine.generate`.

    Does not show: how the model works, or what it would answer to another prompt. Where its two
    largest logits differ by less than their rounding, the answer depends on the processor;
    `interp.load(…, dtype="float64")` removes all but exact ties.

    Raises:
        InputError: for an empty sample, an unknown mode or a format that cannot write the task.
        FormatError: if `strict` and most answers are unreadable, with the format that fits.
    """
    if mode not in get_args(Mode):
        raise InputError(f"unknown mode {mode!r}: choose one of {', '.join(get_args(Mode))}")
    drawn = sample(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    problems, name = drawn.problems, drawn.format
    resources = Resources(memory, cancel, progress)
    answered = (greedy if mode == "greedy" else forced)(model, problems, name, resources)
    if strict and mode == "greedy":
        _check_format(problems, answered.texts, name)
    return Behaviour(
        model=model.id,
        task=problems.task.name,
        n=len(problems),
        n_distinct=len(problems),
        seed=seed,
        settings=drawn.settings | {"format": name, "mode": mode, "strict": strict},
        format=name,
        mode=mode,
        cells=cells(problems, answered.exact, answered.correct),
        answers=answer_table(problems, answered),
        drawn=drawn.drawn,
    )


def _check_format(problems: Problems, texts: list[str], name: str) -> None:
    try:
        check_answered_in(problems, texts, name)
    except FormatError as error:
        raise FormatError(
            f"{error} To look for a prompt it answers: interp.behaviour.search_prompts; to count "
            "such answers as wrong: strict=False."
        ) from error

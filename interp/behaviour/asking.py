"""Problems put to a model once each, and the numbers it answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.arithmetic.scoring import check_answered_in, read_answer
from interp.arithmetic.tasks import Task
from interp.engine.answers import Resources, generated_texts
from interp.models.asking import draw
from interp.models.model import Model
from interp.results.identity import ModelId


@dataclass(frozen=True, eq=False)
class Asked:
    """Distinct problems, what the model wrote to each, and the number in it (None for none)."""

    model: ModelId
    problems: Problems
    texts: list[str]
    answers: npt.NDArray[np.object_]
    settings: dict[str, object]


def ask(
    model: Model,
    problems: Problems | Task | str,
    *,
    n: int,
    seed: int,
    format: str | None,
    strict: bool,
    resources: Resources,
) -> Asked:
    """The model's own (greedy) answers to the problems, or to `n` of a task.

    Raises InputError for an empty sample or a format that cannot write the task, and FormatError
    where `strict` and most answers cannot be read.
    """
    asked, _, told = draw(model, problems, n, seed)
    name = format or model.formats[0]
    texts = generated_texts(model, asked, name, resources)
    if strict:
        check_answered_in(asked, texts, name)
    answers = np.empty(len(asked), dtype=object)
    answers[:] = [read_answer(text, name, asked.task).value for text in texts]
    return Asked(model.id, asked, texts, answers, told | {"format": name, "strict": strict})

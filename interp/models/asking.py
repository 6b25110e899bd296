"""Which problems a model is asked: those given, or some of a task that its training never saw."""

from __future__ import annotations

from typing import NamedTuple

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task, task
from interp.models.model import Model
from interp.results.calls import call, problems_call


class Drawn(NamedTuple):
    """Distinct problems, how many were drawn, and what a Result tells of them."""

    problems: Problems
    drawn: int
    settings: dict[str, object]


def draw(model: Model, problems: Problems | Task | str, n: int, seed: int) -> Drawn:
    """The problems given, each once; or `n` of a task, all where there are no more.

    Of a task, only problems that the model's card says were held out from its training: on others
    it may know the answer by heart. A model without such a card is asked any. To ask a trained
    model any too, give problems: `interp.task("add:5").sample(512, seed=0)`.

    The settings say from what all of them were held out: "training", "fine-tuning" (of an adapter;
    what its base has read is not known) or None.

    Raises InputError for an empty sample.
    """
    if isinstance(problems, Problems) or model.split is None:
        drawn = sample(problems, n, seed)
        made = drawn_by(model, drawn, (0, seed))
    else:
        drawn = model.held_out(n, task=problems, seed=seed)
        made = _held_out_call(model, drawn.task, n, seed, "model")
    told: dict[str, object] = {"problems": made, "held_out": _from_what(model, drawn)}
    return Drawn(drawn.distinct(), len(drawn), told)


def sample(problems: Problems | Task | str, n: int, seed: int) -> Problems:
    """The problems themselves, or `n` of a task: every one where there are no more than `n`."""
    if isinstance(problems, Problems):
        return problems
    chosen = task(problems)
    if 0 < chosen.n_problems <= n:
        return chosen.grid()
    return chosen.sample(n, seed=seed)


def drawn_by(
    model: Model, problems: Problems, seeds: tuple[int, ...] = (0,), *, name: str = "model"
) -> str:
    """An expression that makes exactly these problems, `name` being one for the model:
    `model.held_out(512, seed=0)` where that gives them, and as `problems_call` otherwise."""
    if _from_what(model, problems) is not None:
        for seed in dict.fromkeys(seeds):
            if model.held_out(len(problems), task=problems.task, seed=seed) == problems:
                return _held_out_call(model, problems.task, len(problems), seed, name)
    return problems_call(problems, seeds)


def _held_out_call(model: Model, asked: Task, n: int, seed: int, name: str) -> str:
    other = None if asked == model.task else asked.name
    return call(f"{name}.held_out", str(n), task=other, seed=seed)


def _from_what(model: Model, problems: Problems) -> str | None:
    if model.split is None or not model.split.keeps(problems, "test").all():
        return None
    return "fine-tuning" if model.card and "base" in model.card else "training"

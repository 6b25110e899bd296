"""Which problems a model is asked: those given, or some of a task that its training never saw."""

from __future__ import annotations

from typing import NamedTuple

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task, task
from interp.models.model import Model
from interp.results.calls import problems_call


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

    Raises InputError for an empty sample.
    """
    split = model.split
    unseen = split is not None and not isinstance(problems, Problems)
    if isinstance(problems, Problems) or split is None:
        drawn = sample(problems, n, seed)
        call = problems_call(drawn, (0, seed))
    else:
        chosen = task(problems)
        drawn = model.held_out(n, task=chosen, seed=seed)
        named = "" if chosen == model.task else f", task={chosen.name!r}"
        call = f"model.held_out({n}{named}, seed={seed})"
    return Drawn(drawn.distinct(), len(drawn), {"problems": call, "held_out": unseen})


def sample(problems: Problems | Task | str, n: int, seed: int) -> Problems:
    """The problems themselves, or `n` of a task: every one where there are no more than `n`."""
    if isinstance(problems, Problems):
        return problems
    chosen = task(problems)
    if 0 < chosen.n_problems <= n:
        return chosen.grid()
    return chosen.sample(n, seed=seed)

"""A task and a prompt for a model without a card, by trial."""

from __future__ import annotations

from collections.abc import Iterator

from interp.arithmetic.tasks import Task
from interp.arithmetic.tasks import task as task_named
from interp.behaviour._doctor import doctor
from interp.behaviour.candidates import Choices
from interp.behaviour.results.doctor import Diagnosis
from interp.behaviour.search import with_shots
from interp.behaviour.trials import Bench
from interp.behaviour.ways import NAMED, Way
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import ArithmoscopeError, InputError
from interp.models.asking import asked_problems
from interp.models.model import Model

_FEW_WAYS = (*NAMED.values(), Way(answer_order="least first"))  # tried with each beginning
_FEW_BEGINNINGS = 3
_WIDTHS = (1, 2, 3, 5, 10)
_SQUARES = (1, 2, 3, 4)  # digits of both factors
_FEW = 32  # problems of each task
_CLOSE = 0.1  # gains that differ by less are equal: the longer operands decide
_LANGUAGE = 1000  # tokens of a vocabulary that is a language model's
_SUMS = "add:1"  # the task of a language model, whose text has any
_SHOWN = ("plain", 2)  # its format, without and with so many solved examples


@shows_progress
def suggest(
    model: Model,
    *,
    task: str | None = None,
    n: int = 80,
    seed: int = 0,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """The best of the prompts tried on a model that no card describes, with its evidence: a
    `Diagnosis` whose `task`, `format` and `start` every analysis takes.

    Args:
        task: the task's name; None means the card's, else the one whose digits the model gets right
            most in the templates of `doctor`, of equals (gains within 0.1) the one with the longest
            operands: sums, differences and products that the vocabulary and the context hold, or
            sums of residues for a vocabulary of numbers.
        n, seed: problems of the diagnosis, and the seed of each draw.
        memory, cancel, progress: as in `engine.generate`.

    Does not show: that the model was trained for this task, or prompts outside the doctor's list.

    Raises:
        InputError: for an unknown task, or a vocabulary that can write none.
    """
    resources = Resources(memory, cancel, progress)
    chosen: str | Task
    if task is not None:
        chosen = task_named(task)
    elif model.task is not None:
        chosen = model.task
    elif model.shape.d_vocab > _LANGUAGE:
        style, shots = _SHOWN
        return doctor(
            model, _SUMS, n=n, seed=seed, formats=[style, with_shots(style, shots, seed)],
            memory=memory, cancel=cancel, progress=progress,
        )  # fmt: skip
    else:
        chosen = _likeliest(model, seed, resources)
    return doctor(model, chosen, n=n, seed=seed, memory=memory, cancel=cancel, progress=progress)


def _likeliest(model: Model, seed: int, resources: Resources) -> Task:
    """The task whose digits the model gets right most."""
    quiet = Resources(resources.memory, resources.cancel, None)
    gains: dict[Task, float] = {}
    for task in _tasks(model):
        problems = asked_problems(model, task, n=_FEW, seed=seed, mixed=True).distinct()
        if len(problems) < 4:
            continue
        bench = Bench(model, problems, seed, 4 * task.answer_digits, quiet)
        _try_few(bench, Choices(model, task))
        found = [trial.second.gain for trial in bench.asked if trial.second.n]
        if found:
            gains[task] = max(found)
    if not gains:
        raise InputError(
            f"{model.name} has no tokens, or no room, for any task that is tried. Say how a line "
            "of its training looks, such as task='add:2', format='{a}+{b}={c}'."
        )
    best = max(gains.values())
    if best <= _CLOSE:  # nothing is known: the shortest sums, which are quickest to refuse
        return next((task for task in gains if task.name.startswith("add:")), next(iter(gains)))
    return [task for task, gain in gains.items() if gain >= best - _CLOSE][-1]


def _try_few(bench: Bench, choices: Choices) -> None:
    """The commonest ways, with the first few beginnings: enough to tell tasks apart; the doctor
    tries the rest on the one task."""
    few = [way for way in choices.core() if way.whole or way._replace(signs="formula") in _FEW_WAYS]
    for begin in choices.begins[:_FEW_BEGINNINGS]:
        bench.try_ways((way._replace(begin=begin) for way in few), bench.starts[0])


def _tasks(model: Model) -> Iterator[Task]:
    """The tasks that the vocabulary can write, those with longer operands later."""
    tokenizer = model.tokens.tokenizer
    numbers = [word for word in tokenizer.get_vocab() if word.isdecimal()]
    residues = sorted({int(word) for word in numbers})
    if len(residues) > 10 and residues == list(range(len(residues))):
        yield task_named(f"mod:{len(residues)}")
        return
    signs = [sign for sign in "-*+" if _has(model, sign)] or ["+"]
    for width in sorted({*_WIDTHS, *_SQUARES}):
        for sign in signs:
            name = {"+": f"add:{width}", "-": f"sub:{width}", "*": f"mul:{width}x{width}"}[sign]
            if width in (_SQUARES if sign == "*" else _WIDTHS) and 2 * width < model.shape.n_ctx:
                yield task_named(name)


def _has(model: Model, sign: str) -> bool:
    try:
        model.tokens.starting_with(sign)
    except ArithmoscopeError:
        return False
    return True

"""Call a catalogue entry; the explorer and the commands call the library only through here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from interp.errors import InputError

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems
    from interp.catalogue import Entry
    from interp.models.model import Model
    from interp.models.prompts import PromptBatch


_LANGUAGE = 1000  # tokens of a vocabulary: a language model is asked as one likes
USUAL = ("add:1", "plain@2:0")  # its task and format where none is given; more shots are worse


@dataclass(frozen=True)
class Sample:
    """Sampling options; None leaves a choice to the analysis or the model.

    Without a `sampler` the library draws `n` problems of the task (all, if there are no more). With
    `held_out` it draws only problems outside the model's training data, if its card records them.
    A `problem` as typed in, "37*48", is asked alone.
    """

    task: str | None = None
    n: int | None = None
    seed: int = 0
    format: str | None = None
    sampler: str | None = None
    held_out: bool = True
    problem: str | None = None


def run(
    analysis: Entry, model: Model | None, sample: Sample, options: Mapping[str, Any], **job: Any
) -> Any:
    """Run an analysis: call its function with the model, the sample and `options`.

    `job` holds `progress` and `cancel`, for functions that take them.

    Raises:
        InputError: for an option that the function does not take, or an unknown or empty sample.
    """
    function = analysis.load()
    takes = signature(function).parameters
    if unknown := [name for name in options if name not in takes]:
        raise InputError(f"{analysis.public} has no argument {', '.join(unknown)}: leave it out")
    asked, drawn = _asked(analysis, model, sample)
    shared = {name: value for name, value in {**drawn, **job}.items() if name in takes}
    return function(*asked, **{**shared, **options})


def _asked(
    analysis: Entry, model: Model | None, sample: Sample
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional arguments, and keyword arguments for those of them that a function takes."""
    drawn: dict[str, Any] = {"seed": sample.seed}
    if analysis.asks in ("log", "file"):
        return (), drawn
    n = analysis.n if sample.n is None else sample.n
    if n is not None:
        drawn["n"] = _positive(n)
    if analysis.asks == "model":
        if sample.sampler is not None:
            raise InputError("this analysis draws its own problems: leave --sampler out")
        return (model,), drawn
    drawn |= {"format": sample.format, "held_out": sample.held_out}
    name = str(sample.task) if model is None else task_of(model, sample.task)
    drawn_here = sample.sampler is not None or sample.problem is not None
    asked = problems_of(model, replace(sample, task=name, n=n)) if drawn_here else name
    return ((asked,) if analysis.asks == "task" else (model, asked)), drawn


def untold(model: Model) -> bool:
    """True for a model of arithmetic alone, by its vocabulary, whose card tells no format."""
    return "format" not in (model.card or {}) and not language_model(model)


def language_model(model: Model) -> bool:
    """True for a model whose vocabulary is more than arithmetic's."""
    return model.shape.d_vocab > _LANGUAGE


def proposed(
    model: Model, sample: Sample, say: Callable[[str], None], *, writes: bool = True, **job: Any
) -> tuple[Model, Sample]:
    """The model and the sample with the task, format and tokens in front that `interp.suggest`
    finds, where no card and no flag tells the format; `say` takes its evidence. A language model,
    on which that search takes minutes, is asked `USUAL` where nothing tells the task; an analysis
    that tries formats itself (`writes=False`) takes that task alone.

    Raises:
        InputError: where no task is given and none of the prompts tried fits.
    """
    if sample.n is not None:
        _positive(sample.n)  # before trials that take long
    if sample.format is not None:
        return model, sample
    if not untold(model):
        if sample.task is not None or model.task is not None:
            return model, sample
        task, format = USUAL
        form = f" in the format {format!r}" if writes else ""
        say(
            f"{model.name} is a language model, trained for no one task: asked {task}{form}. "
            "--task and --format ask otherwise; arithmoscope doctor tries prompts."
        )
        return model, replace(sample, task=task, format=format if writes else None)
    if not writes:
        return model, sample
    import interp

    found = interp.suggest(model, task=sample.task, seed=sample.seed, **job)
    say(f"No card tells how {model.name} is asked. {found.task}: {found.conclusion()}")
    if not found.fits:
        if sample.task is None:
            raise InputError(
                f"no prompt that was tried fits {model.name}: give --task and --format"
            )
        return model, sample
    if found.start != found.trials["start"].iloc[0]:
        model = model.starting_with(found.start)
    return model, replace(sample, task=found.task, format=found.format)


def problems_of(model: Model | None, sample: Sample) -> Problems:
    """The problems of a sample: by its sampler, or as the library draws them."""
    import interp
    from interp.arithmetic.typed import read_problem
    from interp.models.asking import asked_problems

    name = str(sample.task) if model is None else task_of(model, sample.task)
    if sample.problem is not None:
        return read_problem(interp.task(name), sample.problem)
    n = _positive(sample.n or 0)
    if sample.sampler is not None:
        return problems(name, n, seed=sample.seed, sampler=sample.sampler)
    return asked_problems(model, name, n=n, seed=sample.seed, held_out=sample.held_out)


def prompts(model: Model, sample: Sample) -> PromptBatch:
    """Prompts of the sample in a model's format."""
    return model.prompts(problems_of(model, sample), format=sample.format)


def _positive(n: int) -> int:
    if n < 1:
        raise InputError(f"the sample is empty (n = {n}): ask for at least one problem")
    return n


def problems(task: str, n: int, *, seed: int, sampler: str = "uniform") -> Problems:
    """`n` problems of a task by name; all of them, once, where there are no more than `n`.

    Raises:
        InputError: for an unknown task or sampler, or n below 1.
    """
    import interp

    chosen = interp.task(task)
    if _positive(n) >= chosen.n_problems and sampler == "uniform":
        return chosen.grid()
    return chosen.sample(n, seed=seed, sampler=sampler)


def task_of(model: Model, name: str | None) -> str:
    """The named task, or the model's training task.

    Raises:
        InputError: if neither is known.
    """
    if name is not None:
        return name
    if model.task is None:
        raise InputError(
            f"{model.name} was trained for no one task: say which, such as --task add:1, or have "
            "the tasks tried: arithmoscope suggest"
        )
    return model.task.name

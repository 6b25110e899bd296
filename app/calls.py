"""One call of a catalogue entry: explorer and commands ask the library here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from interp.errors import InputError

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems
    from interp.catalogue import Entry
    from interp.models.model import Model
    from interp.models.prompts import PromptBatch


@dataclass(frozen=True)
class Sample:
    """The problems to ask; None leaves a choice to the analysis or the model.

    Without a `sampler` the library draws `n` problems of the task, all where there are no more.
    """

    task: str | None = None
    n: int | None = None
    seed: int = 0
    format: str | None = None
    sampler: str | None = None


def run(
    analysis: Entry, model: Model | None, sample: Sample, options: Mapping[str, Any], **job: Any
) -> Any:
    """The Result of an analysis: its function, called with the model, the sample and `options`.

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
    keywords: dict[str, Any] = {"seed": sample.seed}
    if analysis.asks in ("log", "file"):
        return (), keywords
    n = analysis.n if sample.n is None else sample.n
    if n is not None:
        keywords["n"] = n
    if n is not None and n < 1:
        raise InputError(f"the sample is empty (n = {n}): ask for at least one problem")
    if analysis.asks == "model":
        if sample.sampler is not None:
            raise InputError("this analysis draws its own problems: leave --sampler out")
        return (model,), keywords
    asked = asked_of(model, sample, n or 0)
    if analysis.asks == "task":
        return (asked,), keywords
    takes = signature(analysis.load()).parameters
    if "batch" in takes and model is not None:
        subject = model.tokens if "tokens" in takes else model
        return (subject, prompts(model, replace(sample, n=n))), {"seed": sample.seed}
    return (model, asked), {"format": sample.format, **keywords}


def prompts(model: Model, sample: Sample) -> PromptBatch:
    """The sample written for a model."""
    name = task_of(model, sample.task)
    drawn = problems(name, sample.n or 0, seed=sample.seed, sampler=sample.sampler or "uniform")
    return model.prompts(drawn, format=sample.format)


def asked_of(model: Model | None, sample: Sample, n: int) -> Problems | str:
    """The task's name, from which the analysis draws; problems where a sampler is named."""
    name = str(sample.task) if model is None else task_of(model, sample.task)
    if sample.sampler is None:
        return name
    return problems(name, n, seed=sample.seed, sampler=sample.sampler)


def problems(task: str, n: int, *, seed: int, sampler: str = "uniform") -> Problems:
    """`n` problems of a task by name; all of them, once, where there are no more than `n`.

    Raises:
        InputError: for an unknown task or sampler, or n below 1.
    """
    import interp

    if n < 1:
        raise InputError(f"the sample is empty (n = {n}): ask for at least one problem")
    chosen = interp.task(task)
    if n >= chosen.n_problems and sampler == "uniform":
        return chosen.grid()
    return chosen.sample(n, seed=seed, sampler=sampler)


def task_of(model: Model, name: str | None) -> str:
    """The task named, or the one that the model was trained on.

    Raises:
        InputError: where neither is known.
    """
    if name is not None:
        return name
    if model.task is None:
        raise InputError(
            f"{model.name} was trained for no one task: say which, such as --task add:1"
        )
    return model.task.name

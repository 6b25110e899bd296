"""What ``arithmoscope behaviour --analysis`` can be: one function an analysis."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands.options import task_of
from interp.errors import InputError

if TYPE_CHECKING:
    from app.commands.watch import Watch
    from interp.arithmetic.problems import Problems
    from interp.models.model import Model
    from interp.results.result import Result


Run = dict[str, Any]  # arguments: progress=, cancel=, …


@dataclass(frozen=True)
class Asked:
    """The command's flags; None where one was left out, so that each analysis has its own."""

    task: str | None
    n: int | None
    seed: int
    format: str | None
    sampler: str | None
    styles: str | None
    shots: str | None
    cookbook_tasks: str | None
    lengths: str | None
    seconds: float | None

    def sample(self, model: Model, n: int) -> tuple[Problems | str, Run]:
        """What is asked, of the model's own task where none is named, and how many with which seed:
        the task, from which the analysis draws, or problems where a sampler is named."""
        from app.sample import problems

        task, count = task_of(model, self.task), self.count(n)
        drawn = {"n": count, "seed": self.seed}
        if self.sampler is None:
            return task, drawn
        return problems(task, count, seed=self.seed, sampler=self.sampler), drawn

    def refuse_sampler(self) -> None:
        """Raise InputError where a sampler is named for an analysis that has its own problems."""
        if self.sampler is not None:
            raise InputError("this analysis draws its own problems: leave --sampler out")

    def count(self, default: int) -> int:
        """How many were asked for; the analysis' own number where that was left out."""
        return default if self.n is None else self.n


Analysis = Callable[["Model", Asked, Run], "Result"]


def _accuracy(model: Model, asked: Asked, run: Run) -> Result:
    import interp

    sample, drawn = asked.sample(model, 512)
    return interp.behaviour.accuracy(model, sample, **drawn, format=asked.format, **run)


def _errors(model: Model, asked: Asked, run: Run) -> Result:
    import interp

    sample, drawn = asked.sample(model, 512)
    return interp.behaviour.error_taxonomy(model, sample, **drawn, format=asked.format, **run)


def _explain(model: Model, asked: Asked, run: Run) -> Result:
    import interp

    sample, drawn = asked.sample(model, 512)
    return interp.behaviour.explain_errors(model, sample, **drawn, format=asked.format, **run)


def _noisy_prefix(model: Model, asked: Asked, run: Run) -> Result:
    import interp

    sample, drawn = asked.sample(model, 256)
    return interp.suites.noisy_prefix(model, sample, **drawn, format=asked.format, **run)


def _search(model: Model, asked: Asked, run: Run) -> Result:
    import interp

    sample, drawn = asked.sample(model, 200)
    return interp.behaviour.search_prompts(
        model,
        sample,
        styles=asked.styles.split(",") if asked.styles else None,
        shots=whole_numbers("--shots", asked.shots or "0,1,2,4"),
        **drawn,
        **run,
    )


def _cookbook(model: Model, asked: Asked, run: Run) -> Result:
    import interp

    asked.refuse_sampler()
    shots = whole_numbers("--shots", asked.shots or "2")
    if len(shots) > 1:
        raise InputError(f"the cookbook takes one number of --shots, not {asked.shots!r}")
    return interp.suites.cookbook(
        model,
        asked.cookbook_tasks.split(",") if asked.cookbook_tasks else None,
        lengths=whole_numbers("--lengths", asked.lengths or "1,2,3,4"),
        n=asked.count(30),
        shots=shots[0],
        seed=asked.seed,
        seconds=asked.seconds,
        **run,
    )


def _approximation(model: Model, asked: Asked, run: Run) -> Result:
    import interp

    asked.refuse_sampler()
    return interp.suites.approximation(model, n=asked.count(120), seed=asked.seed, **run)


ANALYSES: dict[str, Analysis] = {
    "accuracy": _accuracy,
    "errors": _errors,
    "explain": _explain,
    "noisy-prefix": _noisy_prefix,
    "search": _search,
    "cookbook": _cookbook,
    "approximation": _approximation,
}


def of_model(analysis: str, model: Model, asked: Asked, watch: Watch) -> Result:
    """The analysis of a loaded model.

    Raises:
        InputError: for a sample below one problem, or what the analysis refuses.
    """
    if asked.n is not None and asked.n < 1:
        raise InputError(f"the sample is empty (n = {asked.n}): ask for at least one problem")
    return ANALYSES[analysis](model, asked, {"progress": watch.progress, "cancel": watch.cancel})


def of_file(analysis: str, path: Path, where: list[str], seed: int) -> Result:
    """The analysis of a published result file.

    Raises:
        InputError: for an analysis that needs a model, or a condition that is none.
        StorageError: where the file cannot be read.
    """
    import interp

    published = {
        "errors": interp.behaviour.published_errors,
        "explain": interp.behaviour.explain_published,
    }
    if analysis not in published:
        raise InputError(
            f"--analysis {analysis} asks a model: published --answers take {' or '.join(published)}"
        )
    result: Result = published[analysis](path, where=conditions(where) or None, seed=seed)
    return result


def conditions(texts: list[str]) -> dict[str, Any]:
    """COLUMN=VALUE as a mapping; a value that reads as a number is one.

    Raises:
        InputError: for anything else.
    """
    found: dict[str, Any] = {}
    for text in texts:
        column, equals, value = text.partition("=")
        if not (column and equals):
            raise InputError(f"--where takes COLUMN=VALUE, such as num_shots=8, not {text!r}")
        try:
            found[column] = json.loads(value)
        except ValueError:
            found[column] = value
    return found


def whole_numbers(flag: str, text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas.

    Raises:
        InputError: for anything else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{flag} takes whole numbers by commas, such as 0,1,2, not {text!r}"
        ) from None

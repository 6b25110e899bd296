"""``arithmoscope agree``: one analysis on several models, and what they agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from app.commands.finish import finish
from app.commands.options import (
    FormatName,
    HeldOut,
    Out,
    SamplerOrNone,
    Seed,
    TaskName,
    assignments,
)
from app.commands.watch import Watch
from interp.catalogue import CATALOGUE
from interp.errors import InputError

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems
    from interp.many.calling import Analysis
    from interp.models.model import Model

ONE_MODEL = [one.name for one in CATALOGUE if one.asks in ("prompts", "problems", "model")]
AnalysisName = Annotated[
    str,
    Option(
        "--analysis",
        help="Its public name: " + ", ".join(ONE_MODEL) + ".",
    ),
]

SampleSize = Annotated[
    int | None, Option("--n", "-n", help="How many problems; 512, or the analysis' own number.")
]

Arguments = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="NAME=VALUE",
        help="An argument of the analysis, as JSON: --set targets='[\"carry[0]\"]'.",
    ),
]


def agree(
    models: Annotated[
        list[str], Argument(help="Two or more models; or one, for all its shipped seeds.")
    ],
    analysis: AnalysisName = "attribution.counterfactual",
    task: TaskName = None,
    n: SampleSize = None,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerOrNone = None,
    held_out: HeldOut = True,
    changes: Arguments = None,
    out: Out = None,
) -> None:
    """Which of an analysis' findings do all seeds share?"""
    with Watch(f"loading {models[0]}") as watch:
        import interp
        from interp.many import calling

        function = calling.named(analysis)
        names = list(interp.seeds_of(models[0])) if len(models) == 1 else models
        first = interp.load(names[0])
        asked = Asked(task, n, seed, format, sampler, held_out)
        sample = asked.problems(function, first)
        watch.step(f"{analysis} of {len(names)} models")
        options = asked.options(function) | asked.changes(function, changes)
        result = interp.over_seeds(
            [first, *names[1:]],
            function,
            sample,
            progress=watch.progress,
            cancel=watch.cancel,
            **options,
        )
    finish(result, out)


_FLAGS = {"held_out": "--no-held-out"}  # flag of an argument, if it differs from the name


@dataclass(frozen=True)
class Asked:
    """Flags for the analysis. A flag without a matching argument raises, except a seed of 0."""

    task: str | None
    n: int | None
    seed: int
    format: str | None
    sampler: str | None
    held_out: bool

    def problems(self, analysis: Analysis, model: Model) -> Problems | None:
        """Problems for all models; `model` gives the task if none is named. None for an analysis
        that draws its own.

        Raises:
            InputError: for a task or sampler if the analysis draws its own problems.
        """
        from app.calls import problems, task_of
        from interp.catalogue import entry_of
        from interp.many.calling import takes_problems, title
        from interp.models.asking import asked_problems

        if takes_problems(analysis):
            known = entry_of(analysis)
            default = 512 if known is None or known.n is None else known.n
            task, n = task_of(model, self.task), default if self.n is None else self.n
            if self.sampler is None:
                return asked_problems(model, task, n=n, seed=self.seed, held_out=self.held_out)
            return problems(task, n, seed=self.seed, sampler=self.sampler)
        if self.task is not None or self.sampler is not None:
            raise InputError(
                f"{title(analysis)} draws its own problems: leave --task and --sampler out"
            )
        return None

    def options(self, analysis: Analysis) -> dict[str, Any]:
        """The flags as arguments of the analysis; a seed of 0 only if it takes a seed.

        Raises:
            InputError: for a flag without a matching argument.
        """
        from interp.many.calling import declares, takes_problems, title

        given: dict[str, Any] = {"format": self.format}
        if not takes_problems(analysis):
            given |= {"n": self.n, "held_out": None if self.held_out else False}
        chosen = {name: value for name, value in given.items() if value is not None}
        if self.seed or declares(analysis, "seed"):
            chosen["seed"] = self.seed
        if unknown := [name for name in chosen if not declares(analysis, name)]:
            flags = ", ".join(_FLAGS.get(name, f"--{name}") for name in unknown)
            raise InputError(f"{title(analysis)} has no such argument: leave {flags} out")
        return chosen

    def changes(self, analysis: Analysis, texts: list[str] | None) -> dict[str, Any]:
        """Arguments given by `--set`.

        Raises:
            InputError: for one that draws the problems, which are drawn before the call by flags.
        """
        from interp.many.calling import takes_problems

        given = assignments(texts)
        if takes_problems(analysis):
            for name in ("n", "seed", "held_out"):
                if name in given:
                    flag = _FLAGS.get(name, f"--{name}")
                    raise InputError(f"--set {name} would not draw other problems: use {flag}")
        return given

"""``arithmoscope agree``: one analysis on several models, and what they agree on."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

from app.commands.finish import finish
from app.commands.options import (
    Count,
    FormatName,
    Out,
    SamplerName,
    Seed,
    TaskName,
    assignments,
    task_of,
)
from app.commands.watch import Watch

AnalysisName = Annotated[
    str,
    Option(
        "--analysis",
        help="A function of the library: attribution.counterfactual, attribution.logit_lens, "
        "behaviour.accuracy, …",
    ),
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
    n: Count = 512,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerName = "uniform",
    changes: Arguments = None,
    out: Out = None,
) -> None:
    """Which of an analysis' findings do all seeds share?"""
    with Watch(f"loading {models[0]}") as watch:
        import interp
        from app.sample import problems
        from interp.analyses import named

        function = named(analysis)
        names = list(interp.replicas(models[0])) if len(models) == 1 else models
        first = interp.load(names[0])
        sample = problems(task_of(first, task), n, seed=seed, sampler=sampler)
        watch.step(f"{analysis} of {len(names)} models")
        options = arguments(seed, format, changes)
        result = interp.across(
            [first, *names[1:]],
            function,
            sample,
            progress=watch.progress,
            cancel=watch.cancel,
            **options,
        )
    finish(result, out)


def arguments(seed: int, format: str | None, changes: list[str] | None) -> dict[str, Any]:
    """The keywords of the analysis; what `--set` says comes last."""
    chosen = {"seed": seed} | ({"format": format} if format else {})
    return chosen | assignments(changes)

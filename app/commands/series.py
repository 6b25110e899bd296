"""``arithmoscope series``: one analysis over the checkpoints of a model's training."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from app.commands.agree import AnalysisName, Arguments, arguments
from app.commands.finish import finish
from app.commands.options import Count, FormatName, Out, SamplerName, Seed, TaskName, task_of
from app.commands.watch import Watch


def series(
    model: Annotated[str, Argument(help="A model that ships checkpoints, or a trained folder.")],
    analysis: AnalysisName = "behaviour.accuracy",
    task: TaskName = None,
    n: Count = 512,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerName = "uniform",
    changes: Arguments = None,
    out: Out = None,
) -> None:
    """How does an analysis' finding come about during training?"""
    with Watch(f"looking for checkpoints of {model}") as watch:
        import interp
        from app.sample import problems
        from interp.analyses import named

        function = named(analysis)
        found = interp.series(model)
        chosen = task_of(found.load(found.steps[-1]), task)
        sample = problems(chosen, n, seed=seed, sampler=sampler)
        watch.step(f"{analysis} of {len(found)} checkpoints")
        options = arguments(seed, format, changes)
        # Before it has learnt its format a model's answers cannot be read, and are wrong.
        options = ({"strict": False} if analysis == "behaviour.accuracy" else {}) | options
        result = interp.over(
            found, function, sample, progress=watch.progress, cancel=watch.cancel, **options
        )
    finish(result, out)

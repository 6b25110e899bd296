"""``arithmoscope series``: one analysis over the checkpoints of a model's training."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from app.commands.agree import AnalysisName, Arguments, Asked, SampleSize
from app.commands.finish import finish
from app.commands.options import FormatName, Out, SamplerOrNone, Seed, TaskName, assignments
from app.commands.watch import Watch
from interp.catalogue import entry


def series(
    model: Annotated[str, Argument(help="A model that ships checkpoints, or a trained folder.")],
    analysis: AnalysisName = "behaviour.accuracy",
    task: TaskName = None,
    n: SampleSize = None,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerOrNone = None,
    changes: Arguments = None,
    out: Out = None,
) -> None:
    """How does an analysis' finding come about during training?"""
    with Watch(f"looking for checkpoints of {model}") as watch:
        import interp

        function = entry(analysis).load()
        found = interp.checkpoints(model)
        asked = Asked(task, n, seed, format, sampler)
        sample = asked.problems(function, found.load(found.steps[-1]))
        watch.step(f"{analysis} of {len(found)} checkpoints")
        options = asked.options(function) | assignments(changes)
        # Before it has learnt its format a model's answers cannot be read, and are wrong.
        options = ({"strict": False} if analysis == "behaviour.accuracy" else {}) | options
        result = interp.over_checkpoints(
            found, function, sample, progress=watch.progress, cancel=watch.cancel, **options
        )
    finish(result, out)

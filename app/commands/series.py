"""``arithmoscope series``: one analysis over the checkpoints of a model's training."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from app.commands.agree import AnalysisName, Arguments, Asked, SampleSize
from app.commands.finish import finish
from app.commands.options import FormatName, HeldOut, Out, SamplerOrNone, Seed, TaskName
from app.commands.watch import Watch


def series(
    model: Annotated[str, Argument(help="A model that ships checkpoints, or a trained folder.")],
    analysis: AnalysisName = "behaviour.accuracy",
    task: TaskName = None,
    n: SampleSize = None,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerOrNone = None,
    held_out: HeldOut = True,
    changes: Arguments = None,
    out: Out = None,
) -> None:
    """How does an analysis' finding come about during training?"""
    with Watch(f"looking for checkpoints of {model}") as watch:
        import interp
        from interp.many import calling

        function = calling.named(analysis)
        found = interp.checkpoints(model)
        asked = Asked(task, n, seed, format, sampler, held_out)
        sample = asked.problems(function, found.load(found.steps[-1]))
        watch.step(f"{analysis} of {len(found)} checkpoints")
        options = asked.options(function) | asked.changes(function, changes)
        # Before it learns its format, a model's answers are unreadable and count as wrong.
        options = ({"strict": False} if analysis == "behaviour.accuracy" else {}) | options
        result = interp.over_checkpoints(
            found, function, sample, progress=watch.progress, cancel=watch.cancel, **options
        )
    finish(result, out)

"""``arithmoscope dynamics``: in which order a model learnt, from the log of its training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from app.commands.finish import finish
from app.commands.options import Out
from app.commands.watch import Watch
from interp.errors import InputError

Models = Annotated[
    list[str] | None,
    Option(
        "--model",
        "-m",
        help="A shipped model, or the folder of a training. Several are shown side by side.",
    ),
]
LogFile = Annotated[
    list[Path] | None,
    Option("--log", help="A .parquet log, or a .csv like the public grad_probe_log.csv."),
]
Threshold = Annotated[
    float | None,
    Option("--threshold", help="Learnt below this loss (1 nat), or from this accuracy on (0.9)."),
]
Measured = Annotated[
    Literal["loss", "accuracy"], Option("--measure", help="By which a digit counts as learnt.")
]
Smoothing = Annotated[int, Option("--smoothing", help="Logged steps in each mean.")]
SplitName = Annotated[
    Literal["train", "validation"] | None,
    Option("--split", help="Training batches, or held-out problems."),
]


def dynamics(
    model: Models = None,
    log: LogFile = None,
    threshold: Threshold = None,
    measure: Measured = "loss",
    smoothing: Smoothing = 1,
    split: SplitName = None,
    task: Annotated[
        str | None, Option("--task", "-t", help="Of a log without a card: mul:4x4, …")
    ] = None,
    out: Out = None,
) -> None:
    """In which order were the digits and subtasks learnt?"""
    sources = [*(model or []), *map(str, log or [])]
    if not sources:
        raise InputError("say whose training: --model mul4x4-aux, or --log training_log.parquet")
    if task is not None and len(sources) > 1:
        raise InputError("--task goes with one log; several take it from their cards")
    with Watch("reading the log"):
        import interp
        from interp.results.result import Result

        result: Result
        if len(sources) == 1:
            result = interp.training.dynamics(
                sources[0],
                threshold=threshold,
                measure=measure,
                smoothing=smoothing,
                split=split,
                task=task,
            )
        else:
            result = interp.training.digit_losses(
                sources, threshold=threshold, measure=measure, smoothing=smoothing, split=split
            )
    finish(result, out)

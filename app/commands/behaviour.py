"""``arithmoscope behaviour``: what a model gets right, how it is wrong, and which prompt suits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from app.commands.finish import finish
from app.commands.generated import chosen, entries, run
from app.commands.options import (
    Device,
    Dtype,
    FormatName,
    HeldOut,
    Out,
    SamplerOrNone,
    Seed,
    TaskName,
    assignments,
)
from app.commands.watch import Watch
from interp.catalogue import CATALOGUE, Entry
from interp.errors import InputError

ModelOrNone = Annotated[
    str | None,
    Option("--model", "-m", help="A fixture's name, a folder, a .gguf file or a Hub id."),
]
Which = Annotated[
    str,
    Option(
        "--analysis",
        "-a",
        help=" ".join(f"{name}: {one.question}" for name, one in entries("behaviour").items()),
    ),
]
Answers = Annotated[
    Path | None,
    Option(
        "--answers",
        help="For errors and explain, in place of a model: a result file of Tokenization counts.",
    ),
]
Where = Annotated[
    list[str] | None,
    Option("--where", help="For --answers: COLUMN=VALUE, such as num_shots=8; more than once."),
]
Number = Annotated[
    int | None,
    Option("--n", "-n", help="How many problems to draw; for the cookbook of each task, length."),
]
Styles = Annotated[
    str | None, Option("--styles", help="For search: formats, by commas: plain,af1-qa,af1-word.")
]
Shots = Annotated[
    str | None,
    Option("--shots", help="Solved examples: for search by commas, for the cookbook one number."),
]
CookbookTasks = Annotated[
    str | None,
    Option("--cookbook-tasks", help="By commas: add:integer,max:float; left out: all 41."),
]
Lengths = Annotated[str | None, Option("--lengths", help="For the cookbook: digits, by commas.")]
Seconds = Annotated[
    float | None,
    Option("--seconds", help="For the cookbook: begin no further task and length after so long."),
]


def behaviour(
    model: ModelOrNone = None,
    task: TaskName = None,
    analysis: Which = "accuracy",
    answers: Answers = None,
    where: Where = None,
    n: Number = None,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerOrNone = None,
    held_out: HeldOut = True,
    styles: Styles = None,
    shots: Shots = None,
    cookbook_tasks: CookbookTasks = None,
    lengths: Lengths = None,
    seconds: Seconds = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    out: Out = None,
) -> None:
    """What does it get right, and how is it wrong?"""
    if (model is None) == (answers is None):
        raise InputError("say whose answers: --model NAME, or --answers FILE.csv; one of the two")
    entry = chosen("behaviour", analysis)
    if answers is not None:
        entry, options = _published(analysis), dict[str, Any](path=answers)
        if where:
            options["where"] = assignments(where, "--where", "num_shots=8", "COLUMN=VALUE")
        with Watch(f"reading the answers in {answers.name}"):
            from app import calls

            sample = calls.Sample(seed=seed)
            result = calls.run(entry, None, sample, options)
    else:
        special = {
            "styles": styles,
            "shots": shots,
            "tasks": cookbook_tasks,
            "lengths": lengths,
            "seconds": seconds,
        }
        given = {
            "model": model,
            "task": task,
            "n": n,
            "seed": seed,
            "format": format,
            "sampler": sampler,
            "held_out": held_out,
            "device": device,
            "dtype": dtype,
        }
        result = run(entry, given, {name: x for name, x in special.items() if x is not None})
    finish(result, out)


def _published(analysis: str) -> Entry:
    """The analysis of a result file instead of a model.

    Raises InputError for one that needs a model.
    """
    kind = chosen("behaviour", analysis).kind
    found = [one for one in CATALOGUE if one.kind == kind and one.asks == "file"]
    if not found:
        files = {one.kind for one in CATALOGUE if one.asks == "file"}
        named = [name for name, one in entries("behaviour").items() if one.kind in files]
        raise InputError(
            f"--analysis {analysis} asks a model: published --answers take {' or '.join(named)}"
        )
    return found[0]

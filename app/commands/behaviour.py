"""``arithmoscope behaviour``: what a model gets right, how it is wrong, and which prompt suits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from app.commands.analyses import Asked, of_file, of_model
from app.commands.finish import finish
from app.commands.options import Device, Dtype, FormatName, Out, SamplerOrNone, Seed, TaskName
from app.commands.watch import Watch
from interp.errors import InputError

ModelOrNone = Annotated[
    str | None,
    Option("--model", "-m", help="A fixture's name, a folder, a .gguf file or a Hub id."),
]
Which = Annotated[
    Literal["accuracy", "errors", "explain", "noisy-prefix", "search", "cookbook", "approximation"],
    Option(
        "--analysis",
        "-a",
        help="What is right; kinds of errors; the fault that explains them; wrong digits forced "
        "into the answer; the best prompt; the Number Cookbook; everyday estimates.",
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
    if answers is not None:
        with Watch(f"sorting the answers in {answers.name}"):
            result = of_file(analysis, answers, where or [], seed)
        finish(result, out)
        return
    asked = Asked(task, n, seed, format, sampler, styles, shots, cookbook_tasks, lengths, seconds)
    with Watch(f"loading {model}") as watch:
        import interp

        loaded = interp.load(str(model), device=device, dtype=dtype)
        watch.step(f"{analysis} of {model}")
        result = of_model(analysis, loaded, asked, watch)
    finish(result, out)

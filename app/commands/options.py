"""The flags that the commands share, each said once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from interp.errors import InputError

if TYPE_CHECKING:
    from interp.models.model import Model

ModelName = Annotated[
    str, Option("--model", "-m", help="A fixture's name, a folder, a .gguf file or a Hub id.")
]
TaskName = Annotated[
    str | None,
    Option(
        "--task",
        "-t",
        help="add:5, sub:5, addsub:5, mul:4x4, mod:113, expr:A+B-C; left out: the model's own.",
    ),
]
Count = Annotated[int, Option("--n", "-n", help="How many problems to draw.")]
Seed = Annotated[int, Option("--seed", help="Of every random choice.")]
FormatName = Annotated[
    str | None,
    Option("--format", help="How a problem is written: padded, reversed, plain@2:0 (two shots), …"),
]
SamplerName = Annotated[
    str, Option("--sampler", help="uniform, carries, cascades, propagation, lengths or simple.")
]
SamplerOrNone = Annotated[
    str | None,
    Option(
        "--sampler",
        help="uniform, carries, cascades, propagation, lengths or simple: of the whole task. Left "
        "out: uniform, and for behaviour only what was held out from training, where the model's "
        "card tells.",
    ),
]
Out = Annotated[
    Path | None,
    Option("--out", "-o", help="Folder for figure.html, table.parquet, result.json and more."),
]
Device = Annotated[str, Option("--device", help="cpu, cuda, cuda:1, mps.")]
Dtype = Annotated[
    Literal["float32", "float64", "bfloat16", "float16"], Option("--dtype", help="Of the weights.")
]


def task_of(model: Model, name: str | None) -> str:
    """The task asked for, or the one that the model was trained on.

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


def assignments(texts: Iterable[str] | None) -> dict[str, Any]:
    """What `--set NAME=VALUE …` says by name, each value as JSON where it is JSON.

    Raises:
        InputError: where there is no `=`.
    """
    out: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InputError(f"--set takes NAME=VALUE, such as --set steps=2000, not {text!r}")
        try:
            out[name] = json.loads(value)
        except ValueError:  # a bare word is a string
            out[name] = value
    return out

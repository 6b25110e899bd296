"""Flags shared by the commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Option

from interp.errors import InputError

_COMMA = re.compile(r",(?![^\[({]*[\])}])")  # outside brackets

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
CountOrNone = Annotated[
    int | None, Option("--n", "-n", help="How many problems to draw; the analysis's own number.")
]
Seed = Annotated[int, Option("--seed", help="Of every random choice.")]
FormatName = Annotated[
    str | None,
    Option(
        "--format",
        help="How a problem is written: padded, reversed, plain@2:0 (two shots), …; or a template, "
        "'${a}+{b}={c:reversed}$'. Left out: the card's, or what is found by trial.",
    ),
]
SamplerName = Annotated[
    str, Option("--sampler", help="uniform, carries, cascades, propagation, lengths or simple.")
]
HeldOut = Annotated[
    bool,
    Option(help="Ask only problems outside the model's training, where its card can tell."),
]
SamplerOrNone = Annotated[
    str | None,
    Option(
        "--sampler",
        help="uniform, carries, cascades, propagation, lengths or simple: of the whole task. Left "
        "out: uniform, and with --held-out only what was held out from training, where the "
        "model's card tells.",
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


def assignments(
    texts: Iterable[str] | None,
    flag: str = "--set",
    such: str = "steps=2000",
    form: str = "NAME=VALUE",
) -> dict[str, Any]:
    """Parse NAME=VALUE texts into a mapping; values that are valid JSON are parsed as JSON.

    `form` is the name of such a text in the help of `flag`.

    Raises:
        InputError: for a text without `=`.
    """
    out: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InputError(f"{flag} takes {form}, such as {flag} {such}, not {text!r}")
        try:
            out[name] = json.loads(value)
        except ValueError:  # a bare word is a string
            out[name] = value
    return out


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas outside brackets and braces.

    >>> names("carry[1], product[0,1]")
    ('carry[1]', 'product[0,1]')
    """
    return tuple(name for part in _COMMA.split(text) if (name := part.strip()))


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

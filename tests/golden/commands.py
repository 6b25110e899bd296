"""The commands and their flags, as the command line declares them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import typer.main

from app.cli import app

Flag = dict[str, Any]


def commands() -> dict[str, list[Flag]]:
    """Command → its arguments and options: names, type, default, whether it must or may repeat."""
    group: Any = typer.main.get_command(app)
    made = {name: group.get_command(None, name) for name in group.list_commands(None)}
    return {name: list(map(_flag, command.params)) for name, command in made.items()}


def _flag(parameter: Any) -> Flag:
    annotation = parameter.type_descriptor.annotation
    choices = [value for value in get_args(annotation) if isinstance(value, str)]
    default = parameter.default
    return {
        "name": parameter.name,
        "names": [*parameter.opts, *parameter.secondary_opts],
        "argument": not parameter.opts[0].startswith("-"),
        "type": "choice" if choices else _type(annotation),
        "choices": choices,
        "required": parameter.required,
        "multiple": parameter.multiple,
        "nargs": parameter.nargs,
        "default": default if _plain(default) else str(default),
    }


def _type(annotation: Any) -> str:
    """`str`, `int`, `path`, … of an annotation, and of what is optional or a list of it."""
    inner = [kind for kind in get_args(annotation) if kind is not type(None)]
    if inner:
        return _type(inner[0])
    if isinstance(annotation, type) and issubclass(annotation, Path):
        return "path"
    return getattr(annotation, "__name__", str(annotation))


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | str)

"""A problem as a person types it, "99999+1" or "37 × 48", read by its task."""

from __future__ import annotations

import re

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.errors import InputError

_SIGNS = str.maketrans({"×": "*", "·": "*", "−": "-", "–": "-"})
_DIGITS = 1_000  # of one number; Python refuses to read far longer ones


def read_problem(task: Task, text: str) -> Problems:
    """The one problem of `task` that `text` writes; an equals sign and what follows are ignored.

    >>> from interp.arithmetic.tasks import task
    >>> read_problem(task("mul:4x4"), "37 × 48").answers()
    array([1776], dtype=object)

    Raises:
        InputError: for other signs or numbers than the task has, with an example of its own.
    """
    written = re.sub(r"\s+", "", str(text).translate(_SIGNS)).partition("=")[0]
    if task.arithmetic == "product":
        written = re.sub("[xX]", "*", written)
    parts = re.fullmatch(r"(\d+)((?:[-+*]\d+)*)", written, re.ASCII)
    gaps = re.findall(r"([-+*])(\d+)", parts[2]) if parts else []
    operators = [mark for mark, _ in gaps]
    fits = len(gaps) == len(task.operators) and all(
        mark in allowed for mark, allowed in zip(operators, task.operators, strict=False)
    )
    numbers = [] if parts is None else [parts[1], *(number for _, number in gaps)]
    if not fits or not numbers or max(map(len, numbers)) > _DIGITS:
        given = str(text) if len(str(text)) <= 60 else f"{str(text)[:60]}…"
        raise InputError(f"{given!r} is no problem of {task.name}: write one such as {_such(task)}")
    return task.problems(*map(int, numbers), operators="".join(operators))


def _such(task: Task) -> str:
    return task.sample(1, seed=0).text(0)

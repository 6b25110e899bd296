"""Formats: problems as text, both ways, with a role for every character.

>>> from interp.arithmetic.tasks import Addition
>>> problems = Addition(3).problems([12], [34])
>>> format("plain").render(problems)[0].text
'12+34=46'
>>> format("padded").parse("012+034=0046", Addition(3)) == problems
True

`format(name)` finds a format, `format_names(task)` lists those that can write a task, and
`few_shot(base, examples)` puts solved examples in front (`plain@2:7`).
"""

from __future__ import annotations

from interp.arithmetic.formats.af1 import AF1
from interp.arithmetic.formats.base import Format
from interp.arithmetic.formats.few_shot import FewShot, few_shot, few_shot_named
from interp.arithmetic.formats.icot import IMPLICIT
from interp.arithmetic.formats.numbers import NumberStyle, ReadAnswer
from interp.arithmetic.formats.random_spaces import RANDOM_SPACES
from interp.arithmetic.formats.scratchpads import SCRATCHPADS
from interp.arithmetic.formats.standard import STANDARD
from interp.arithmetic.formats.templates import TemplateFormat
from interp.arithmetic.formats.written import Spans, Written
from interp.arithmetic.tasks import Task
from interp.errors import InputError

__all__ = [
    "FewShot",
    "Format",
    "NumberStyle",
    "ReadAnswer",
    "Spans",
    "TemplateFormat",
    "Written",
    "few_shot",
    "format",
    "format_names",
]

_FORMATS: dict[str, Format] = {
    form.name: form for form in (*STANDARD, RANDOM_SPACES, *IMPLICIT, *SCRATCHPADS, *AF1)
}


def format(name: str) -> Format:
    """The format of this name. `BASE@K:SEED` and `BASE@1+1,3+5` are few-shot formats.

    Raises InputError for an unknown name.
    """
    base, at, examples = name.partition("@")
    if base not in _FORMATS:
        raise InputError(
            f"there is no format {base!r}. Formats: {', '.join(_FORMATS)}; each also with examples "
            f"in front, such as 'plain@2:0' (two, drawn with seed 0)."
        )
    return few_shot_named(_FORMATS[base], examples) if at else _FORMATS[base]


def format_names(task: Task | None = None) -> tuple[str, ...]:
    """The names of all formats, or of those that can write the task; without few-shot ones."""
    return tuple(name for name, form in _FORMATS.items() if task is None or form.accepts(task))

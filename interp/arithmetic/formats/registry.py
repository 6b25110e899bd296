"""The formats by name."""

import re

from interp.arithmetic.formats.af1 import AF1
from interp.arithmetic.formats.base import FORMATS, Format
from interp.arithmetic.formats.examples import few_shot_named
from interp.arithmetic.formats.icot import IMPLICIT
from interp.arithmetic.formats.language import EXAMPLE, template
from interp.arithmetic.formats.random_spaces import RANDOM_SPACES
from interp.arithmetic.formats.scratchpads import SCRATCHPADS
from interp.arithmetic.formats.standard import STANDARD
from interp.arithmetic.tasks import Task
from interp.errors import InputError, nearest

_SUM = r"\d+(?:[-+*]\d+)+"

FORMATS.update((f.name, f) for f in (*STANDARD, RANDOM_SPACES, *IMPLICIT, *SCRATCHPADS, *AF1))


def format(name: str) -> Format:
    """The format of this name, or of a template (`language`): `{a}+{b}={c:reversed}`.

    `BASE@K:SEED` and `BASE@1+1,3+5` are few-shot formats.

    Raises InputError for an unknown name and a template that cannot be read.
    """
    if not isinstance(name, str):
        raise InputError(f"a format is named by text such as 'padded', not by {name!r}.")
    base, at, examples = _examples(name) if "{" in name else name.partition("@")
    if "{" in base:
        form: Format = template(base)
    elif base in FORMATS:
        form = FORMATS[base]
    else:
        raise InputError(
            f"there is no format {base!r}; the nearest: {nearest(base, FORMATS)}. Each also with "
            f"examples in front, such as 'plain@2:0' (two, drawn with seed 0); or a template, such "
            f"as {EXAMPLE!r}. All names: interp.arithmetic.formats.format_names()."
        )
    return few_shot_named(form, examples) if at else form


def _examples(name: str) -> tuple[str, str, str]:
    """A template, `@` and its examples; the last two empty if it has none."""
    found = re.fullmatch(rf"(.*\}}.*)(?<!\\)(@)(\d+(?::\d+)?|{_SUM}(?:,{_SUM})*)", name, re.DOTALL)
    return (found[1], found[2], found[3]) if found else (name, "", "")


def format_names(task: Task | None = None) -> tuple[str, ...]:
    """The names of all formats, or of those that can write the task; without few-shot ones."""
    return tuple(name for name, form in FORMATS.items() if task is None or form.accepts(task))

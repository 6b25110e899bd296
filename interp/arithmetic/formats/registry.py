"""The formats by name."""

from interp.arithmetic.formats.af1 import AF1
from interp.arithmetic.formats.base import FORMATS, Format
from interp.arithmetic.formats.examples import few_shot_named
from interp.arithmetic.formats.icot import IMPLICIT
from interp.arithmetic.formats.random_spaces import RANDOM_SPACES
from interp.arithmetic.formats.scratchpads import SCRATCHPADS
from interp.arithmetic.formats.standard import STANDARD
from interp.arithmetic.tasks import Task
from interp.errors import InputError, nearest

FORMATS.update((f.name, f) for f in (*STANDARD, RANDOM_SPACES, *IMPLICIT, *SCRATCHPADS, *AF1))


def format(name: str) -> Format:
    """The format of this name. `BASE@K:SEED` and `BASE@1+1,3+5` are few-shot formats.

    Raises InputError for an unknown name.
    """
    if not isinstance(name, str):
        raise InputError(f"a format is named by text such as 'padded', not by {name!r}.")
    base, at, examples = name.partition("@")
    if base not in FORMATS:
        raise InputError(
            f"there is no format {base!r}; the nearest: {nearest(base, FORMATS)}. Each also with "
            f"examples in front, such as 'plain@2:0' (two, drawn with seed 0). All names: "
            f"interp.arithmetic.formats.format_names()."
        )
    return few_shot_named(FORMATS[base], examples) if at else FORMATS[base]


def format_names(task: Task | None = None) -> tuple[str, ...]:
    """The names of all formats, or of those that can write the task; without few-shot ones."""
    return tuple(name for name, form in FORMATS.items() if task is None or form.accepts(task))

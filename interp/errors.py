"""The errors that a user can cause. Each message names the remedy.

All derive from `ArithmoscopeError`, so one `except` catches whatever the toolkit refuses. Those
that have a counterpart in the standard library derive from it too, so that code which never heard
of this package still treats them rightly.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ArithmoscopeError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(ArithmoscopeError, ValueError):
    """An argument has a value that makes no sense here."""


class MissingError(InputError, KeyError):
    """A key that a mapping lacks; a KeyError too, which `in` and `get` need."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class RowError(InputError, IndexError):
    """A row was asked for that is not there; an IndexError too, which ends a `for` loop."""


class ModelError(ArithmoscopeError):
    """A model cannot be found, read or trusted, or does not do what was asked of it."""


class RoleError(ArithmoscopeError, KeyError):
    """A token role (`a0`, `eq`, `c3`, …) is missing from this prompt, or not where it must be."""

    def __str__(self) -> str:
        # KeyError would print the repr of the message, with quotes around it.
        return str(self.args[0]) if self.args else ""


class FormatError(ArithmoscopeError, ValueError):
    """A text is not written in the format it was said to be in."""


class SiteError(ArithmoscopeError):
    """An activation site is unknown, or an edit there is known to have no effect on this model."""


class Cancelled(ArithmoscopeError):
    """The caller cancelled a long computation; nothing was left half done."""


class StorageError(ArithmoscopeError, OSError):
    """A file could not be read or written; an interrupted write leaves nothing behind."""


def nearest_names(given: object, known: Iterable[str]) -> list[str]:
    """The three known names nearest to an unknown one, the nearest first."""
    names = list(dict.fromkeys(known))
    found = get_close_matches(str(given), names, n=3, cutoff=0.3)
    return [*found, *(name for name in names if name not in found)][:3]


def nearest(given: object, known: Iterable[str]) -> str:
    """The three known names nearest to an unknown one, as text for its error: "a, b or c"."""
    found = nearest_names(given, known)
    return " or ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))

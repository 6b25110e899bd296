"""Automatic progress bar in notebooks, unless the caller passes `progress`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from html import escape
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

PATIENCE = 2.0  # seconds without a bar
_BETWEEN = 0.2  # seconds between two drawings
_WITHIN: ContextVar[bool] = ContextVar("within a call that shows its own progress", default=False)


def shows_progress(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function with a progress bar, shown without a `progress` argument, in an IPython
    kernel, after two seconds. Nested calls show none."""
    title = function.__name__.replace("_", " ")

    @wraps(function)
    def watched(*args: P.args, **kwargs: P.kwargs) -> R:
        if _WITHIN.get() or (kwargs.get("progress") is None and not in_notebook()):
            return function(*args, **kwargs)
        token = _WITHIN.set(True)
        try:
            if kwargs.get("progress") is not None:
                return function(*args, **kwargs)
            with _bar(title) as progress:
                kwargs["progress"] = progress
                return function(*args, **kwargs)
        finally:
            _WITHIN.reset(token)

    return watched


def in_notebook() -> bool:
    """True in an IPython kernel."""
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return getattr(running, "kernel", None) is not None


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress callback: draws after `PATIENCE` seconds, clears its output at the end."""
    from IPython.display import display

    began = drawn = time.monotonic()
    handle: Any = None

    def progress(done: int, total: int) -> None:
        nonlocal handle, drawn
        now = time.monotonic()
        if now - began < PATIENCE or now - drawn < _BETWEEN:
            return
        drawn = now
        if handle is None:
            handle = display(_drawing(title, done, total), raw=True, display_id=True)
        else:
            handle.update(_drawing(title, done, total), raw=True)

    try:
        yield progress
    finally:
        if handle is not None:
            handle.update({"text/plain": "", "text/html": ""}, raw=True)


def _drawing(title: str, done: int, total: int) -> dict[str, str]:
    bar = f'<progress value="{done}" max="{total}"></progress>'
    text = f"{title}: {done} of {total}"
    return {"text/plain": text, "text/html": f"{bar} {escape(text)}"}

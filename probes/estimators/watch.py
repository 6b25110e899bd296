"""Progress and cancellation of one long computation, from a single place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the engine brings torch, which no estimator needs
    from interp.engine.requests import Cancel

Progress = Callable[[int, int], None]


class Watch:
    """Counts the `total` steps of a computation; raises Cancelled between two of them."""

    def __init__(self, total: int, progress: Progress | None, cancel: Cancel | None) -> None:
        self._total, self._progress, self._cancel = total, progress, cancel
        self._done = 0
        self.check()

    def step(self) -> None:
        """One more step is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
        self.check()

    def check(self) -> None:
        """Raise Cancelled if that was asked for."""
        if self._cancel is not None:
            self._cancel.check()

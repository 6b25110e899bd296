"""Progress bar (after two seconds) and Ctrl-C handling of a running command."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from interp.engine.requests import Cancel

PATIENCE = 2.0  # seconds before the bar appears


class Watch:
    """A progress bar on standard error and a cancellation token that the first Ctrl-C sets.

    The computation ends between two batches and raises `Cancelled`. A second Ctrl-C stops at once.
    Use it as a context manager, from the main thread.
    """

    def __init__(self, label: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(label, total=None)
        self._timer = threading.Timer(PATIENCE, self._bar.start)
        self._timer.daemon = True
        self._cancel: Cancel | None = None

    def step(self, label: str) -> None:
        """Start a new step with this label; reset the count."""
        self._bar.reset(self._task, total=None, description=label)

    def say(self, text: str) -> None:
        """Print a line on standard error, above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def describe(self, label: str) -> None:
        """Change the label of the current step; keep the count."""
        self._bar.update(self._task, description=label)

    def progress(self, done: int, total: int) -> None:
        """The library's progress callback."""
        self._bar.update(self._task, completed=done, total=total)

    @property
    def cancel(self) -> Cancel:
        """The token that the first Ctrl-C sets."""
        if self._cancel is None:
            from interp.engine.requests import Cancel

            self._cancel = Cancel()
        return self._cancel

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupted)
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)
        self._timer.cancel()
        self._timer.join()
        self._bar.stop()

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._cancel is None or self._cancel.requested:
            raise KeyboardInterrupt
        self._cancel.set()
        self._bar.update(self._task, description="stopping after this batch")

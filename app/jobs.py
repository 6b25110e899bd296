"""Run a page's long computations in a thread, with progress and a Stop button.

Streamlit reruns a page's script from the top on every click, so a computation inside it could
neither be stopped nor show progress. A job computes in its own thread; the script waits for it and
draws. Ending the wait (Stop, another setting, a closed tab) sets the job's cancellation token, and
the engine stops between two batches.

A job that will take long, by its own progress so far, offers the number of problems that takes
about two minutes. On a server with a limit (`allow`) it ends there, with the number that fits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Generic, NoReturn, TypeVar, cast

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from app.plain import plain
from interp.engine.requests import Cancel
from interp.errors import Cancelled

T = TypeVar("T")

PATIENCE = 0.4  # seconds before progress is shown; for faster jobs it would flicker
TICK = 0.1
STOPPED = "stopped job"
LONG = 120.0  # expected seconds from which on a smaller sample is offered
SURE = 5.0  # seconds of progress before that is known
FEWEST = 64  # problems that are offered

_most: list[float] = []  # seconds of a job, on a server with a limit

_current: ContextVar[Job[object]] = ContextVar("job")


class Job(Generic[T]):
    """One computation in a thread, its progress and its cancellation token."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.cancel = Cancel()
        self.done, self.total = 0, 0
        self.began = time.monotonic()
        self._call = call
        self._result: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        add_script_run_ctx(self._thread, get_script_run_ctx())
        self._thread.start()

    def progress(self, done: int, total: int) -> None:
        """The library's progress callback."""
        self.done, self.total = done, total

    def finished(self, seconds: float) -> bool:
        """Wait up to `seconds` for the job; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """Return the call's value, or raise its exception."""
        if self._error is not None:
            raise self._error
        return cast(T, self._result)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def fits(self, n: int, seconds: float) -> int:
        """About how many of the `n` problems take so many seconds, by the progress so far."""
        share = self.done / self.total if self.total else 0.0
        if not share:
            return FEWEST
        some = int(n * seconds * share / self.seconds)
        unit = 10 ** max(len(str(some)) - 2, 0)
        return max(FEWEST, some // unit * unit)

    def how_far(self) -> str:
        """Text of the progress and the elapsed time."""
        seconds = self.seconds
        if not self.total or not self.done:
            return f"{seconds:.0f} s"
        left = seconds / self.done * (self.total - self.done)
        return f"{self.done:,} of {self.total:,} · {seconds:.0f} s, about {left:.0f} s left"

    def _work(self) -> None:
        _current.set(cast("Job[object]", self))
        try:
            self._result = self._call()
        except BaseException as error:  # handed to the script's thread, which raises it
            self._error = error


def current() -> Job[object]:
    """The job of the calling thread, from which a cached call takes progress and cancel.

    Neither is an argument of the cached call, so neither is part of its key nor hidden from it.
    """
    return _current.get()


def allow(seconds: float | None) -> None:
    """Set the most seconds that a job of this server may take; None for no limit."""
    _most[:] = [] if seconds is None else [seconds]


def run(key: Hashable, label: str, call: Callable[[], T], n: int | None = None) -> T:
    """Compute `call()` in a job while the page shows `label`, progress and Stop.

    Ends the script's run if the user stopped this computation, until they request it again, and if
    it takes longer than the server allows. `n`: its problems, of which fewer can be offered.

    Raises:
        Whatever `call` raises.
    """
    place, label = st.empty(), plain(label)
    if st.session_state.get(STOPPED) == key:
        _offer_again(place, label)
    job = Job(call)
    try:
        if not job.finished(PATIENCE):
            _wait(job, key, label, place, n)
        value = job.result()
    except Cancelled:
        st.session_state[STOPPED] = key
        _offer_again(place, label)
    except Exception:
        place.empty()  # the page shows the error instead; nothing is left to stop
        raise
    finally:
        job.cancel.set()
    place.empty()
    return value


def _wait(
    job: Job[T], key: Hashable, label: str, place: st.delta_generator.DeltaGenerator, n: int | None
) -> None:
    with place.container(border=True):
        text, button = st.columns([5, 1], vertical_alignment="center")
        bar = text.progress(0.0, text=label)
        button.button(
            "Stop", key=f"stop {hash(key)}", on_click=_stop, args=(job, key), width="stretch"
        )
        smaller = st.empty()
    offered = n is None
    while not job.finished(TICK):
        share = job.done / job.total if job.total else 0.0
        bar.progress(min(share, 1.0), text=f"{label} · {job.how_far()}")
        if _most and job.seconds > _most[0]:
            _stop(job, key)  # not begun anew by the next click elsewhere
            _too_long(job, label, place, n)
        if not offered and share and job.seconds > SURE and job.seconds / share > LONG:
            offered = True
            _offer_fewer(job, n or 0, LONG, smaller)


def _offer_fewer(
    job: Job[T], n: int, seconds: float, place: st.delta_generator.DeltaGenerator
) -> None:
    """A button that asks for as many problems as take `seconds`."""
    fewer = job.fits(n, seconds)
    if fewer < n:
        place.button(
            f"Take {fewer:,} problems instead: about {seconds:.0f} s",
            key="fewer", on_click=_fewer, args=(job, fewer), icon=":material/speed:",
        )  # fmt: skip


def _fewer(job: Job[T], n: int) -> None:
    job.cancel.set()
    st.session_state["n"] = n


def _too_long(
    job: Job[T], label: str, place: st.delta_generator.DeltaGenerator, n: int | None
) -> NoReturn:
    with place.container(border=True):
        st.markdown(
            f"Stopped: {label}. This server computes at most {_most[0]:.0f} s at a time; "
            "`arithmoscope explore` on your own machine has no limit."
        )
        if n is not None:
            _offer_fewer(job, n, 0.8 * _most[0], st.empty())
    st.stop()


def _stop(job: Job[T], key: Hashable) -> None:
    job.cancel.set()
    st.session_state[STOPPED] = key


def _again() -> None:
    del st.session_state[STOPPED]


def _offer_again(place: st.delta_generator.DeltaGenerator, label: str) -> NoReturn:
    with place.container(border=True):
        text, button = st.columns([5, 1], vertical_alignment="center")
        text.markdown(f"Stopped: {label}. Nothing of it was kept.")
        button.button("Run it", key="again", on_click=_again, width="stretch")
    st.stop()

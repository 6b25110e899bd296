"""A page's long computation: its value, its errors, its progress and the Stop button."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import jobs
from interp.errors import Cancelled, InputError


def test_a_job_returns_the_value_of_its_call() -> None:
    job = jobs.Job(lambda: 42)
    assert job.finished(5)
    assert job.result() == 42


def test_a_job_raises_what_its_call_raised() -> None:
    def fails() -> None:
        raise InputError("the sample is empty")

    job = jobs.Job(fails)
    assert job.finished(5)
    with pytest.raises(InputError, match="the sample is empty"):
        job.result()


def test_the_call_finds_its_own_job_and_reports_to_it() -> None:
    def call() -> jobs.Job[Any]:
        jobs.current().progress(3, 12)
        return jobs.current()

    first, second = jobs.Job(call), jobs.Job(call)
    assert first.finished(5)
    assert second.finished(5)
    assert first.result() is first
    assert second.result() is second
    assert (first.done, first.total) == (3, 12)
    assert first.how_far().startswith("3 of 12")


def test_cancelling_ends_the_call_between_two_batches() -> None:
    entered = threading.Event()

    def call() -> None:
        entered.set()
        while True:
            jobs.current().cancel.check()
            time.sleep(0.01)

    job = jobs.Job(call)
    assert entered.wait(5)
    assert not job.finished(0.05)
    job.cancel.set()
    assert job.finished(5)
    with pytest.raises(Cancelled):
        job.result()


def slow_page() -> None:
    import time

    import streamlit as st

    from app import jobs

    def call() -> int:
        st.session_state["calls"] = st.session_state.get("calls", 0) + 1
        for step in range(7):
            jobs.current().progress(step, 7)
            time.sleep(0.1)
        return 42

    st.write("answer", jobs.run(("slow",), "Thinking", call))


def test_a_page_waits_for_its_job_and_clears_the_progress_away() -> None:
    at = AppTest.from_function(slow_page).run(timeout=20)
    assert [block.value for block in at.markdown] == ["answer `42`"]
    assert not at.button


def test_a_stopped_job_is_not_computed_again_until_asked_for() -> None:
    at = AppTest.from_function(slow_page)
    at.session_state[jobs.STOPPED] = ("slow",)
    at.run(timeout=20)
    assert "Stopped: Thinking" in at.markdown[0].value
    assert "calls" not in at.session_state
    at.button[0].click().run(timeout=20)
    assert at.session_state["calls"] == 1
    assert at.markdown[0].value == "answer `42`"


def test_another_computation_is_not_held_back_by_a_stopped_one() -> None:
    at = AppTest.from_function(slow_page)
    at.session_state[jobs.STOPPED] = ("something else",)
    at.run(timeout=20)
    assert at.markdown[0].value == "answer `42`"


def failing_page() -> None:
    from app import jobs
    from interp.errors import ModelError

    def call() -> int:
        raise ModelError("unknown model 'x'. Known names: add5")

    jobs.run(("load", "x"), "Loading x", call)


def test_an_error_of_the_call_is_raised_in_the_page() -> None:
    at = AppTest.from_function(failing_page).run(timeout=20)
    assert "Known names: add5" in at.exception[0].value


def slowly_failing_page() -> None:
    import time

    import streamlit as st

    from app import jobs
    from interp.errors import InputError

    def call() -> int:
        time.sleep(2 * jobs.PATIENCE)
        raise InputError("the sample is empty")

    try:
        jobs.run(("fails",), "Thinking of A*B", call)
    except InputError as error:
        st.warning(str(error))


def test_after_an_error_nothing_is_left_of_the_progress() -> None:
    at = AppTest.from_function(slowly_failing_page).run(timeout=20)
    assert at.warning[0].value == "the sample is empty"
    assert not at.button
    assert not at.get("progress")


def test_the_size_that_fits_is_by_the_progress_so_far() -> None:
    job = jobs.Job(lambda: None)
    job.progress(3, 12)
    job.began = time.monotonic() - 30  # a quarter in 30 s: 120 s for all
    assert job.fits(4096, 60) == pytest.approx(2048, abs=60)
    assert job.fits(4096, 0.001) == jobs.FEWEST
    assert jobs.Job(lambda: None).fits(4096, 60) == jobs.FEWEST  # nothing is known yet


def long_page() -> None:
    import time

    import streamlit as st

    from app import jobs

    def call() -> int:
        n = st.session_state.get("n", 4000)
        for step in range(n // 100):
            jobs.current().cancel.check()
            jobs.current().progress(step, n // 100)
            time.sleep(0.2 if n > 1000 else 0.01)
        return n

    n = int(st.session_state.get("n", 4000))
    st.write("answer", jobs.run(("long", n), "Thinking", call, n))


def test_a_server_with_a_limit_offers_the_size_that_fits() -> None:
    jobs.allow(1.0)
    try:
        at = AppTest.from_function(long_page).run(timeout=20)
        assert "computes at most 1 s at a time" in at.markdown[0].value
        at.run(timeout=20)  # another click does not compute it again
        assert at.markdown[0].value.startswith("Stopped: Thinking. Nothing of it was kept.")
        at = AppTest.from_function(long_page).run(timeout=20)
        fewer = at.button(key="fewer")
        assert fewer.label.startswith("Take ") and fewer.label.endswith(": about 1 s")
        fewer.click().run(timeout=20)
        n = at.session_state["n"]
        assert jobs.FEWEST <= n < 1000
        assert at.markdown[0].value == f"answer `{n}`"
    finally:
        jobs.allow(None)


def test_a_long_job_offers_fewer_problems_while_it_runs(monkeypatch: Any) -> None:
    offered = []
    monkeypatch.setattr(jobs, "SURE", 0.5)
    monkeypatch.setattr(jobs, "LONG", 1.0)
    monkeypatch.setattr(jobs, "_offer_fewer", lambda job, n, seconds, place: offered.append(n))
    AppTest.from_function(long_page).run(timeout=20)
    assert offered == [4000]  # once

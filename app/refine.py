"""A first answer of a few problems for models that take long, then the full one.

A language model needs a minute or more for what an analysis asks by default. So its pages show a
preliminary answer first, with its own n and interval, and compute the full one below the page's
question; when that is done the page is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.plain import counted

FIRST = 64  # problems of a preliminary answer
PENDING = "answers to refine"


def begin() -> None:
    """Forget what an earlier run of the page left unfinished."""
    st.session_state[PENDING] = []


def later(label: str, n: int | None, compute: Callable[[], object]) -> None:
    """Compute the full answer after the page is drawn; `n` problems, None where it says itself."""
    st.session_state.setdefault(PENDING, []).append((label, n, compute))


def finish(place: st.delta_generator.DeltaGenerator) -> None:
    """Compute what is pending, with its progress shown at `place`; then draw the page anew."""
    pending = st.session_state.pop(PENDING, [])
    if not pending:
        return
    with place:
        sizes = {n for _, n, _ in pending if n is not None}
        full = f" {counted(max(sizes), 'problem')} follow now." if sizes else ""
        st.info(
            f"Preliminary: numbers of {FIRST} problems, each with its interval.{full}",
            icon=":material/hourglass_top:",
        )
        for _, _, compute in pending:
            compute()
    st.rerun()

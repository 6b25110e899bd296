"""Sliders of the ablation schedule; a click or a search can move them too."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from interp.ablation.places import SINKS
from interp.ablation.replacements import REPLACEMENTS
from interp.ablation.schedule import Schedule

WAIT, START, WIDTH = "ablation wait", "ablation start", "ablation width"
NEXT = "ablation next"  # slider positions for the next rerun
MASKS = ("full-peek", "operands", "window:1", "window:2", "window:4", "self-peek", "open")
KEYED = ("cama", "cama:value", "resample:token")
UNKEYED = tuple(name for name in REPLACEMENTS if name not in KEYED)
BEHIND = {True: "Self and sink alone", False: "As in the full model"}


@dataclass(frozen=True)
class Drawn:
    """Slider values of a schedule: the cache key of everything computed from it.

    `wait` and `width` count layers, `start` is the index of the first that transfers; `computes`
    says whether all other layers see self and sink alone, or stay as they are.
    """

    wait: int
    start: int
    width: int
    mask: str
    computes: bool
    replacement: str
    sink: str

    def schedule(self, n_layers: int) -> Schedule:
        """The library's schedule."""
        transfer = tuple(range(self.start, self.start + self.width))
        behind = range(self.wait, n_layers) if self.computes else ()
        compute = tuple(layer for layer in behind if layer not in transfer)
        return Schedule(self.wait, transfer, compute, transfer_mask=self.mask)


def draw(n_layers: int, format: str) -> Drawn:
    """Draw sliders and choices for a model of `n_layers`; return their values."""
    _place(n_layers)
    wait, start, width = (
        column.slider(
            label,
            min_value=0,
            max_value=n_layers,
            key=key,
            on_change=_moved,
            args=(key, n_layers),
            help=told,
            persist_state="session",
        )
        for column, (key, label, told) in zip(st.columns(3), _LABELS, strict=True)
    )
    mask, behind, replacement, sink = _choices(format)
    return Drawn(wait, start, width, mask, behind, replacement, sink)


def move(wait: int, start: int, width: int) -> None:
    """Set the sliders to this schedule on the page's next run."""
    st.session_state[NEXT] = (wait, start, width)


_LABELS = (
    (WAIT, "Layers that wait", "A count: 3 means that layers 0, 1 and 2 wait."),
    (START, "Transfer begins in layer", "An index, from 0."),
    (WIDTH, "Layers that transfer", "A count; 0: nothing moves any more."),
)


def _choices(format: str) -> tuple[str, bool, str, str]:
    masks, behind, given, sinks = st.columns([2, 2, 2, 2])
    mask = masks.selectbox(
        "In them, the last tokens look at", MASKS, key="ablation mask", persist_state="session"
    )
    computes = behind.selectbox(
        "Every other layer",
        list(BEHIND),
        format_func=lambda computes: BEHIND[computes],
        key="ablation behind",
        persist_state="session",
    )
    replacement = given.selectbox(
        "Waiting tokens are given",
        [*KEYED, *UNKEYED],
        key="ablation given",
        persist_state="session",
    )
    known = [sink for sink in SINKS if sink != "shots" or "@" in format]
    sink = sinks.selectbox("All may see, the sink", known, key="ablation sink")
    return str(mask), bool(computes), str(replacement), str(sink)


def _place(n_layers: int) -> None:
    """Apply the requested slider positions, or clip the current ones to this model's layers."""
    state = st.session_state
    third = n_layers // 3
    first = (third, third, n_layers - 2 * third)
    kept = tuple(
        state.get(key, value) for key, value in zip((WAIT, START, WIDTH), first, strict=True)
    )
    wait, start, width = state.pop(NEXT, kept)
    state[WAIT] = min(wait, n_layers)
    state[START] = min(max(start, wait), n_layers)
    state[WIDTH] = min(width, n_layers - state[START])


def _moved(key: str, n_layers: int) -> None:
    """Keep the moved slider and adjust the others."""
    state = st.session_state
    if key == WAIT:
        state[START] = max(state[START], state[WAIT])
    if key == WIDTH:
        state[START] = min(state[START], n_layers - state[WIDTH])
    state[WIDTH] = min(state[WIDTH], n_layers - state[START])
    state[WAIT] = min(state[WAIT], state[START])

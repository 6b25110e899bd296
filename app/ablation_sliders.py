"""Sliders of the ablation schedule; a click or a search can move them too."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import link
from interp.ablation.places import SINKS
from interp.ablation.replacements import REPLACEMENTS
from interp.ablation.schedule import Schedule

WAIT, START, WIDTH = "wait", "transfer-from", "width"
NEXT = "ablation next"  # slider positions for the next rerun
MASKS = ("full-peek", "operands", "window:1", "window:2", "window:4", "self-peek", "open")
KEYED = ("cama", "cama:value", "resample:token")
UNKEYED = tuple(name for name in REPLACEMENTS if name not in KEYED)
BEHIND = {"Self and sink alone": True, "As in the full model": False}
_MASKS_IN_WORDS = {
    "full-peek": "every token before them (full-peek)",
    "operands": "the operands alone",
    "window:1": "the last token (window:1)",
    "window:2": "the last two tokens",
    "window:4": "the last four tokens",
    "self-peek": "themselves and the sink (self-peek)",
    "open": "every token, as do all others (open)",
}
_GIVEN_IN_WORDS = {
    "cama": "their mean, given the token (cama)",
    "cama:value": "their mean, given the number (cama:value)",
    "resample:token": "another prompt's, of the same token",
    "mean": "their mean over all prompts",
    "role-mean": "their mean at this role",
    "zero": "zeros",
    "resample": "another prompt's",
    "own": "their own, from a run in which they saw themselves alone",
}
_SINKS_IN_WORDS = {
    "first": "the first token",
    "shots": "the solved examples",
    "none": "nothing",
}


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
            bind="query-params",
            persist_state="session",
        )
        for column, (key, label, told) in zip(st.columns(3), _LABELS, strict=True)
    )
    mask, behind, replacement, sink = _choices(format)
    return Drawn(wait, start, width, mask, behind, replacement, sink)


def presets(n_layers: int) -> None:
    """Three schedules in words, each a button that sets the sliders to it."""
    third, middle = n_layers // 3, (n_layers - 1) // 2
    known = {
        "Wait, then move, then think alone": (third, third, max(1, n_layers - 2 * third)),
        "Everything moves in one layer": (middle, middle, 1),
        "Nothing ever moves: the control": (n_layers, n_layers, 0),
    }
    for column, (words, schedule) in zip(st.columns(len(known)), known.items(), strict=True):
        column.button(words, on_click=move, args=schedule, width="stretch")


def move(wait: int, start: int, width: int) -> None:
    """Set the sliders to this schedule on the page's next run."""
    st.session_state[NEXT] = (wait, start, width)


_LABELS = (
    (WAIT, "Layers that wait", "A count: 3 means that layers 0, 1 and 2 wait."),
    (START, "Transfer begins in layer", "An index, from 0."),
    (WIDTH, "Layers that transfer", "A count; 0: nothing moves any more."),
)


def _choices(format: str) -> tuple[str, bool, str, str]:
    with st.expander("What waiting tokens are given, and whom the last tokens see"):
        masks, behind, given, sinks = st.columns(4)
        mask = link.select(
            "In them, the last tokens look at", MASKS, key="mask", first=MASKS[0], place=masks,
            format_func=_MASKS_IN_WORDS.__getitem__,
        )  # fmt: skip
        computes = link.select(
            "Every other layer", list(BEHIND), key="other-layers", first=next(iter(BEHIND)),
            place=behind,
        )  # fmt: skip
        replacement = link.select(
            "Waiting tokens are given", [*KEYED, *UNKEYED], key="given", first=KEYED[0],
            place=given, format_func=_GIVEN_IN_WORDS.__getitem__,
            help="cama is context-aware mean ablation: a token keeps what it is and loses what it "
            "has read.",
        )  # fmt: skip
        known = [sink for sink in SINKS if sink != "shots" or "@" in format]
        sink = link.select(
            "All may see", known, key="sink", first=known[0], place=sinks,
            format_func=_SINKS_IN_WORDS.__getitem__,
            help="The sink: attention that reads nothing rests on the first token.",
        )  # fmt: skip
    return mask, BEHIND[computes], replacement, sink


def _place(n_layers: int) -> None:
    """Apply the requested slider positions, or clip the current ones to this model's layers."""
    state = st.session_state
    third = n_layers // 3
    first = (third, third, n_layers - 2 * third)
    kept = tuple(
        state.get(key, _linked(key, value))
        for key, value in zip((WAIT, START, WIDTH), first, strict=True)
    )
    wait, start, width = state.pop(NEXT, kept)
    state[WAIT] = min(wait, n_layers)
    state[START] = min(max(start, wait), n_layers)
    state[WIDTH] = min(width, n_layers - state[START])


def _linked(key: str, first: int) -> int:
    asked = link.asked(key)
    return int(asked) if asked is not None and asked.isdigit() else first


def _moved(key: str, n_layers: int) -> None:
    """Keep the moved slider and adjust the others."""
    state = st.session_state
    if key == WAIT:
        state[START] = max(state[START], state[WAIT])
    if key == WIDTH:
        state[START] = min(state[START], n_layers - state[WIDTH])
    state[WIDTH] = min(state[WIDTH], n_layers - state[START])
    state[WAIT] = min(state[WAIT], state[START])

"""What the explorer's address holds: read before widgets overwrite it, and never dropped unsaid.

Widgets with `bind="query-params"` keep themselves in the address: `select`, `segments`, `several`,
`slider`, `number` and `toggle` make them, and say what a link asks for that does not exist. `asked`
and `put` serve what no widget keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from app.plain import plain
from interp.errors import nearest

T = TypeVar("T")
N = TypeVar("N", int, float)


def put(key: str, value: str | None) -> None:
    """Write what is chosen into the address, where no widget does; None takes it out."""
    if value is None:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != value:
        st.query_params[key] = value


def asked(key: str) -> str | None:
    """Value of a parameter in the link that opened the explorer.

    Widgets overwrite their part of the address, so it is read before the widget exists.
    """
    name = f"{key} in the link"
    if name not in st.session_state:
        st.session_state[name] = st.query_params.get(key)
    value: str | None = st.session_state[name]
    return value


def say_refused(
    what: str,
    key: str,
    shown: str,
    known: Sequence[str] = (),
    hint: str = "",
    place: Any = None,
) -> None:
    """Warn that the link's value does not exist, until another one is chosen. `hint` says where
    one that is not known can be typed in; `place` is the sidebar unless it says otherwise."""
    found = asked(key)
    instead = st.session_state.setdefault(f"{key} instead", shown)
    if found is None or found == shown or shown != instead:
        st.session_state[f"{key} in the link"] = None
        return
    near = nearest(found, known)
    words = f"There is no {what} {found!r}, which the link asks for. Shown instead: {shown}."
    words += f" Nearest: {near}." if near else ""
    words += f" {hint}" if hint else ""
    (place or st.sidebar).warning(plain(words), icon=":material/link_off:")


def select(
    label: str, options: Sequence[str], *, key: str, first: str, place: Any = st, **shown: Any
) -> str:
    """A drop-down list that the address keeps; what a link asks for and is not there is said."""
    _forget(key, options)
    value = place.selectbox(label, options, index=options.index(first), **_bound(key), **shown)
    _check(label, key, value, options, shown)
    return str(value)


def segments(
    label: str, options: Sequence[str], *, key: str, first: str, place: Any = st, **shown: Any
) -> str:
    """Buttons of which one is pressed, kept in the address as `select` keeps its choice."""
    _forget(key, options)
    value = place.segmented_control(
        label, options, default=first, required=True, **_bound(key), **shown
    )
    _check(label, key, value, options, shown)
    return str(value)


def several(
    label: str, options: Sequence[T], *, key: str, first: Sequence[T], place: Any = st, **shown: Any
) -> tuple[T, ...]:
    """A list of which several may be chosen, kept in the address; what a link asks for beside them
    is said."""
    free = "accept_new_options" in shown
    words = [shown.get("format_func", str)(one) for one in options]
    if f"{key} in the link" not in st.session_state:
        wished = [] if free else st.query_params.get_all(key)
        st.session_state[f"{key} in the link"] = next((x for x in wished if x not in words), None)
    kept = st.session_state.get(key)
    if kept is not None and not set(kept) <= set(options) and not free:
        st.session_state.pop(key)
    value = place.multiselect(label, options, default=list(first), **_bound(key), **shown)
    say_refused(label.lower(), key, ", ".join(map(str, value)) or "none", words, place=st)
    return tuple(value)


def slider(
    label: str, least: N, most: N, first: N, step: N, *, key: str, place: Any = st, **shown: Any
) -> N:
    """A slider that the address keeps; a number outside its range is said."""
    asked(key)
    if not least <= st.session_state.get(key, first) <= most:  # of another model
        st.session_state.pop(key)
    value: N = place.slider(label, least, most, first, step, **_bound(key), **shown)
    kept = asked(key)
    shown_as = kept if kept is not None and _number(kept) == value else str(value)
    say_refused(label.lower(), key, shown_as, place=st)
    return value


def number(
    label: str, least: N, most: N, first: N | None, *, key: str, place: Any = st, **shown: Any
) -> N | None:
    """A field for a number, kept in the address; one outside its range is said."""
    asked(key)
    held = st.session_state.get(key)
    if held is not None and not least <= held <= most:  # of another model or sample
        st.session_state.pop(key)
    value: N | None = place.number_input(label, least, most, first, **_bound(key), **shown)
    kept = asked(key)
    shown_as = kept if kept is not None and _number(kept) == value else _in_words(value)
    say_refused(label.lower(), key, shown_as, place=st)
    return value


def toggle(label: str, *, key: str, **shown: Any) -> bool:
    """A switch that the address keeps; a link that says neither true nor false is answered."""
    asked(key)
    value = bool(st.toggle(label, **_bound(key), **shown))
    say_refused(f"choice of {label.lower()!r}:", key, str(value).lower(), place=st)
    return value


def _bound(key: str) -> dict[str, Any]:
    return {"key": key, "bind": "query-params", "persist_state": "session"}


def _forget(key: str, options: Sequence[str]) -> None:
    """Take the choice back that another model or page left behind."""
    asked(key)
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)


def _check(
    label: str, key: str, value: Any, options: Sequence[str], shown: Mapping[str, Any]
) -> None:
    words: Callable[[str], str] = shown.get("format_func", str)
    say_refused(label.lower(), key, words(value), [words(one) for one in options], place=st)


def _in_words(value: float | None) -> str:
    return "none" if value is None else str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

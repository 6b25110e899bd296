"""Rows of the page Intervene: one intervention each, kept in the session and in the address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import streamlit as st

import probes
from app.plain import plain
from interp.errors import ArithmoscopeError
from interp.geometry.classes import number_roles
from interp.models.prompts import predicted
from interp.models.tokens import digits_in
from interp.stack.edits import By, Edit, Frequency, Head, Mlp, Probe, Wait, parse_stack, write_stack

if TYPE_CHECKING:
    from interp.stack.prepared import Prepared

KEY = "stack"  # in the address
ROWS = "intervene rows"
NAMES: dict[type[Edit], str] = {
    Head: "Head off",
    Mlp: "MLP off",
    Wait: "Tokens wait (CAMA)",
    Frequency: "Frequency removed",
    Probe: "Probe direction moved",
}
EVERYWHERE = "every position"
BY = {"zero": "by zeros", "mean": "by its mean"}
Row = tuple[int, str]


def rows(prepared: Prepared, subject: str) -> tuple[Edit, ...]:
    """Draw the rows and return their interventions; they begin with the link's. `subject` names
    model and task: another one begins anew."""
    kept = _kept(prepared, subject)
    shown = [(uid, _row(prepared, uid, edit)) for uid, edit in kept]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Add an intervention",
            icon=":material/add:",
            key="add intervention",
            on_click=_add,
            args=(prepared,),
        )
        if not shown:
            st.markdown("The stack is empty: the model as it is.")
    edits: list[Edit] = []
    for _, edit in shown:
        if edit in edits:
            st.caption(plain(f"{edit} stands in the stack twice, and acts once."))
        else:
            edits.append(edit)
    st.session_state[ROWS] = [(uid, str(edit)) for uid, edit in shown]
    _put(write_stack(edits))
    return tuple(edits)


def first(prepared: Prepared) -> Edit:
    """The stack at first sight: the last MLP off, or where it cannot be, a head."""
    layer = prepared.model.shape.n_layers - 1
    usable = prepared.model.usable_sites
    return Mlp(layer, "mean") if "mlp_out" in usable else Head(layer, 0)


def _kept(prepared: Prepared, subject: str) -> list[tuple[int, Edit]]:
    state = st.session_state
    if ROWS not in state or state.get("intervene subject") != subject:
        linked = st.query_params.get(KEY) if ROWS not in state else None
        state["intervene subject"] = subject
        state[ROWS] = [(_uid(), str(edit)) for edit in _linked(prepared, linked)]
    return [(uid, parse_stack(text)[0]) for uid, text in cast(list[Row], state[ROWS])]


def _linked(prepared: Prepared, text: str | None) -> tuple[Edit, ...]:
    """The stack of a link; without one, or where the model cannot take it, the first."""
    if text is None:
        return (first(prepared),)
    try:
        edits = parse_stack(text)
        for edit in edits:
            prepared.check(edit)
    except ArithmoscopeError as error:
        st.warning(plain(f"The link's stack was left out: {error}"), icon=":material/link_off:")
        return (first(prepared),)
    return edits


def _put(text: str) -> None:
    if st.query_params.get(KEY) != text:
        st.query_params[KEY] = text


def _uid() -> int:
    number: int = st.session_state.get("intervene uid", 0) + 1
    st.session_state["intervene uid"] = number
    return number


def _add(prepared: Prepared) -> None:
    st.session_state[ROWS] = [*st.session_state[ROWS], (_uid(), str(_new(prepared, Head)))]


def _remove(uid: int) -> None:
    st.session_state[ROWS] = [row for row in st.session_state[ROWS] if row[0] != uid]


def _row(prepared: Prepared, uid: int, edit: Edit) -> Edit:
    """One row of widgets, which wraps in a narrow window."""
    with st.container(border=True, horizontal=True, vertical_alignment="bottom", gap="small"):
        kind = st.selectbox(
            "Intervention",
            _kinds(prepared, edit),
            index=_kinds(prepared, edit).index(type(edit)),
            format_func=NAMES.__getitem__,
            key=f"intervene {uid} kind",
            width=165,
        )
        start = edit if isinstance(edit, kind) else _new(prepared, kind)
        found = _DRAW[kind](prepared, f"intervene {uid} {kind.__name__}", start)
        st.button(
            "",
            icon=":material/close:",
            key=f"intervene {uid} remove",
            help="Take it off the stack",
            on_click=_remove,
            args=(uid,),
        )
    return found


def _kinds(prepared: Prepared, edit: Edit) -> list[type[Edit]]:
    """The kinds that this model takes."""
    usable = prepared.model.usable_sites
    needs = {Head: "z", Mlp: "mlp_out", Frequency: "resid_post", Probe: "resid_post"}
    known = [kind for kind, site in needs.items() if site in usable]
    known += [Wait] * (not prepared.model.adapter.whole)
    return [kind for kind in NAMES if kind in known or kind is type(edit)]


def _new(prepared: Prepared, kind: type[Edit]) -> Edit:
    """What a row of this kind begins with."""
    last = prepared.model.shape.n_layers - 1
    places = _number_places(prepared)
    if kind is Head:
        return Head(0, 0)
    if kind is Mlp:
        return Mlp(last, "mean")
    if kind is Wait:
        return Wait(1)
    if kind is Frequency:
        return Frequency(1, last, places[-1])
    targets = _targets(prepared)
    usual = next((t for t in targets if t.startswith("carry")), targets[0])
    return Probe(usual, 0.0, last, _places(prepared)[-1])


def _head(prepared: Prepared, key: str, now: Edit) -> Edit:
    assert isinstance(now, Head)
    shape = prepared.model.shape
    layer = _slider("Layer", shape.n_layers, now.layer, f"{key} layer")
    head = _slider("Head", shape.n_heads, now.head, f"{key} head")
    return Head(layer, head, _by(now.by, key), _role(prepared, now.role, key))


def _mlp(prepared: Prepared, key: str, now: Edit) -> Edit:
    assert isinstance(now, Mlp)
    layer = _slider("Layer", prepared.model.shape.n_layers, now.layer, f"{key} layer")
    return Mlp(layer, _by(now.by, key), _role(prepared, now.role, key))


def _wait(prepared: Prepared, key: str, now: Edit) -> Edit:
    assert isinstance(now, Wait)
    layers = st.slider(
        "Layers that wait",
        0,
        prepared.model.shape.n_layers,
        now.layers,
        key=f"{key} layers",
        width=200,
        help="Before this layer every token but the first is replaced by its mean over prompts "
        "that have the same token there.",
    )
    return Wait(int(layers))


def _frequency(prepared: Prepared, key: str, now: Edit) -> Edit:
    assert isinstance(now, Frequency)
    layer = _slider("After layer", prepared.model.shape.n_layers, now.layer, f"{key} layer")
    role = _choose("At the token", _number_places(prepared), now.role, f"{key} role")
    frequency = st.number_input(
        "Frequency", 1, value=now.frequency, key=f"{key} frequency", width=110,
        help="Waves in the circle of numbers: of digits 1 to 5.",
    )  # fmt: skip
    return Frequency(int(frequency), layer, role)


def _probe(prepared: Prepared, key: str, now: Edit) -> Edit:
    assert isinstance(now, Probe)
    target = _choose("What is read", _targets(prepared), now.target, f"{key} target")
    value = st.number_input("Moved to", value=now.value, step=1.0, key=f"{key} value", width=110)
    layer = _slider("After layer", prepared.model.shape.n_layers, now.layer, f"{key} layer")
    role = _choose("At the token", _places(prepared), now.role, f"{key} role")
    return Probe(target, float(value), layer, role)


_DRAW: dict[type[Edit], Callable[[Prepared, str, Edit], Edit]] = {
    Head: _head,
    Mlp: _mlp,
    Wait: _wait,
    Frequency: _frequency,
    Probe: _probe,
}


def _slider(label: str, count: int, now: int, key: str) -> int:
    """A whole number from 0 below `count`: no slider where there is one alone."""
    if count == 1:
        return 0
    return int(st.slider(label, 0, count - 1, min(now, count - 1), key=key, width=105))


def _choose(label: str, options: Sequence[str], now: str, key: str) -> str:
    known = [*options, *([now] if now not in options else [])]
    return str(st.selectbox(label, known, index=known.index(now), key=key, width=140))


def _by(now: By, key: str) -> By:
    found = st.segmented_control(
        "Replaced",
        list(BY),
        default=now,
        required=True,
        format_func=BY.__getitem__,
        key=f"{key} by",
    )
    return "mean" if found == "mean" else "zero"


def _role(prepared: Prepared, now: str | None, key: str) -> str | None:
    role = _choose("At", [EVERYWHERE, *_places(prepared)], now or EVERYWHERE, f"{key} role")
    return None if role == EVERYWHERE else role


def _places(prepared: Prepared) -> list[str]:
    """Tokens in order of print; the answer's by what they predict."""
    return prepared.kept("places", lambda: _all_places(prepared))


def _all_places(prepared: Prepared) -> list[str]:
    batch = prepared.batch
    given = [r for r in batch.input_roles if r != "last" and r not in batch.answer_roles]
    return [*given, *(f"predicts({role})" for role in batch.answer_roles)]


def _number_places(prepared: Prepared) -> list[str]:
    return prepared.kept("numbers", lambda: list(number_roles(prepared.batch)))


def _targets(prepared: Prepared) -> list[str]:
    names = probes.target_names(prepared.batch.problems.task)
    return [name for name in names if digits_in(predicted(name)) is None]

"""The sliders draw one schedule that fits: the one that is moved stays, the others make room."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.ablation_sliders import Drawn
from interp.ablation import Schedule

KEYS = {"wait": "wait", "start": "transfer-from", "width": "width"}


def drawing() -> None:
    import streamlit as st

    from app import ablation_sliders

    st.session_state["drawn"] = ablation_sliders.draw(
        st.session_state["n_layers"], st.session_state.get("format", "plain")
    )


def sliders(n_layers: int, **state: object) -> AppTest:
    at = AppTest.from_function(drawing)
    at.session_state["n_layers"] = n_layers
    for key, value in state.items():
        at.session_state["ablation next" if key == "next" else KEYS[key]] = value
    return at.run()


def drawn(at: AppTest) -> tuple[int, int, int]:
    assert not at.exception
    found: Drawn = at.session_state["drawn"]
    found.schedule(at.session_state["n_layers"]).check(at.session_state["n_layers"], 1, "model")
    return found.wait, found.start, found.width


@pytest.mark.parametrize("n_layers", [1, 2, 3, 30])
def test_every_model_begins_with_a_schedule_that_fits(n_layers: int) -> None:
    wait, start, width = drawn(sliders(n_layers))
    assert wait == start
    assert width > 0


@pytest.mark.parametrize(
    ("key", "value", "want"),
    [
        ("wait", 4, (4, 4, 2)),
        ("wait", 6, (6, 6, 0)),
        ("wait", 0, (0, 3, 2)),
        ("start", 1, (1, 1, 2)),
        ("start", 5, (2, 5, 1)),
        ("width", 5, (1, 1, 5)),
        ("width", 0, (2, 3, 0)),
    ],
)
def test_the_slider_that_is_moved_stays(key: str, value: int, want: tuple[int, ...]) -> None:
    at = sliders(6, next=(2, 3, 2))
    assert drawn(at) == (2, 3, 2)
    at.slider(key=KEYS[key]).set_value(value).run()
    assert drawn(at) == want
    assert tuple(at.slider(key=k).value for k in KEYS.values()) == want


def test_a_smaller_model_keeps_what_fits() -> None:
    at = sliders(30, next=(10, 12, 9))
    at.session_state["n_layers"] = 4
    assert drawn(at.run()) == (4, 4, 0)


def test_choices_become_the_schedule() -> None:
    at = sliders(5, next=(1, 2, 1))
    at.selectbox(key="mask").set_value("operands")
    at.selectbox(key="other-layers").set_value("As in the full model")
    at.selectbox(key="given").set_value("zero").run()
    found: Drawn = at.session_state["drawn"]
    assert found.schedule(5) == Schedule(1, (2,), (), transfer_mask="operands")
    assert (found.replacement, found.sink) == ("zero", "first")


@pytest.mark.parametrize(("format", "offered"), [("plain", False), ("plain@2:0", True)])
def test_examples_are_a_sink_only_where_there_are_any(format: str, offered: bool) -> None:
    at = sliders(5, next=(1, 2, 1))
    at.session_state["format"] = format
    at.run()
    assert ("the solved examples" in at.selectbox(key="sink").options) == offered

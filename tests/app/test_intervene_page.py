"""The page Intervene: the library's numbers, a typed problem, and a stack kept in the address."""

from __future__ import annotations

from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from tests.app.test_explorer import numbers, traces, words
from tests.app.test_heads_page import SEED, N, made, opened


def shows(at: AppTest) -> Any:
    """The library's Result of the call in the drawer, once the figure was seen to plot it."""
    assert not at.exception
    want = made(at.code[0].value)
    (heat,) = traces(at, "heatmap")
    np.testing.assert_allclose(numbers(heat["z"]), want.change.values.T, atol=1e-4)
    (own, *control) = traces(at, "scatter")
    np.testing.assert_allclose(numbers(own["y"]), want.right_change["change"], atol=1e-4)
    assert len(control) == bool(len(want.controls))
    table = "".join(part.proto.body for part in at.get("html"))
    for token, share in zip(want.answer["after"], want.answer["probability_after"], strict=True):
        assert f">{token}<br><small>{share:.1%}</small>" in table
    return want


def test_the_page_plots_the_librarys_numbers_and_follows_the_stack() -> None:
    stack = "head L0H1 zero, wait 1 layer"
    at = opened("intervene", stack=stack, problem="12345+67")
    want = shows(at)
    assert (want.stack, want.n) == (("head L0H1 zero", "wait 1 layer"), 1)
    assert want.conclusion() in words(at).replace("\\", "")
    assert f"n={N}" in want.code and want.seed == SEED
    # Another head by its slider, then a row off: the address and the call follow.
    sliders = [slider for slider in at.slider if slider.label == "Head"]
    sliders[0].set_value(2).run()
    assert shows(at).stack == ("head L0H2 zero", "wait 1 layer")
    remove = [button for button in at.button if str(button.key).endswith("remove")]
    remove[0].click().run()
    assert shows(at).stack == ("wait 1 layer",)
    assert at.query_params["stack"] in ("wait 1 layer", ["wait 1 layer"])


def test_a_problem_is_typed_and_a_wrong_one_is_explained() -> None:
    at = opened("intervene", stack="mlp L1 zero at a4")
    shown = [warning.value for warning in at.main.warning]
    assert shown and shown[0].startswith("No logit moved by more than the no-op noise floor")
    assert shows(at).prompt == "99999+00001=100000"
    at.text_input(key="problem").set_value("12*3").run()
    assert "is no problem of add\\:5: write one such as" in at.main.warning[0].value
    assert not at.get("plotly_chart")


def test_a_link_that_the_model_cannot_take_says_why() -> None:
    at = opened("intervene", stack="head L5H0 zero")
    assert "layer 5 does not exist: add5 has layers 0 to 1" in at.main.warning[0].value
    assert shows(at).stack == ("mlp L1 mean",)

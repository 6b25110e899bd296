"""The page Compare: the library's difference, of seeds, tasks and checkpoints, from a link."""

from __future__ import annotations

from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from tests.app.test_explorer import numbers, traces, words
from tests.app.test_heads_page import made, opened


def shows(at: AppTest) -> Any:
    """The library's Result of the call in the drawer, once the figure was seen to plot it."""
    assert not at.exception and not at.main.warning
    want = made(at.code[0].value)
    drawn = [numbers(trace["z"]) for trace in traces(at, "heatmap")]
    for shown, grid in zip(drawn, (want.first, want.second, want.difference), strict=True):
        np.testing.assert_allclose(np.sort(shown.ravel()), np.sort(grid.values.ravel()), atol=1e-6)
    assert want.conclusion() in words(at).replace("\\", "")
    assert want.caption in words(at).replace("\\", "")
    return want


def test_two_seeds_are_compared_and_then_two_tasks() -> None:
    at = opened("compare", analysis="attribution.logit_lens")
    want = shows(at)
    assert want.names == ("add5", "add5-s1") and want.analysed == "logit_lens"
    at.selectbox(key="other-model").set_value("add5").run()
    at.selectbox(key="other-task").set_value("add:2").run()
    want = shows(at)
    assert want.names == ("add5, add:5", "add5, add:2")


def test_a_link_leads_to_a_checkpoint() -> None:
    link = {"other-model": "mod113", "other-checkpoint": "500"}
    at = opened("compare", model="mod113", analysis="attribution.logit_lens", **link)
    want = shows(at)
    assert want.hashes[0] != want.hashes[1]
    assert "step 500" in words(at)


def test_a_task_that_does_not_exist_is_explained() -> None:
    at = opened("compare", analysis="attribution.logit_lens", **{"other-task": "multiply"})
    assert "unknown task 'multiply'" in at.main.warning[0].value
    assert not at.get("plotly_chart")

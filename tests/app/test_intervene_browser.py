"""The page Intervene in a real Chromium: type, press a key, open the link in another browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import interp
from tests.app.test_browser import SEED, N, address, plotted, tab
from tests.app.test_explorer import numbers

__all__ = ["address", "tab"]  # fixtures
pytestmark = pytest.mark.browser


def test_a_typed_problem_and_a_key_press_stand_in_the_link(tab: Page, add5: Any) -> None:
    tab.goto(tab.url.rstrip("/") + "/intervene?model=add5&stack=head+L0H1+zero")
    plotted(tab)
    tab.get_by_role("textbox", name="One problem of your own").fill("12345+67")
    tab.keyboard.press("Enter")
    expect(tab.locator("table.digits")).to_contain_text("2")
    tab.get_by_test_id("stMain").get_by_role("slider", name="Head").press("ArrowRight")
    tab.wait_for_url("**/intervene?*head+L0H2+zero*")
    want = interp.intervene(
        add5, "add:5", stack="head L0H2 zero", problem="12345+67", n=N, seed=SEED
    )
    sentence = want.conclusion().partition(",")[0]
    expect(tab.get_by_text(sentence)).to_be_visible()
    with tab.context.browser.new_context() as other:  # type: ignore[union-attr]
        again = other.new_page()
        again.set_default_timeout(120_000)
        again.goto(tab.url)
        for page in (tab, again):
            (heat,) = plotted(page)
            shown = numbers(heat["z"]).reshape(want.change.values.T.shape)
            np.testing.assert_allclose(shown, want.change.values.T, atol=1e-3)

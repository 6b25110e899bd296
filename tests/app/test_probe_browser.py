"""The Probes page in a real Chromium: a click on a cell shows what that cell holds."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import probes
from tests.app.test_browser import SEED, N, address, plotted, tab
from tests.app.test_explorer import numbers

__all__ = ["address", "tab"]  # fixtures

pytestmark = pytest.mark.browser


def test_a_click_on_a_cell_shows_true_against_predicted(tab: Page, add5: Any) -> None:
    tab.goto(tab.url.rstrip("/") + "/probes?model=add5")
    (heat,) = plotted(tab)
    want = probes.probe(add5, "add:5", targets=["carry[1]"], n=N, seed=SEED)
    grid = want.grid("carry[1]", "gain")
    shown = numbers(heat["z"]).reshape(grid.shape)
    np.testing.assert_allclose(shown, grid.values, atol=1e-3)

    box = tab.locator(".js-plotly-plot .heatmaplayer").first.bounding_box()
    assert box is not None
    rows, columns = heat["y"], heat["x"]
    across = (columns.index("c2") + 0.5) / len(columns) * box["width"]
    down = (len(rows) - 1 - rows.index("L0") + 0.5) / len(rows) * box["height"]
    tab.mouse.click(box["x"] + across, box["y"] + down)
    told = re.compile(r"carry\[1\] at resid_post of layer 0, role c2, has accuracy")
    expect(tab.get_by_text(told)).to_be_visible()
    expect(tab.locator(".js-plotly-plot")).to_have_count(2)
    code = "JSON.stringify(document.querySelectorAll('.js-plotly-plot')[1].data[0])"
    counts = numbers(json.loads(tab.evaluate(code))["z"])
    frame = want.frame
    here = frame[(frame["layer"] == 0) & (frame["role"] == "c2")]
    assert counts.sum() == len(want.scatter(int(here.index[0])))

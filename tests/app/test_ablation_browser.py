"""The Ablation page in a real Chromium: open the grid, click a cell, and its schedule is drawn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import interp
from tests.app.test_browser import SEED, N, address, tab
from tests.app.test_explorer import numbers

__all__ = ["address", "tab"]  # fixtures
pytestmark = pytest.mark.browser


def test_a_click_on_a_cell_of_the_grid_draws_its_schedule(tab: Page, add5: Any) -> None:
    tab.goto(tab.url.rstrip("/") + "/ablation?model=add5")
    page = tab.get_by_test_id("stMain")
    sliders = page.get_by_role("slider")
    # The mask, both grids, and a grid for each of six answer tokens: drawn, so nothing shifts.
    expect(tab.locator(".js-plotly-plot .heatmaplayer")).to_have_count(1 + 2 + 6)
    grid = tab.locator(".js-plotly-plot").nth(1)
    expect(grid.locator(".heatmaplayer")).to_have_count(2)
    data = json.loads(grid.evaluate("e => JSON.stringify(e.data.map(t => ({...t})))"))
    heat = next(trace for trace in data if trace["type"] == "heatmap")
    want = interp.ablation.grid(add5, "add:5", n=N, seed=SEED)
    shown = numbers(heat["z"]).reshape(len(heat["y"]), len(heat["x"]))
    np.testing.assert_allclose(shown, want.faithfulness.values.T, atol=1e-6)

    grid.scroll_into_view_if_needed()
    box = grid.locator(".heatmaplayer").first.bounding_box()
    assert box is not None
    wait, width = heat["x"].index("1"), heat["y"].index("1")
    across = (wait + 0.5) / len(heat["x"]) * box["width"]
    up = (width + 0.5) / len(heat["y"]) * box["height"]
    tab.mouse.click(box["x"] + across, box["y"] + box["height"] - up)
    for slider in range(3):
        expect(sliders.nth(slider)).to_have_value("1")

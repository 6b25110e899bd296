"""The explorer in a real Chromium: choose a model, open Attribution, see the library's numbers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

import interp
from app.tour import STEPS
from tests.app.test_explorer import ENTRY, numbers

pytestmark = pytest.mark.browser

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
N, SEED = 64, 7
PATIENCE = 120_000  # milliseconds: a cold start on two busy cores


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The explorer, started by the command that a person types, on a free port of this machine,
    from a folder with files of the person's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("own")
    for name in ("app.py", "probes.py", "interp.py"):
        (folder / name).write_text("raise SystemExit('a file of the user')")
    command = [
        sys.executable,
        "-P",
        "-m",
        "app.cli",
        "explore",
        "--no-browser",
        "--port",
        str(port),
    ]
    command += ["--n", str(N), "--seed", str(SEED)]
    path = {**os.environ, "PYTHONPATH": str(ENTRY.parent.parent)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder, env=path) as server:
        try:
            yield _when_up(f"http://127.0.0.1:{port}", server)
        finally:
            server.terminate()


def _when_up(url: str, server: subprocess.Popen[bytes]) -> str:
    for _ in range(600):
        assert server.poll() is None, "the explorer ended before it could be opened"
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
                if answer.status == 200:
                    return url
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"the explorer did not come up at {url}")


@pytest.fixture
def tab(chromium: str, address: str) -> Iterator[Page]:
    """A browser tab on the explorer's first page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 1200})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(address)
        yield page
        browser.close()


def choose(tab: Page, label: str, option: str) -> None:
    """Choose an option of a select box in the sidebar."""
    tab.get_by_test_id("stSidebar").get_by_role("combobox", name=label).click()
    tab.get_by_role("option", name=option, exact=True).click()


def plotted(tab: Page) -> list[dict[str, Any]]:
    """The heat maps of the first figure, as the browser holds them."""
    code = "JSON.stringify(document.querySelector('.js-plotly-plot').data.map(t => ({...t})))"
    tab.wait_for_selector(".js-plotly-plot .heatmaplayer")
    return [trace for trace in json.loads(tab.evaluate(code)) if trace["type"] == "heatmap"]


def test_choose_a_model_open_attribution_and_see_the_librarys_numbers(tab: Page, add5: Any) -> None:
    choose(tab, "Model", "add5")
    tab.get_by_role("link", name="Attribution").click()
    expect(tab.get_by_role("heading", name="Attribution")).to_be_visible()
    effect, oracle = plotted(tab)

    want = interp.attribution.counterfactual(add5, "add:5", n=N, seed=SEED)
    for trace, grid in ((effect, want.effect), (oracle, want.oracle)):
        rows = [grid.axis("operand_digit").index(label) for label in trace["y"]]
        columns = [grid.axis("answer_digit").index(label) for label in trace["x"]]
        shown = numbers(trace["z"]).reshape(len(rows), len(columns))
        np.testing.assert_allclose(shown, grid.values[np.ix_(rows, columns)], rtol=1e-4, atol=1e-4)
    expect(tab.get_by_text(want.caption)).to_be_visible()


def test_a_click_on_a_cell_shows_one_prompt_before_and_after(tab: Page) -> None:
    tab.goto(tab.url.rstrip("/") + "/attribution?model=add5")
    effect = plotted(tab)[0]
    box = tab.locator(".js-plotly-plot .heatmaplayer").first.bounding_box()
    assert box is not None
    row, column = effect["y"].index("a2"), effect["x"].index("c2")
    across = (column + 0.5) / len(effect["x"]) * box["width"]
    down = (row + 0.5) / len(effect["y"]) * box["height"]
    tab.mouse.click(box["x"] + across, box["y"] + down)
    words = re.compile(r"When a2 is replaced, the logit of c2")
    expect(tab.get_by_text(words)).to_be_visible()
    expect(tab.locator(".js-plotly-plot")).to_have_count(2)

    launched = tab.context.browser
    assert launched is not None
    other = launched.new_context().new_page()  # a browser that knows nothing of the first
    other.set_default_timeout(PATIENCE)
    other.goto(tab.url)
    expect(other.get_by_text(words)).to_have_text(tab.get_by_text(words).inner_text())
    expect(other.locator(".js-plotly-plot")).to_have_count(2)
    assert summary(other) == summary(tab)


def test_stop_ends_a_long_computation_and_it_can_be_asked_for_again(tab: Page) -> None:
    tab.goto(tab.url.rstrip("/") + "/attribution?n=100000")
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(tab.get_by_text("Nothing of it was kept.")).to_be_visible()
    expect(tab.get_by_role("button", name="Run it")).to_be_visible()
    assert tab.locator(".js-plotly-plot").count() == 0


def summary(tab: Page) -> dict[str, Any]:
    """The first result.json that the page hands out."""
    tab.get_by_text("Take it away").first.click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="result.json").first.click()
    found: dict[str, Any] = json.loads(download.value.path().read_text())
    return found


def test_the_drawer_hands_out_the_result(tab: Page) -> None:
    tab.goto(tab.url.rstrip("/") + "/attribution?model=add5")
    found = summary(tab)
    assert found["analysis"] == "counterfactual_attribution"
    assert (found["task"], found["n"], found["seed"]) == ("add:5", N, SEED)


def test_two_seeds_side_by_side_in_the_compare_view(tab: Page, add5: Any) -> None:
    tab.goto(tab.url.rstrip("/") + "/compare?model=add5&other-model=add5-s1")
    shown = [numbers(trace["z"]) for trace in plotted(tab)]
    one, two = (
        interp.attribution.counterfactual(model, "add:5", n=N, seed=SEED).effect.values
        for model in (add5, interp.load("add5-s1"))
    )
    for values, want in zip(shown, (one, two, two - one), strict=True):
        np.testing.assert_allclose(
            np.sort(values.ravel()), np.sort(want.ravel()), rtol=1e-3, atol=1e-3
        )


def test_the_tour_leads_through_five_pages(tab: Page) -> None:
    """Five clicks from the first page; each page says its step and draws its figure."""
    pages = tab.get_by_test_id("stMain")
    pages.get_by_role("link", name="Take the tour").click()
    for number, step in enumerate(STEPS, start=1):
        expect(pages.get_by_text(f"Step {number} of {len(STEPS)}: {step.title}")).to_be_visible()
        tab.wait_for_selector(".js-plotly-plot .main-svg")
        if number < len(STEPS):
            pages.get_by_role("link", name=f"Next: {STEPS[number].page}").click()
    pages.get_by_role("link", name="Back to the start").click()
    expect(pages.get_by_role("link", name="Take the tour")).to_be_visible()

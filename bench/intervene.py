"""Time from a key press to the picture on the page Intervene, beside an almost empty page.

Both pages are opened in Chromium. An arrow key moves a slider inside a fragment; the time ends when
Plotly has drawn the new heat map. The almost empty page is a fragment with a slider and a heat map
of the same size, which computes nothing. `script` is the time of the fragment's script alone, as
the server runs it, forward passes included.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Page, sync_playwright

from app.commands.explore import ENVIRONMENT
from bench.harness import record
from interp.figures.export import browser

ROOT = Path(__file__).resolve().parents[1]
PRESSES, WARM_UP = 20, 4
STACKS = {
    "head": "head L0H0 zero",
    "head, mean": "head L0H0 mean",
    "head beside a wait": "head L0H0 zero, wait 1 layer",
    "head beside a wave": "head L0H0 zero, frequency 2 at layer 1 role predicts(c2)",
    "head beside a probe": "head L0H0 zero, probe carry[0] to 0 at layer 1 role predicts(c1)",
}
BOUNDS = {"picture": 0.4, "script": 0.1}
"""The most seconds, medians, on add5 with one head off."""
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")

_EMPTY = """
import numpy as np
import plotly.graph_objects as go
import streamlit as st

@st.fragment
def fragment():
    at = st.slider("Head", 0, 3, 0)
    figure = go.Figure(go.Heatmap(z=np.roll(np.arange(60.0).reshape(10, 6), at)))
    st.plotly_chart(figure, theme=None, key="figure")

fragment()
"""
_SERVE = """
import sys, time
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.web import cli

plain, log = ScriptRunner._run_script, sys.argv[1]

def timed(self, data):
    began = time.perf_counter()
    plain(self, data)
    if data.fragment_id_queue:
        with open(log, "a") as out:
            print(time.perf_counter() - began, file=out)

ScriptRunner._run_script = timed
cli.main_run([
    sys.argv[2], "--server.port", sys.argv[3], "--server.headless", "true", "--server.address",
    "127.0.0.1", "--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none",
])
"""
_PRESS = """
async ([key]) => {
  if (document.activeElement.type !== 'range') return -1;
  const plot = document.querySelector('.js-plotly-plot');
  const before = JSON.stringify(plot.data[0].z);
  return await new Promise(done => {
    const began = performance.now();
    const look = () => {
      const now = document.querySelector('.js-plotly-plot');
      if (now && now.data && JSON.stringify(now.data[0].z) !== before)
        requestAnimationFrame(() => done((performance.now() - began) / 1000));
      else if (performance.now() - began > 20000) done(NaN);
      else requestAnimationFrame(look);
    };
    const begin = () => requestAnimationFrame(look);
    window.addEventListener('keydown', begin, {once: true, capture: true});
    window.pressed = true;
  });
}
"""


@contextmanager
def served(script: Path, log: Path) -> Iterator[str]:
    """The address of a Streamlit script, which writes the time of each fragment's run to `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-c", _SERVE, str(log), str(script), str(port)]
    environment = {**ENVIRONMENT, **os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            _wait(f"http://127.0.0.1:{port}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError("the page's server ended before it could be opened")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)


def measure(page: Page, address: str, log: Path) -> dict[str, Any]:
    """Seconds from key to picture and of the script, for `PRESSES` presses."""
    page.goto(address)
    page.wait_for_selector(".js-plotly-plot .heatmaplayer")
    slider = page.get_by_test_id("stMain").get_by_role("slider", name="Head")
    times: list[float] = []
    for press in range(WARM_UP + PRESSES):
        if press == WARM_UP:
            log.write_text("")
        key = "ArrowRight" if press % 6 < 3 else "ArrowLeft"
        slider.focus()
        page.wait_for_timeout(300)
        waiting = page.evaluate_handle(
            "([code, key]) => ({done: eval(code)([key])})", [_PRESS, key]
        )
        page.keyboard.press(key)
        seconds = float(waiting.evaluate("async x => await x.done"))
        if not seconds > 0:
            raise RuntimeError(
                f"press {press} moved nothing: {seconds}, slider at {slider.input_value()}"
            )
        times.append(seconds)
        page.wait_for_timeout(200)
    scripts = [float(line) for line in log.read_text().splitlines()]
    return {
        "picture": statistics.median(times[WARM_UP:]),
        "script": statistics.median(scripts),
        "pictures": times[WARM_UP:],
        "scripts": scripts,
    }


def main() -> None:
    """Measure the almost empty page and each stack, and write bench/results/intervene.json."""
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=list(FLAGS))
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        log, empty = Path(folder) / "log", Path(folder) / "empty.py"
        empty.write_text(_EMPTY)
        with served(empty, log) as address:
            found["empty"] = measure(page, address, log)
        with served(ROOT / "app" / "Explorer.py", log) as address:
            for name, stack in STACKS.items():
                link = f"{address}/intervene?model=add5&stack={stack.replace(' ', '+')}"
                found[name] = measure(page, link, log)
        chromium.close()
    ratio = {name: one["picture"] / found["empty"]["picture"] for name, one in found.items()}
    body = {"seconds": found, "over_empty": ratio, "at_most": BOUNDS}
    record("intervene", 0, {**body, "load_average": os.getloadavg()[0]}, show=False)
    for name, one in found.items():
        print(f"{name}: picture {one['picture']:.3f} s, script {one['script']:.3f} s")


if __name__ == "__main__":
    main()

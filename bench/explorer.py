"""The explorer's pages: their time, their memory, and eight people at once.

    python -m bench.explorer                       all parts
    python -m bench.explorer --parts pages cached

    pages      seconds of a page's first run, model loaded, over the bare library calls that it
               makes, with another seed: at most 1.5 times and 0.3 s
    cached     seconds from a click in the navigation to the drawn figure of a page seen before,
               over those of an almost empty page with a figure of the same size: at most 0.3 s more
    start      seconds from the command to the first page that shows a model, beside an empty
               Streamlit app and the import of torch and transformer_lens
    memory     megabytes of the server after 20 and after 200 interactions: at most 1.2 times
    sessions   eight browsers with different interventions at once: each shows what the library
               gives for its own

`pages` runs the page's script without a browser, `cached`, `start`, `memory` and `sessions` open
Chromium.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright
from streamlit.testing.v1 import AppTest

import interp
import probes
from bench.harness import record, recorded
from bench.intervene import FLAGS, ROOT, served
from interp.figures.export import browser

ENTRY = ROOT / "app" / "Explorer.py"
MODEL, TASK, N = "add5", "add:5", 256
REPEAT = 3
BOUNDS = {"times": 1.5, "more": 0.3, "cached": 0.3, "memory": 1.2}
CALLS: dict[str, Callable[[Any, int], Any]] = {
    "model": lambda m, s: interp.models.tokenisation_report(m, TASK, n=N, seed=s),
    "behaviour": lambda m, s: interp.behaviour.accuracy(m, TASK, n=N, seed=s),
    "attribution": lambda m, s: interp.attribution.counterfactual(m, TASK, n=N, seed=s),
    "heads": lambda m, s: (
        interp.heads.patch(m, TASK, n=N, seed=s),
        interp.heads.attention(m, TASK, n=N, seed=s),  # of the head below the figure
    ),
    "tree": lambda m, s: interp.heads.carry(m, TASK, n=N, seed=s),
    "probes": lambda m, s: probes.probe(m, TASK, targets=["carry[1]"], n=N, seed=s),
    "intervene": lambda m, s: interp.intervene(
        m, TASK, stack="mlp L1 mean", problem="99999+1", n=N, seed=s
    ),
}
STACKS = tuple(f"head L{layer}H{head} zero" for layer in (0, 1) for head in range(4))
EMPTY = """
import numpy as np
import plotly.graph_objects as go
import streamlit as st

def shown(name):
    st.title(name)
    st.plotly_chart(go.Figure(go.Heatmap(z=np.arange(60.0).reshape(10, 6))), key="figure")

one = st.Page(lambda: shown("One"), title="One", url_path="one", default=True)
two = st.Page(lambda: shown("Two"), title="Two", url_path="two")
st.navigation([one, two]).run()
"""


def main() -> None:
    """Run the parts asked for and add them to bench/results/explorer.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    body = {name: one for name, one in (recorded("explorer") or {}).items() if name in PARTS}
    for name in parser.parse_args().parts:
        body[name] = PARTS[name]()
        print(name, body[name], flush=True)
        load = os.getloadavg()[0]
        record("explorer", 0, {**body, "at_most": BOUNDS, "load_average": load}, show=False)


def pages() -> dict[str, Any]:
    """First run of each page beside the bare call, medians of three seeds."""
    model, found = interp.load(MODEL), {}
    for page, call in CALLS.items():
        ours, bare = [], []
        for seed in range(10, 10 + REPEAT):
            at = AppTest.from_file(str(ENTRY), default_timeout=600)
            for key, value in {"model": MODEL, "n": N, "seed": seed}.items():
                at.query_params[key] = str(value)
            at.run()  # the start page: the model is loaded
            began = time.perf_counter()
            at.switch_page(f"views/{page}.py").run()
            ours.append(time.perf_counter() - began)
            assert not at.exception, page
            began = time.perf_counter()
            call(model, seed + 100)
            bare.append(time.perf_counter() - began)
        page_s, call_s = statistics.median(ours), statistics.median(bare)
        allowed = BOUNDS["times"] * call_s + BOUNDS["more"]
        found[page] = {"page": page_s, "call": call_s, "within": page_s <= allowed}
    return found


def cached() -> dict[str, Any]:
    """Pages seen before, from the click in the navigation to the figure."""
    names = ["Attribution", "Heads", "Behaviour"]  # each another page than the one before it
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        context = _context(playwright)
        log, empty = Path(folder) / "log", Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        with served(empty, log) as address:
            tab = _opened(context, address)
            bare = _switched(tab, ["Two", "One"])
        with served(ENTRY, log) as address:
            tab = _opened(context, f"{address}/behaviour?model={MODEL}&n={N}")
            times = _switched(tab, names)
    empty_s = statistics.median([one for times in bare.values() for one in times])
    by_page = {name: statistics.median(one) for name, one in times.items()}
    return {"empty": empty_s, **by_page, "more": {k: v - empty_s for k, v in by_page.items()}}


def start() -> dict[str, Any]:
    """From the command to a page that shows a model, with nothing loaded before."""
    code = "import torch, transformer_lens"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    imports = time.perf_counter() - began
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        context, empty = _context(playwright), Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        seconds = {}
        for name, script, waits in (
            ("empty", empty, ".js-plotly-plot"), ("explorer", ENTRY, "text=parameters"),
        ):  # fmt: skip
            began = time.perf_counter()
            with served(script, Path(folder) / "log") as address:
                tab = context.new_page()
                tab.set_default_timeout(120_000)
                tab.goto(address)
                tab.wait_for_selector(waits)
                seconds[name] = time.perf_counter() - began
    bound = 2 * seconds["empty"] + imports
    return {**seconds, "imports": imports, "within": seconds["explorer"] <= bound}


def memory() -> dict[str, Any]:
    """Resident memory of the server as interactions add up: another page, another seed and, every
    twenty, another model in a new session. A session that was left is kept for two minutes, in case
    its browser comes back."""
    names = ("add5", "addsub5", "mod113")
    views = ("Attribution", "Heads", "Geometry", "Behaviour")
    at: dict[int, float] = {}
    with (
        TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        served(ENTRY, Path(folder) / "log") as address,
    ):
        tab = _context(playwright).new_page()
        tab.set_default_timeout(120_000)
        for step in range(1, 201):
            bar = tab.get_by_test_id("stSidebar")
            if step % 20 == 1:
                tab.goto(f"{address}/behaviour?model={names[step // 20 % 3]}&n=32")
            elif step % 5 == 0:
                field = bar.get_by_role("spinbutton", name="Seed")
                field.fill(str(step))
                field.press("Enter")
            else:
                bar.get_by_role("link", name=views[step % 4], exact=True).click()
            _settled(tab)
            if step in (20, 50, 100, 150, 200):
                at[step] = _resident(address)
    return {"megabytes": at, "times": at[200] / at[20]}


def sessions() -> dict[str, Any]:
    """Eight tabs, each with a session of its own and a stack of its own, opened together."""
    model = interp.load(MODEL)
    wanted = {
        stack: interp.intervene(model, TASK, stack=stack, problem="48317+27586", n=N, seed=0)
        for stack in STACKS
    }
    with (
        TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        served(ENTRY, Path(folder) / "log") as address,
    ):
        tabs = {}
        for stack in STACKS:
            tab = _context(playwright).new_page()
            tab.set_default_timeout(300_000)
            asked = f"model={MODEL}&n={N}&problem=48317%2B27586&stack={stack.replace(' ', '+')}"
            tab.goto(f"{address}/intervene?{asked}", wait_until="commit")
            tabs[stack] = tab
        same = {}
        for stack, tab in tabs.items():
            tab.wait_for_selector(".js-plotly-plot .heatmaplayer")
            _settled(tab)
            words = tab.get_by_test_id("stMain").inner_text()
            same[stack] = str(wanted[stack].conclusion()) in " ".join(words.split())
    assert all(same.values()), same
    return {"sessions": len(same), "equal_to_the_library": sum(same.values())}


def _context(playwright: Any) -> BrowserContext:
    chromium = playwright.chromium.launch(executable_path=browser(), args=list(FLAGS))
    context: BrowserContext = chromium.new_context(viewport={"width": 1280, "height": 800})
    return context


def _opened(context: BrowserContext, address: str) -> Page:
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    tab.goto(address)
    tab.wait_for_selector(".js-plotly-plot")
    return tab


def _switched(tab: Page, names: list[str]) -> dict[str, list[float]]:
    """Seconds from the click on each page's name to its figure; the first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(4):
        for name in names:
            _settled(tab)
            link = tab.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True)
            tab.evaluate("document.querySelectorAll('.js-plotly-plot').forEach(p => p.old = true)")
            began = time.perf_counter()
            link.click()
            tab.wait_for_function(
                "[...document.querySelectorAll('.js-plotly-plot')]"
                ".some(p => !p.old && p.querySelector('.heatmaplayer'))"
            )
            if turn:
                times[name].append(time.perf_counter() - began)
    return times


def _settled(tab: Page) -> None:
    """Wait until the page's script has ended."""
    tab.wait_for_selector("[data-test-script-state=notRunning]")
    tab.wait_for_timeout(150)
    tab.wait_for_selector("[data-test-script-state=notRunning]")


def _resident(address: str) -> float:
    """Megabytes of the server that listens there."""
    port = address.rpartition(":")[2]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            if port.encode() in command:
                pages_held = int((process / "statm").read_text().split()[1])
                return pages_held * os.sysconf("SC_PAGE_SIZE") / 1e6
        except OSError:
            continue
    raise RuntimeError("the explorer's server is gone")


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "pages": pages, "cached": cached, "start": start, "memory": memory, "sessions": sessions,
}  # fmt: skip

if __name__ == "__main__":
    main()

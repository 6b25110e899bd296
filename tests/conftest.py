"""What every test relies on: no network, no Hub, repeatable examples and a browser."""

from __future__ import annotations

import os
import secrets

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Drawn once, before there are workers: they inherit it, and so collect the same tests.
os.environ.setdefault("PLANTED_SEED", str(secrets.randbelow(2**31)))

import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

ROOT = Path(__file__).resolve().parent
SLOW = {
    "": "test_asking test_notebook test_packaging",
    "ablation": "test_af1 test_doors test_evaluate test_memory test_proof test_reference",
    "agreement": "*",
    "app": "*",
    "arithmetic": "test_flips test_published_answers",
    "attribution": "test_counterfactual test_real_models",
    "behaviour": "test_cookbook test_drawing",
    "docs": "test_add_an_analysis test_my_model test_site",
    "engine": "test_equality",
    "golden": "*",
    "models": "test_convert test_convert_mapping test_untrained test_wrap",
    "planted": "*",
    "probes": "test_bound test_softmax_minimum test_sweep test_use",
    "series": "*",
    "stack": "test_intervene",
    "training": "*",
}
"""Folder → files (* for all, below it too) whose tests are marked `slow`: they train, start
processes, build planted models or wheels, or compare with slow references."""

PROOFS = (
    "test_r2_is_the_keys_at_every_site_and_head",  # beside what a linear map can reach
    "test_each_value_can_be_held_out_once",  # in turns, on the page; tests/probes has it in small
    "test_the_doctor_plots_the_best_ways_to_ask",  # tests/behaviour asks the same with few formats
    "test_language_models_are_asked_in_words",  # the cookbook's page; its numbers are in behaviour
    "test_a_click_on_a_cell_shows_true_against_predicted",  # clicks: test_browser, test_ablation_…
)
"""Tests of half a minute and more, of which another test is the small case: `PROOF=1`, or
`python -m bench.proofs.long_tests`, runs them."""

NO_BROWSER = (
    "no Chromium found: apt install chromium, or playwright install chromium, or set BROWSER_PATH"
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by where they are and by the fixtures they use; `make test-fast` leaves these out.

    `browser`: uses `chromium`. `llm`: uses `smollm2`. `slow`: its file is in `SLOW`. Those in
    `PROOFS` are left to `make proof`.
    """
    long = [item for item in items if getattr(item, "originalname", "") in PROOFS]
    if not os.environ.get("PROOF"):
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    for item in items:
        used = getattr(item, "fixturenames", ())
        for fixture, marker in (("chromium", "browser"), ("smollm2", "llm")):
            if fixture in used:
                item.add_marker(marker)
        folder, *_ = (*item.path.relative_to(ROOT).parts[:-1], "")
        if SLOW.get(folder) == "*" or item.path.stem in SLOW.get(folder, "").split():
            item.add_marker("slow")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Any:
    """A connection to anything but this machine is an error, in the process that runs the tests."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    patch.undo()


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _local(address[0]):
            raise OSError(f"tests have no network: refused to connect to {address}")
        return connect(self, address)

    return guarded


def _local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium. Without one the test is skipped, and in CI it fails."""
    from interp.figures.export import browser

    path = browser()
    if path is None and os.environ.get("CI"):
        pytest.fail(NO_BROWSER)
    if path is None:
        pytest.skip(NO_BROWSER)
    return path


@pytest.fixture(scope="session")
def smollm2() -> Any:
    """The packaged language model, loaded once; skipped where it is not installed."""
    import interp
    from interp.models.fixtures import smollm2_file

    if smollm2_file() is None:
        pytest.skip("SmolLM2 is not installed (make env SMOLLM2=1 brings it)")
    return interp.load("smollm2")


@pytest.fixture(scope="session")
def add5() -> Any:
    """The trained fixture, loaded once."""
    import interp

    return interp.load("add5")

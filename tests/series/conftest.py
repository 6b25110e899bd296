"""Three replicas and a checkpoint series of a model small enough to train in a test; reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from interp.figures import report_page
from interp.many import _report
from interp.training import Recipe, train

STEPS = (0, 4, 12)
RECIPE = Recipe(
    name="tiny",
    task="add:2",
    n_layers=1,
    n_heads=2,
    d_model=16,
    batch=32,
    steps=12,
    warmup=2,
    evaluate_n=20,
    log_every=6,
    series=STEPS,
    card_n=50,
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Folders of three seeds."""
    place = tmp_path_factory.mktemp("replicas")
    folders = tuple(place / f"tiny-s{seed}" for seed in range(3))
    for seed, folder in enumerate(folders):
        train(replace(RECIPE, seed=seed), folder, threads=1)
    return folders  # type: ignore[return-value]


@pytest.fixture(scope="module")
def small_reports() -> Iterator[None]:
    """Reports without the 4.8 MB of Plotly's script, on which no number depends, and whose budget
    sets the sizes, however slow the machine."""
    patch = pytest.MonkeyPatch()
    patch.setattr(report_page, "get_plotlyjs", lambda: "/* plotly.js v */")
    patch.setattr(_report, "time", SimpleNamespace(monotonic=lambda: 0.0, perf_counter=lambda: 1.0))
    yield
    patch.undo()

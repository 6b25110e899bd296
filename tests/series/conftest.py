"""Three replicas and a checkpoint series of a model small enough to train in a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

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

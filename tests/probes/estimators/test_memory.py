"""What probing a site needs beside the activations themselves."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.estimators import SharedLogistic, SharedRidge, penalties

ROWS, FEATURES = 60_000, 128


def peak(work: Callable[[], Any]) -> int:
    """Bytes that `work` had allocated at most, beyond what there was before."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    """30 MB of float32 activations on disk."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(ROWS, FEATURES)).astype(np.float32))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_ridge_needs_less_than_half_the_activations(stored: Any) -> None:
    Y = np.asarray(stored[:, :2], dtype=np.float64)
    folds = np.arange(ROWS) % 5

    def work() -> None:
        shared = SharedRidge(stored, folds)
        alpha = shared.cross_validate(Y, penalties(shared.scale)).alpha
        shared.fit(Y, alpha).r2(stored, Y)

    assert peak(work) < 0.5 * stored.nbytes


def test_logistic_needs_less_than_half_the_activations(stored: Any) -> None:
    labels = (stored[:, 0] > 0) + 0

    def work() -> None:
        shared = SharedLogistic(stored)
        shared.fit(labels, 1e6).accuracy(stored, labels)

    assert peak(work) < 0.5 * stored.nbytes

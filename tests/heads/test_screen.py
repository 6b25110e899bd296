"""Screens: integrated gradients are complete, recomputed patterns are exact, and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp.errors import InputError
from interp.results.result import Result
from tests import tiny

FORMAT = "padded"
TASK = interp.Addition(2)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tiny.save("llama", tmp_path_factory.mktemp("toy"), seed=8)
    return interp.load(str(folder), dtype="float64")


def test_integrated_gradients_sum_to_the_whole_change(toy: Any) -> None:
    """Over the embeddings, the sum of the path's gradients is v(source) − v(run)."""
    asked = {"swap": "all", "format": FORMAT, "answers": "c2"}
    found = interp.heads.screen(
        toy, TASK.sample(4, seed=1), kind="resid_pre", steps=64, check=4, **asked
    )
    exact = interp.heads.patch(
        toy, TASK.sample(4, seed=1), kind="resid_pre", direction="noise", same_answer=False,
        metrics="logit_difference", **asked,
    )  # fmt: skip
    total = float(exact.total.values[0, 0])
    assert float(found.effect.at(layer=0).values[0]) == pytest.approx(total, rel=0.02)
    # One gradient is another number.
    once = interp.heads.screen(
        toy, TASK.sample(4, seed=1), kind="resid_pre", steps=1, check=4, **asked
    )
    assert abs(float(once.effect.at(layer=0).values[0]) - total) > 0.05 * abs(total)


@pytest.mark.parametrize("kind", ["q", "k", "v", "head", "mlp"])
def test_small_changes_are_exact(toy: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Towards a source that is nearly the run itself, estimates tend to the exact effects (Llama
    takes its softmax in float32, so the source cannot be nearer)."""
    from interp.heads import estimates

    plain = estimates.read_plain

    def near(model: Any, batch: Any, found: Any, *args: Any) -> Any:
        readout, run = plain(model, batch, found, *args)
        if batch is found.clean:
            near.clean = run  # type: ignore[attr-defined]
        else:
            mine = near.clean.activations  # type: ignore[attr-defined]
            for key, value in run.activations.items():
                value.copy_(mine[key] + 2e-3 * (value - mine[key]))
        return readout, run

    monkeypatch.setattr(estimates, "read_plain", near)
    found = interp.heads.screen(
        toy, TASK.sample(4, seed=1), kind=kind, swap="all", check=4, format=FORMAT
    )
    size = np.abs(found.checked["exact"]).max()
    assert size > 0
    assert np.abs(found.checked["estimate"] - found.checked["exact"]).max() <= 0.05 * size


def test_it_is_saved_and_drawn(toy: Any, tmp_path: Path) -> None:
    found = interp.heads.screen(toy, TASK.sample(6, seed=2), format=FORMAT)
    assert Result.load(found.save(tmp_path / "screen")) == found
    assert set(interp.figures.gallery(found)) == {"figure"}
    assert found.agreement["overlap_random"] == pytest.approx(2 / 16)


def test_bad_input_names_the_remedy(toy: Any) -> None:
    with pytest.raises(InputError, match="choose from head"):
        interp.heads.screen(toy, TASK.sample(4, seed=1), kind="pattern")
    with pytest.raises(InputError, match="at least one step"):
        interp.heads.screen(toy, TASK.sample(4, seed=1), steps=0)

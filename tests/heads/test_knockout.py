"""Removal equals plain hooks on the Hugging Face module; orders, halves and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError
from interp.heads._knockout import _steps
from interp.heads.effects import halves
from interp.results.result import Result
from tests import tiny
from tests.heads.conftest import FORMAT, ROLES, Subject
from tests.heads.test_against_hooks import WIDTH, head_inputs


@pytest.mark.parametrize("by", ["mean", "zero"])
def test_removal_equals_plain_hooks(pair: Subject, by: str) -> None:
    """Loss of the right tokens' log-probability without head 2 of layer 1, on the first half."""
    found = interp.heads.knockout(
        pair.model, pair.clean, format=FORMAT, by=by, order="L1H2", random_orders=2,
        only_right=False,
    )  # fmt: skip
    rows, _ = halves(pair.clean, 0)
    texts = [pair.texts[row][0] for row in rows]
    columns = slice(2 * WIDTH, 3 * WIDTH)
    z = torch.stack([head_inputs(pair, text)[1][:, columns] for text in texts])
    value = z.mean(dim=0) if by == "mean" else torch.zeros_like(z[0])

    def remove(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[0, :, columns] = value
        return x

    lost = []
    for text in texts:
        after = pair.slow.hooked(text, [(pair.slow.part(1, "o"), "in", remove)])
        for role in ROLES:
            at = pair.at(text, role)
            token = pair.slow.ids[text[at]]
            both = (x[at - 1].log_softmax(-1)[token] for x in (pair.slow.logits(text), after))
            before, now = both
            lost.append(float(before - now))
    assert found.ranking["loss"][0] == pytest.approx(np.mean(lost), rel=1e-5, abs=1e-9)
    assert abs(np.mean(lost)) > 1e-6


def test_numbers_of_removed_heads() -> None:
    assert _steps(4) == [0, 1, 2, 3, 4]
    assert _steps(40) == [*range(17), 24, 36, 40]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tiny.save("llama", tmp_path_factory.mktemp("toy"), seed=2)
    return interp.load(str(folder))


def test_it_is_saved_and_made_again(toy: Any, tmp_path: Path) -> None:
    asked = interp.Addition(2).sample(12, seed=1)
    found = interp.heads.knockout(
        toy, asked, format=FORMAT, by="resample", random_orders=2, only_right=False
    )
    assert Result.load(found.save(tmp_path / "knockout")) == found
    assert {"figure", "digits", "subtasks"} <= set(interp.figures.gallery(found))
    # Removing every head is the same in every order.
    last = found.curve.iloc[-1]
    assert last["accuracy"] == last["random"] == last["random_low"] == last["random_high"]


def test_finished_removals_are_kept(toy: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A call that was cut goes on from its folder: the same numbers, and nothing measured twice."""
    from interp.heads import _knockout, kept

    monkeypatch.setattr(kept, "_CELLS", 3)
    asked = interp.Addition(2).sample(12, seed=1)
    options: dict[str, Any] = {"format": FORMAT, "random_orders": 2, "only_right": False}
    whole = interp.heads.knockout(toy, asked, **options)
    run, measured = _knockout.run_variants, 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal measured
        measured += len(args[2])
        if measured > 12:
            raise KeyboardInterrupt
        return run(*args, **kwargs)

    monkeypatch.setattr(_knockout, "run_variants", counted)
    with pytest.raises(KeyboardInterrupt):
        interp.heads.knockout(toy, asked, keep=tmp_path, **options)
    done = len(list(tmp_path.rglob("*.npy")))
    assert done == 4
    monkeypatch.setattr(_knockout, "run_variants", run)
    again = interp.heads.knockout(toy, asked, keep=tmp_path, **options)
    assert np.abs(again.curve.to_numpy() - whole.curve.to_numpy()).max() <= 1e-9
    assert np.abs(again.ranking["loss"] - whole.ranking["loss"]).max() <= 1e-9
    monkeypatch.setattr(_knockout, "run_variants", None)  # nothing is left to measure
    interp.heads.knockout(toy, asked, keep=tmp_path, **options)


def test_bad_input_names_the_remedy(toy: Any) -> None:
    asked = interp.Addition(2).sample(12, seed=1)
    with pytest.raises(InputError, match="choose from mean, counterfactual, resample, zero"):
        interp.heads.knockout(toy, asked, by="average")
    with pytest.raises(InputError, match="only_right=False"):
        interp.heads.knockout(toy, asked, format=FORMAT)
    with pytest.raises(InputError, match="has no node L9H0"):
        interp.heads.knockout(toy, asked, format=FORMAT, order="L9H0", only_right=False)
    with pytest.raises(InputError, match="names each head once"):
        interp.heads.knockout(toy, asked, format=FORMAT, order=["L0.mlp"], only_right=False)

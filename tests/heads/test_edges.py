"""Edges: a sender's scores sum to its node's attribution, small changes are exact, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp.engine.requests import Resources
from interp.errors import InputError
from interp.heads._edges import _Graph
from interp.heads.effects import over_answers
from interp.heads.estimates import Estimates
from interp.heads.nodes import nodes_of
from interp.heads.pairs import pairs
from interp.results.result import Result
from tests import tiny

FORMAT = "padded"
TASK = interp.Addition(2)


@pytest.fixture(scope="module", params=["gpt2", "llama", "gpt_neox"])
def toy(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tiny.save(request.param, tmp_path_factory.mktemp("toy"), seed=8)
    return interp.load(str(folder), dtype="float64")


@pytest.mark.parametrize("steps", [1, 2])
def test_the_edges_of_a_node_sum_to_its_attribution(toy: Any, steps: int) -> None:
    found = pairs(
        toy, TASK.sample(4, seed=1), swap="a", corrupted=None, answers=None, prefix="keep", n=4,
        seed=0, format=FORMAT, held_out=True,
    )  # fmt: skip
    graph = _Graph(toy, found, "noise", Resources())
    scores = graph.scores(steps, None)
    assert scores.shape == (4, len(graph.edges))
    for kind in ("head", "mlp"):
        every = nodes_of(toy.shape, kind)
        want = over_answers(
            Estimates(toy, found, every, "noise", Resources()).estimated(steps, None)
        )
        got = np.stack(
            [scores[:, [e.sender == one for e in graph.edges]].sum(axis=1) for one in every], axis=1
        )
        # Llama and NeoX take the softmax in float32.
        assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


def test_it_is_saved_and_drawn(toy: Any, tmp_path: Path) -> None:
    found = interp.heads.edges(toy, TASK.sample(8, seed=2), top=4, format=FORMAT)
    assert Result.load(found.save(tmp_path / "edges")) == found
    assert set(interp.figures.gallery(found)) == {"figure"}
    assert len(found.scores) == 8 and found.scores["chosen"].sum() == 4


def test_bad_input_names_the_remedy(toy: Any) -> None:
    with pytest.raises(InputError, match="at least one step"):
        interp.heads.edges(toy, TASK.sample(4, seed=1), steps=0, format=FORMAT)
    with pytest.raises(InputError, match="choose denoise or noise"):
        interp.heads.edges(toy, TASK.sample(4, seed=1), direction="up", format=FORMAT)

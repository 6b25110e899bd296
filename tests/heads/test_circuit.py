"""Circuits: areas by hand, JSON, transfer, and bad input; the planted proof has the rest."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp.errors import InputError
from interp.heads.circuits import SIZES, Circuit, areas, jaccard
from interp.results.result import Result
from tests import tiny

FORMAT = "padded"
TASK = interp.Addition(2)


def test_areas_by_hand() -> None:
    perfect = areas(dict.fromkeys(SIZES, 1.0), 1000)
    assert perfect["cpr"] == pytest.approx(0.999, abs=1e-12) and perfect["cmd"] == 0.0
    assert perfect["cpr"] == perfect["cpr_covered"]
    rng = np.random.default_rng(0)
    f = dict(zip(SIZES, rng.uniform(-0.5, 1.5, len(SIZES)).tolist(), strict=True))
    published = sum((f[a] + f[b]) / 2 * (b - a) for a, b in pairwise(SIZES))
    assert areas(f, 1000)["cpr"] == pytest.approx(published, abs=1e-6)


def test_sizes_below_one_node_are_left_out() -> None:
    """Ten nodes: .1, .2, .5 and 1 hold a node."""
    found = areas(dict.fromkeys(SIZES, 1.0), 10)
    assert found["cpr_covered"] == pytest.approx(0.9)
    assert found["cpr"] == pytest.approx(0.999)


def test_jaccard_by_hand() -> None:
    sets = [frozenset({1, 2}), frozenset({2, 3}), frozenset({1, 2})]
    assert jaccard(sets) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tiny.save("llama", tmp_path_factory.mktemp("toy"), seed=4)
    return interp.load(str(folder), dtype="float64")


@pytest.fixture(scope="module")
def found(toy: Any) -> Any:
    return interp.heads.circuit(toy, TASK.sample(12, seed=1), format=FORMAT, swap="all")


def test_all_nodes_are_faithful_and_none_is_not(found: Any) -> None:
    curve = found.curve.set_index("nodes")["faithfulness"]
    assert curve[0] == pytest.approx(0.0, abs=1e-9)
    assert curve[len(found.ranking)] == pytest.approx(1.0, abs=1e-9)


def test_it_is_saved_exported_and_scored_again(found: Any, toy: Any, tmp_path: Path) -> None:
    assert Result.load(found.save(tmp_path / "circuit")) == found
    saved = found.circuit(toy.shape.n_layers, toy.shape.n_heads)
    again = Circuit.read(saved.save(tmp_path / "circuit.json"))
    assert again == saved
    scored = interp.heads.score_circuit(
        toy, again, TASK.sample(12, seed=1), format=FORMAT, swap="all"
    )
    assert scored.scores["faithfulness"] == pytest.approx(found.scores["faithfulness"])
    assert interp.figures.gallery(found).keys() == {"figure"}


def test_bad_input_names_the_remedy(found: Any, toy: Any, tmp_path: Path) -> None:
    asked = TASK.sample(6, seed=1)
    other = Circuit("big", "0", 30, 9, "add:2", ("head",), ("L0H0",))
    with pytest.raises(InputError, match="30 layers × 9 heads"):
        interp.heads.score_circuit(toy, other, asked)
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(InputError, match="holds no circuit"):
        Circuit.read(tmp_path / "no.json")
    with pytest.raises(InputError, match="needs a metric of one run"):
        interp.heads.circuit(toy, asked, format=FORMAT, metrics="flip")
    with pytest.raises(InputError, match="'head' and 'mlp'"):
        interp.heads.circuit(toy, asked, format=FORMAT, kinds="q")
    with pytest.raises(InputError, match="not among the nodes"):
        interp.heads.circuit(toy, asked, format=FORMAT, kinds="head", nodes="L0.mlp")

"""Circuits of edges: equal to plain hooks on the Hugging Face module, receiver by receiver; areas
of their curve by hand; export, and bad input."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.engine.requests import Resources
from interp.errors import InputError
from interp.heads.circuit_runs import EdgeRuns
from interp.heads.circuits import SIZES, Circuit, areas
from interp.heads.pairs import pairs
from interp.results.result import Result
from tests import tiny
from tests.agreement.slow import _NORM
from tests.heads.conftest import FORMAT, ROLES, Subject
from tests.heads.test_against_hooks import projection, put

LAYERS, HEADS = tiny.N_LAYERS, tiny.N_HEADS
WIDTH = tiny.D_MODEL // HEADS
TASK = interp.Addition(2)


def groups(pair: Subject) -> int:
    return 2 if pair.slow.family in ("llama", "qwen2") else HEADS


def seen_with(pair: Subject, text: str, hooks: list[Any], part: Any, side: str) -> torch.Tensor:
    """What goes into or comes out of a submodule under some hooks, [characters, width]."""
    found: list[torch.Tensor] = []
    note = (part, side, lambda x: found.append(x.clone()) or x)
    pair.slow.hooked(text, [*hooks, note])
    return found[0][0]


def put_columns(columns: slice, value: torch.Tensor) -> Any:
    def give(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[0, :, columns] = value
        return x

    return give


def with_edges(pair: Subject, clean: str, other: str, kept: set[str]) -> torch.Tensor:
    """Logits [characters, vocabulary]: every receiver reads the corrupted stream and, along kept
    edges, what the sender's own output has moved by."""
    slow, parallel = pair.slow, pair.slow.family == "gpt_neox"
    block = [slow.part(la, "block") for la in range(LAYERS)]
    moved = {"embed": slow.seen(clean, block[0], "in") - slow.seen(other, block[0], "in")}

    def read(stream: torch.Tensor, receiver: str) -> torch.Tensor:
        return stream + sum(x for u, x in moved.items() if f"{u}->{receiver}" in kept)

    for la in range(LAYERS):
        o, mlp, before = slow.part(la, "o"), slow.part(la, "mlp"), slow.seen(other, block[la], "in")
        given = []
        for which, letter, count in (("q", "H", HEADS), ("k", "G", groups(pair)),
                                     ("v", "G", groups(pair))):  # fmt: skip
            for i in range(count):
                part, columns = projection(pair, la, which, i)
                mine = (block[la], "in", put(read(before, f"L{la}{letter}{i}.{which}")))
                value = seen_with(pair, other, [mine], part, "out")[:, columns]
                given.append((part, "out", put_columns(columns, value)))
        change = seen_with(pair, other, given, o, "in") - slow.seen(other, o, "in")
        weight = o.weight if pair.slow.family == "gpt2" else o.weight.T  # [in, out]
        heads = {}
        for h in range(HEADS):
            columns = slice(h * WIDTH, (h + 1) * WIDTH)
            heads[f"L{la}H{h}"] = (change[:, columns] @ weight[columns]).detach()
        if not parallel:
            moved |= heads
            before = before + slow.seen(other, o, "out")
        nothing = (o, "out", torch.zeros_like)
        mine = (block[la], "in", put(read(before, f"L{la}.mlp")))
        wrote = seen_with(pair, other, [mine, nothing], mlp, "out")
        moved |= heads | {f"L{la}.mlp": wrote - slow.seen(other, mlp, "out")}
    with torch.no_grad():
        end = read(slow.seen(other, block[-1], "out"), "logits")
        return slow.module.get_output_embeddings()(_NORM[slow.family](slow.module)(end))


def test_kept_edges_equal_plain_hooks(pair: Subject) -> None:
    found = pairs(
        pair.model, pair.clean, swap=None, corrupted=pair.corrupted, answers=ROLES, prefix="keep",
        n=4, seed=0, format=FORMAT, held_out=True,
    )  # fmt: skip
    runs = EdgeRuns(pair.model, found, "logit_difference", Resources())
    rng = np.random.default_rng(5)
    kept = [one for one in runs.every if rng.random() < 0.5]
    every, none, some = runs.keeping([runs.every, [], kept])
    # Llama, NeoX and Qwen take the softmax in float32.
    size = np.nanmax(np.abs(runs.full - runs.empty))
    assert np.nanmax(np.abs(every - runs.full)) <= 1e-6 * size
    assert np.nanmax(np.abs(none - runs.empty)) <= 1e-6 * size
    row = 1
    clean, other = pair.texts[row]
    want = pair.difference(row, with_edges(pair, clean, other, {one.name for one in kept}))
    assert np.nanmax(np.abs(some[row] - want)) <= 1e-6 * size
    assert np.nanmax(np.abs(want - runs.full[row])) > 1e-3 * size
    assert np.nanmax(np.abs(want - runs.empty[row])) > 1e-3 * size


@pytest.mark.parametrize("edges", [1_000, 71_234])
def test_areas_of_a_large_graph_are_the_published_ones(edges: int) -> None:
    """The published sums, term by term: trapezoids of f and of |1 − f| between their sizes."""
    rng = np.random.default_rng(edges)
    f = dict(zip(SIZES, rng.uniform(-0.5, 1.5, len(SIZES)).tolist(), strict=True))
    cpr = cmd = 0.0
    for a, b in pairwise(SIZES):
        cpr += (b - a) * (f[a] + f[b]) / 2
        cmd += (b - a) * (abs(1 - f[a]) + abs(1 - f[b])) / 2
    got = areas(f, edges)
    assert abs(got["cpr"] - cpr) <= 1e-6 and abs(got["cmd"] - cmd) <= 1e-6
    assert (got["cpr"], got["cmd"]) == (got["cpr_covered"], got["cmd_covered"])


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Fewer random circuits and orders, to be quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EdgeRuns, "thinned", 8)
        patch.setattr("interp.heads._circuit._RANDOM", 4)
        patch.setattr("interp.heads._circuit._ORDERS", 3)
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tiny.save("llama", tmp_path_factory.mktemp("toy"), seed=4)
    return interp.load(str(folder), dtype="float64")


@pytest.fixture(scope="module")
def found(toy: Any) -> Any:
    asked = TASK.sample(16, seed=1)
    return interp.heads.circuit(toy, asked, format=FORMAT, swap="all", kinds="edge", target=0.2)


def test_the_curve_and_its_areas(found: Any) -> None:
    total = len(found.ranking)
    assert total == found.metrics["of_nodes"] == found.curve["nodes"].max()
    curve = found.curve.set_index("nodes")
    for name in ("faithfulness", "random"):
        assert curve[name][0] == pytest.approx(0.0, abs=1e-6)
        assert curve[name][total] == pytest.approx(1.0, abs=1e-6)
    at = {size: int(size * total) for size in SIZES if int(size * total) >= 1}
    assert len(at) < len(SIZES)  # some hold no edge
    f = {size: curve["faithfulness"][k] for size, k in at.items()}
    assert found.metrics["cpr"] == areas(f, total)["cpr"]
    m = found.metrics
    assert m["cpr"] / m["cpr_covered"] == pytest.approx(0.999 / (1 - min(at)))
    assert m["cpr_low"] <= m["cpr"] <= m["cpr_high"] and m["cmd_low"] <= m["cmd_high"]


def test_it_is_saved_exported_and_scored_again(found: Any, toy: Any, tmp_path: Path) -> None:
    assert Result.load(found.save(tmp_path / "circuit")) == found
    saved = found.circuit(toy.shape.n_layers, toy.shape.n_heads)
    again = Circuit.read(saved.save(tmp_path / "circuit.json"))
    assert again == saved and all("->" in name for name in again.nodes)
    scored = interp.heads.score_circuit(
        toy, again, TASK.sample(16, seed=1), format=FORMAT, swap="all"
    )
    assert scored.scores["faithfulness"] == pytest.approx(found.scores["faithfulness"])
    assert scored.areas == pytest.approx(found.areas)
    assert set(interp.figures.gallery(found)) == {"figure"}
    assert "edges" in found.conclusion() and "CPR" in found.conclusion()


def test_bad_input_names_the_remedy(toy: Any) -> None:
    asked = TASK.sample(6, seed=1)
    with pytest.raises(InputError, match="'edge' alone"):
        interp.heads.circuit(toy, asked, format=FORMAT, kinds=["edge", "mlp"])
    with pytest.raises(InputError, match="at least one step"):
        interp.heads.circuit(toy, asked, format=FORMAT, kinds="edge", steps=0)
    for name in ("L3H0->L0G0.v", "L0H9->logits"):
        with pytest.raises(InputError, match="is no edge of"):
            interp.heads.circuit(toy, asked, format=FORMAT, kinds="edge", nodes=name)

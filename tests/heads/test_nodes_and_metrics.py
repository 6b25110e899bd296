"""Names round-trip; metrics equal their published formulas, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from interp.errors import InputError
from interp.heads import metrics
from interp.heads.metrics import Readout
from interp.heads.nodes import Edge, Node, check_nodes, edge, node, nodes_of
from interp.models.model import Shape

GROUPED = Shape(2, 4, 2, 8, 2, 16, 10, 32, 10)
KINDS = ("head", "q", "k", "v", "pattern", "mlp", "attn", "neuron", "resid_mid", "embed")


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_read_back(kind) -> None:
    for one in nodes_of(GROUPED, kind):
        assert node(one.name) == one
        assert node(one.at("predicts(c2)").name) == one.at("predicts(c2)")
        assert edge(f"{one.name}->L1H3.q") == Edge(one, Node(1, "q", 3))
        assert edge(f"{one.name}->logits") == Edge(one)


def test_keys_and_values_belong_to_groups() -> None:
    assert [one.name for one in nodes_of(GROUPED, "v")] == ["L0G0.v", "L0G1.v", "L1G0.v", "L1G1.v"]
    assert len(nodes_of(GROUPED, "q")) == 8


@pytest.mark.parametrize("name", ["L3", "H5", "L3H5.k", "L3G1", "L3G1.q", "L3.head", "L3H", "x"])
def test_what_is_no_name_says_what_is(name: str) -> None:
    with pytest.raises(InputError, match=r"names no node.*'L3H5'"):
        node(name)


def test_a_node_that_the_model_lacks() -> None:
    check_nodes(GROUPED, [node("L1H3"), node("L1G1.k")], "toy")
    with pytest.raises(InputError, match="toy has no node L2H0: it has layers 0 to 1"):
        check_nodes(GROUPED, [node("L2H0")], "toy")
    with pytest.raises(InputError, match="key/value groups 0 to 1"):
        check_nodes(GROUPED, [node("L1G2.k")], "toy")


def readout(logits: list[float], right: int, other: int, clean: list[float]) -> Readout:
    """From three logits, by the definitions alone."""
    p = [math.exp(x) / sum(map(math.exp, logits)) for x in logits]
    q = [math.exp(x) / sum(map(math.exp, clean)) for x in clean]
    kl = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    values = (logits[right], logits[other], math.log(sum(map(math.exp, logits))), kl)
    return Readout(*map(np.array, (*values, float(np.argmax(logits)), float(right), float(other))))


CLEAN, CORRUPTED, PATCHED = [3.0, 1.0, 0.5], [0.5, 2.0, 0.0], [2.0, 1.5, 0.25]


def softmax(logits: list[float]) -> list[float]:
    return [math.exp(x) / sum(map(math.exp, logits)) for x in logits]


def test_denoising_by_hand() -> None:
    """r = 0, r' = 1; the patch is made in the corrupted run."""
    base, patched = (readout(x, 0, 1, CLEAN) for x in (CORRUPTED, PATCHED))
    p, new = softmax(CORRUPTED), softmax(PATCHED)
    want = {
        "logit_difference": (2.0 - 1.5) - (0.5 - 2.0),
        "logit": 2.0 - 0.5,
        "probability": new[0] - p[0],
        "relative_logit": (1.5 - 2.0) / 2.0,  # of r', the right token of the prompt that runs
        "indirect_effect": ((new[0] - p[0]) / p[0] + (p[1] - new[1]) / new[1]) / 2,
        "flip": 1.0,
        "kl": float(base.kl) - float(patched.kl),
    }
    for name, value in want.items():
        assert metrics.METRICS[name].effect(patched, base, "denoise") == pytest.approx(value), name
    assert set(want) == set(metrics.METRICS)


def test_noising_by_hand() -> None:
    base, patched = (readout(x, 0, 1, CLEAN) for x in (CLEAN, PATCHED))
    p, new = softmax(CLEAN), softmax(PATCHED)
    e = ((new[1] - p[1]) / p[1] + (p[0] - new[0]) / new[0]) / 2
    want = {
        "logit_difference": (3.0 - 1.0) - (2.0 - 1.5),
        "relative_logit": (2.0 - 3.0) / 3.0,
        "indirect_effect": e,
        "flip": 0.0,
        "kl": float(patched.kl),
    }
    for name, value in want.items():
        assert metrics.METRICS[name].effect(patched, base, "noise") == pytest.approx(value), name
    assert metrics.e_score(patched, base) == pytest.approx(e)


def test_a_shift_of_all_logits_moves_the_relative_change_alone() -> None:
    """Zhang's number depends on the offset of the raw logit, the others do not."""
    shifted = [[x + 5.0 for x in logits] for logits in (CLEAN, PATCHED)]
    base, patched = (readout(x, 0, 1, CLEAN) for x in (CLEAN, PATCHED))
    base_5, patched_5 = (readout(x, 0, 1, shifted[0]) for x in shifted)
    for name, one in metrics.METRICS.items():
        before, after = one.effect(patched, base, "noise"), one.effect(patched_5, base_5, "noise")
        assert (abs(after - before) > 0.01) == (name == "relative_logit"), name


def test_a_constant_metric_is_refused() -> None:
    with pytest.raises(InputError, match="'probability' is constant"):
        metrics.check_varies("probability", np.zeros(4))
    with pytest.raises(InputError, match="different right tokens"):
        metrics.check_varies("probability", np.full(4, np.nan))
    with pytest.raises(InputError, match="choose from logit_difference"):
        metrics.metric("logits")

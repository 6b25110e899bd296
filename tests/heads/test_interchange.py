"""Interchange: predicted answers in tokens, what is left out, round trip, and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.engine.requests import Resources
from interp.engine.targets import true_tokens
from interp.errors import InputError, RoleError, SiteError
from interp.heads.exchanges import Exchanges, sources
from interp.results.result import Result


@pytest.fixture(scope="module")
def model() -> Any:
    return interp.load("add5-reversed")


def test_the_predicted_answer_is_written_in_tokens(model: Any) -> None:
    """A carry out of column 1 adds or takes one from everything above it."""
    batch = model.prompts(interp.task("add:5").sample(24, seed=2))
    found = sources(batch, "carry[1]", seed=2)
    carry = batch.problems.column("carry[1]").astype(int)
    step = carry[found.other] - carry[found.rows]
    digits = 10 ** np.arange(found.own.shape[1])
    assert set(step) <= {-1, 1} and found.moved >= {2}
    assert (found.answers @ digits - found.own @ digits == 100 * step).all()
    made = Exchanges(model, batch, found, Resources())
    values = found.answers @ digits
    small = values < 10**5
    other = model.prompts(batch.problems.task.problems(values[small], 0 * values[small]))
    got, want = (true_tokens(x, batch.answer_roles) for x in (made._bases[True][small], other))
    assert small.any() and torch.equal(got, want)


def test_embeddings_of_a_digit_give_the_other_sum(model: Any, tmp_path: Path) -> None:
    found = interp.heads.interchange(
        model, "add:5", n=40, variable="a[2]", kind="resid_pre", layers=0, roles=["a2", "b2"],
    )  # fmt: skip
    assert found.chosen == "L0.resid_pre@a2" and found.metrics["predicted"] > 0.9
    assert found.cells["share"].tolist()[1] < 0.3
    assert Result.load(found.save(tmp_path / "swap")) == found
    assert set(interp.figures.gallery(found)) == {"figure"}


def test_along_directions_a_random_change_of_equal_length_stands_beside(model: Any) -> None:
    """Along every axis at once the whole site is swapped, and the random change is as long."""
    options: dict[str, Any] = {
        "variable": "a[2]", "kind": "resid_pre", "layers": 0, "roles": ["a2"], "n": 40
    }  # fmt: skip
    whole = interp.heads.interchange(model, "add:5", **options)
    along = interp.heads.interchange(model, "add:5", along=np.eye(model.shape.d_model), **options)
    assert along.metrics["predicted"] == whole.metrics["predicted"] > 0.9
    assert along.metrics["random_direction"] < 0.3
    assert "equal length" in along.meaning("random_direction")


def test_a_learned_subspace_stands_beside_its_controls(model: Any, tmp_path: Path) -> None:
    """Nine dimensions hold the ten digits of an embedding; no control comes near them."""
    found = interp.heads.interchange(
        model, "add:5", n=160, variable="a[2]", kind="resid_pre", layers=0, roles=["a2"], learn=9
    )
    m = found.metrics
    assert found.learned is not None
    shares = found.learned.set_index("arm")["share"]
    assert shares["whole activation"] > 0.9 and shares["no swap"] < 0.1
    assert m["learned"] > 0.8
    assert max(m["learned_placebo"], m["learned_arbitrary"], m["learned_untrained"]) < 0.5
    assert "learned on other problems gives the predicted digit" in found.conclusion()
    assert "learn=9" in found.code
    assert Result.load(found.save(tmp_path / "learned")) == found
    assert found.figure().data


def test_a_swap_by_hand_equals_transformer_lens(model: Any) -> None:
    """The whole activation in a subspace of all axes is the engine's own replacement."""
    from interp.engine import Read, Replace, Rows, run
    from interp.engine.subspaces import choices
    from interp.heads.learned import _swap
    from interp.heads.nodes import Node

    batch = model.prompts(interp.task("add:5").sample(60, seed=3))
    found = sources(batch, "a[2]", seed=3)
    made, cell = Exchanges(model, batch, found, Resources()), Node(0, "resid_post", role="a2")
    rows = np.arange(len(found.rows))
    swap = _swap(made, cell, rows)
    got = choices(model, swap, "resid_post", 0, torch.eye(model.shape.d_model))
    theirs = run(model, batch, reads=[Read("resid_post", 0, ("a2",))], logits=None).activations
    changed = (found.answers != found.own)[:, min(found.moved)]
    rows = rows[changed]
    source = theirs["resid_post", 0][torch.from_numpy(found.other[rows])]
    edit = Replace("resid_post", Rows({0: source}), layers=(0,), roles=("a2",))
    role, classes = made.digit_tokens(min(found.moved))
    logits = run(model, made.predicted[rows], [edit], logits=[role]).logits
    assert logits is not None and torch.equal(got, logits[:, 0, classes].argmax(-1))


def test_bad_input_names_the_remedy(model: Any) -> None:
    def ask(**options: Any) -> Any:
        return interp.heads.interchange(model, "add:5", n=24, **options)

    with pytest.raises(InputError, match="no answer follows from another parity"):
        ask(variable="parity(a)")
    with pytest.raises(InputError, match="choose from resid_pre"):
        ask(kind="neuron")
    with pytest.raises(RoleError, match="no role 'a9'"):
        ask(roles="a9")
    with pytest.raises(InputError, match=r"along= takes directions \[\d+\]"):
        ask(along=np.ones(3))
    with pytest.raises(InputError, match="has layers 0 to"):
        ask(layers=99)
    with pytest.raises(InputError, match="a subspace has 1 to"):
        ask(learn=0)
    with pytest.raises(InputError, match="give more n, or a format of fixed width"):
        ask(learn=2)
    with pytest.raises(SiteError, match="choose from resid_pre, resid_post"):
        interp.heads.interchange(model, "add:5", n=160, kind="head", layers=0, learn=2)

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
from interp.errors import InputError, RoleError
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

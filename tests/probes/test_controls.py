"""Controls that cannot be measured say so, and are not taken for controls that found nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
import probes
from interp.models.model import Model
from probes.design import Scheme, designs_of
from probes.fitting import fit_design
from probes.references import one_hot
from probes.splits import split
from tests import nanogpt, tiny

WHERE: dict[str, Any] = {"layers": [0], "roles": ["last"], "format": "padded"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return interp.load(str(tiny.save("gpt2", tmp_path_factory.mktemp("tiny"))))


@pytest.mark.parametrize(
    ("name", "by", "digits"),
    [
        ("carry[1]", "combination", ("a1", "b1")),
        ("carry[1]", "operand", ("a1", "b1")),
        ("carry[1]", "problem", ("a1", "b1")),
        ("magnitude(a)", "operand", ("a1", "a0")),
        ("residue(a,7)", "operand", ("a1", "a0")),
        ("residue(a,7)", "operand:b", ("a1", "a0")),
        ("magnitude(c)", "problem", ("a1", "a0", "b1", "b0")),
    ],
)
def test_the_types_that_recur_are_those_that_a_slow_count_finds(
    model: Model, name: str, by: str, digits: tuple[str, ...]
) -> None:
    problems = interp.Addition(2).sample(600, seed=2).distinct()
    found = probes.probe(
        model, problems, targets=[f"{name}:real"] if "residue" not in name else [name],
        split=by, controls=("control_task",), **WHERE,
    )  # fmt: skip
    row = found.frame.iloc[0]
    target = probes.target(problems.task, name)
    rows = split(problems, by, target=target)
    a, b = (problems.values(i).astype(int) for i in (0, 1))
    numbers = {"a1": a // 10, "a0": a % 10, "b1": b // 10, "b0": b % 10}
    types = list(zip(*(numbers[digit].tolist() for digit in digits), strict=True))
    seen = {types[i] for i in rows.train}
    share = np.mean([types[i] in seen for i in rows.test])
    assert row["types_shared"] == pytest.approx(share)
    learnable = share >= 0.5
    assert np.isfinite(row["control_task"]) == np.isfinite(row["selectivity"]) == learnable
    assert ("control_task" in found.unmeasured) == (not learnable)
    assert ("No control task: " in str(found.conclusion())) == (not learnable)
    if not learnable:
        assert name in found.unmeasured["control_task"]


def test_a_control_is_learnt_where_the_input_has_its_types() -> None:
    """A one-hot of the types themselves has every label, and the control comes out whole; among
    all held-out rows, those of new types with them, it would not."""
    problems = interp.Addition(2).sample(260, seed=0).distinct()
    target = probes.target(problems.task, "carry[1]:real")
    (design,) = designs_of(problems, [target], Scheme("problem", wrong=("control_task",)))
    types = problems.column("a[1]") * 10 + problems.column("b[1]")
    labels = design.wrong["control_task"][:, 0]
    assert all(len(np.unique(labels[types == x])) == 1 for x in np.unique(types))
    (found,) = fit_design(one_hot(types[:, None].astype(np.int64)), design)
    said, rows = found.wrong["control_task"][:, 0], design.scored["control_task"][:, 0]
    true = labels[design.split.test]
    assert 0.5 < rows.mean() < 1
    assert ((said > 0.5) == true)[rows].mean() > 0.99 > ((said > 0.5) == true).mean()


def test_a_wrapped_module_is_probed_without_the_control_of_random_weights() -> None:
    wrapped = interp.wrap(nanogpt.random_gpt(seed=1), nanogpt.CHARACTERS, name="mine")
    found = probes.probe(
        wrapped, "add:2", targets=["column_sum[0]"], split="problem", n=200, **WHERE
    )
    row = found.frame.iloc[0]
    assert np.isnan(row["untrained"]) and np.isfinite(row["control_task"])
    assert "wrap an untrained one" in found.unmeasured["untrained"]
    assert "No random weights: " in str(found.conclusion())


def test_finished_sites_of_another_form_are_made_again(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = WHERE | {"targets": ["column_sum[0]"], "n": 100, "controls": (), "resume": tmp_path}
    probes.probe(model, "add:2", **options)
    monkeypatch.setattr("probes.study.FORM", 1)
    probes.probe(model, "add:2", **options)
    assert len(list(tmp_path.iterdir())) == 2

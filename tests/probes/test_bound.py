"""What is kept and reused belongs to these rows, these prompts and this task, and to no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import interp
import probes
from interp.errors import InputError
from interp.models.model import Model
from interp.results.result import Result
from tests import tiny

CELL: dict[str, Any] = {
    "targets": ["column_sum[0]"], "roles": ["last"], "layers": [1], "controls": (),
    "format": "padded",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return interp.load(str(tiny.save("gpt2", tmp_path_factory.mktemp("tiny"))))


@pytest.fixture(scope="module")
def problems() -> Any:
    return interp.Addition(2).sample(300, seed=0).distinct()


def test_a_sweep_goes_on_with_its_own_rows_only(
    model: Model, problems: Any, tmp_path: Path
) -> None:
    first, second = (probes.split(problems, "operand", seed=seed) for seed in (0, 1))
    assert first.by == second.by
    moved = probes.Split(second.by, second.train, second.test, np.roll(second.fold, 1))
    for split in (first, second, moved):
        resumed = probes.probe(model, problems, split=split, resume=tmp_path, **CELL)
        fresh = probes.probe(model, problems, split=split, **CELL)
        assert resumed == fresh
        assert resumed.settings["split"] == "values of b"  # what captions call it
    assert len(list(tmp_path.iterdir())) == 3


def test_a_sweep_goes_on_with_prompts_that_begin_alike_only(
    model: Model, problems: Any, tmp_path: Path
) -> None:
    other = model.starting_with(":")
    assert other.hash == model.hash
    scores = [
        probes.probe(x, problems, split="problem", resume=folder, **CELL).frame["score"][0]
        for x, folder in ((model, tmp_path), (other, tmp_path), (other, None))
    ]
    assert scores[1] == scores[2] != scores[0]


def test_the_code_makes_given_rows_and_beginnings_again(
    model: Model, problems: Any, tmp_path: Path
) -> None:
    begun = model.starting_with(":")
    split = probes.split(problems, "problem", seed=4)
    fitted = probes.fit(
        begun, problems, "column_sum[0]", site="resid_post", layer=1, role="predicts(c0)",
        format="padded", split=split,
    )  # fmt: skip
    found = [
        probes.probe(begun, problems, split=split, **CELL),
        probes.intervene(begun, fitted, n=30, randoms=1),
        probes.one_hot_baseline(problems, ["carry[0]"], split=split),
    ]
    for result in found:
        loaded = Result.load(result.save(tmp_path / result.analysis))
        names: dict[str, Any] = {}
        exec(loaded.code, names)
        again = names["result"]
        assert again.settings == result.settings, result.analysis
        pd.testing.assert_frame_equal(again.frame, result.frame)


def test_a_fitted_probe_reads_prompts_like_its_own(model: Model, problems: Any) -> None:
    fitted = probes.fit(
        model, problems, "column_sum[0]", site="resid_post", layer=1, role="last",
        format="padded", split="problem",
    )  # fmt: skip
    told = fitted.predict(model, fitted.held_out)
    assert np.corrcoef(told, fitted.held_out.column("column_sum[0]"))[0, 1] > 0.5
    other = model.starting_with(":")
    with pytest.raises(InputError, match="begin with the tokens"):
        fitted.predict(other, fitted.held_out)
    with pytest.raises(InputError, match="begin with the tokens"):
        fitted.activations(model, other.prompts(problems, format="padded"))
    longer = interp.Addition(3).sample(20, seed=0)
    with pytest.raises(InputError, match=r"fitted on add:2, not add:3"):
        fitted.predict(model, longer)
    with pytest.raises(InputError, match=r"fitted on add:2, not add:3"):
        probes.intervene(model, fitted, longer)

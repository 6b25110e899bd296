"""What agrees across models, against models that agree by construction and models that do not."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
from interp import over_seeds, seeds_of
from interp.errors import InputError, ModelError
from interp.many._over_seeds import _pairs, rank_correlation
from interp.results.grid import Axis, Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Painted(Result):
    """A Result whose Grid is whatever the test paints."""

    analysis: ClassVar[str] = "painted-for-tests"
    effect: Grid
    oracle: Grid

    @property
    def frame(self) -> pd.DataFrame:
        return self.effect.frame("effect")

    @property
    def metrics(self) -> dict[str, float]:
        return {"total": float(np.nansum(self.effect.values))}

    @property
    def code(self) -> str:
        return ""


def painter(values: dict[str, Any], axes: tuple[Axis, ...]) -> Any:
    """An analysis that gives each model (by the end of its name) its own Grid."""

    def paint(model: Any, scale: float = 1.0) -> Painted:
        table = scale * np.asarray(values[Path(model.name).name], dtype=float)
        return Painted(
            model=None,
            task="add:2",
            n=40,
            n_distinct=40,
            seed=0,
            effect=Grid(table, axes),
            oracle=Grid(np.ones_like(table), axes),
        )

    return paint


CELLS = (Axis("cell", tuple("abcdef")),)
RISING = [1, 2, 3, 4, 5, 6]


def test_agreement_by_construction(trained: tuple[Path, ...]) -> None:
    first, second, third = map(str, trained)
    values = {
        "tiny-s0": RISING,
        "tiny-s1": [10, 20, 30, 40, 50, 60],
        "tiny-s2": [-1, -2, -3, -4, -5, -6],
    }
    result = over_seeds([first, second, third], painter(values, CELLS))
    pairs = result.told.set_index(["first", "second"])
    assert set(pairs["grid"]) == {"effect"}  # the oracle is the same for all: it says nothing
    assert pairs.loc[(first, second), "rank_correlation"] == pytest.approx(1)
    assert pairs.loc[(first, second), "same_sign"] == 1
    assert pairs.loc[(first, third), "rank_correlation"] == pytest.approx(-1)
    assert pairs.loc[(first, third), "same_sign"] == 0
    assert (pairs["cells"] == 6).all()
    assert result.metrics["total"] == pytest.approx((21 + 210 - 21) / 3)
    assert result.metrics["total_lowest"] == -21
    assert result.metrics["total_highest"] == 210
    assert result.metrics["effect_agreement"] == pytest.approx(-1 / 3)
    assert result.conclusion() is not None
    assert "do not all agree" in str(result.verdict)
    agreeing = over_seeds([first, second], painter(values, CELLS))
    assert "The models agree" in str(agreeing.verdict)


def test_shuffled_cells_are_the_control(trained: tuple[Path, ...]) -> None:
    rng = np.random.default_rng(0)
    axes = (Axis("cell", tuple(map(str, range(40)))),)
    values = {f"tiny-s{seed}": rng.normal(size=40) for seed in range(2)}
    models = [str(folder) for folder in trained[:2]]
    result = over_seeds(models, painter(values, axes))
    row = result.told.iloc[0]
    assert row["rank_correlation"] < row["shuffled"]
    assert 0.15 < row["shuffled"] < 0.4  # 1.64 / √39 = 0.26
    assert "do not all agree" in str(result.verdict)
    values["tiny-s1"] = values["tiny-s0"] + values["tiny-s1"]  # half of the variance is shared
    assert "The models agree" in str(over_seeds(models, painter(values, axes)).verdict)


def test_models_that_share_nothing_rarely_agree() -> None:
    """Of 60 pairs of unrelated models 3 are expected beyond the 95 % quantile of their control."""
    rng = np.random.default_rng(1)
    names = ["one", "other"]
    found = []
    for _ in range(60):
        cells = pd.DataFrame(
            {
                "grid": "effect",
                "cell": [str(at) for at in range(20)] * 2,
                "model": np.repeat(names, 20),
                "value": rng.normal(size=40),
            }
        )
        found.append(_pairs(names, cells, shuffles=40).iloc[0])
    beyond = sum(row["rank_correlation"] > row["shuffled"] for row in found)
    assert 0 < beyond <= 8


def test_no_verdict_without_a_control_or_with_a_pair_missing(trained: tuple[Path, ...]) -> None:
    values = {"tiny-s0": RISING, "tiny-s1": RISING[::-1], "tiny-s2": [7, *RISING[1:]]}
    models = [str(folder) for folder in trained]
    assert over_seeds(models, painter(values, CELLS), shuffles=20).verdict is not None
    uncontrolled = over_seeds(models, painter(values, CELLS), shuffles=0)
    assert uncontrolled.conclusion() is None
    assert np.isnan(uncontrolled.metrics["effect_shuffled"])
    assert "shuffles=0" in uncontrolled.code
    values["tiny-s2"] = [5] * 6  # constant: it correlates with nothing
    torn = over_seeds(models, painter(values, CELLS), shuffles=20)
    assert torn.pairs.query("grid == 'effect'")["rank_correlation"].isna().sum() == 2
    assert torn.conclusion() is None
    assert np.isnan(torn.metrics["effect_agreement"])


def test_recipes_that_differ_are_told(trained: tuple[Path, ...], tmp_path: Path) -> None:
    """A name that ends in -s1 is not enough: the cards say what else differs."""
    values = {"tiny-s0": RISING, "tiny-s1": [2, 1, 3, 4, 5, 6], "tiny-s7": [2, 1, 3, 4, 5, 6]}
    first, second = map(str, trained[:2])
    alike = over_seeds([first, second], painter(values, CELLS))
    assert alike.settings["recipes_differ_in"] == ()
    assert "recipes differ" not in str(alike.verdict)
    other = Path(shutil.copytree(second, tmp_path / "tiny-s7"))
    card = json.loads((other / "card.json").read_text())
    card["recipe"] |= {"steps": 99, "mix": [{"sampler": "cascades", "options": {"share": 1.0}}]}
    del card["recipe"]["muon_rate"]  # of an older release: its default
    (other / "card.json").write_text(json.dumps(card))
    differing = over_seeds([first, str(other)], painter(values, CELLS))
    assert differing.settings["recipes_differ_in"] == ("mix", "steps")
    assert "Their recipes differ not in the seed alone but in mix, steps." in str(differing.verdict)
    del card["recipe"]
    (other / "card.json").write_text(json.dumps(card))
    unknown = over_seeds([first, str(other)], painter(values, CELLS))
    assert unknown.settings["recipes_differ_in"] is None


def test_an_argument_can_differ_by_model(trained: tuple[Path, ...]) -> None:
    values = {"tiny-s0": RISING, "tiny-s1": RISING}
    first, second = map(str, trained[:2])
    scales = {first: 1.0, second: -2.0}
    result = over_seeds(
        [first, second], painter(values, CELLS), scale=lambda model: scales[model.name]
    )
    table = result.frame.set_index("metric")
    assert (table[first]["total"], table[second]["total"]) == (21, -42)
    assert f"scale=lambda model: {scales!r}[model.name]" in result.code


def test_heads_are_summed_over_because_their_numbers_mean_nothing(
    trained: tuple[Path, ...],
) -> None:
    """The same three heads in another order agree exactly; by number they would not."""
    axes = (Axis("layer", ("0", "1", "2")), Axis("head", ("0", "1", "2")))
    table = np.array([[9.0, 0, 1], [0, 5, 0], [2, 0, np.nan]])
    values = {"tiny-s0": table, "tiny-s1": table[:, [2, 0, 1]]}
    models = [str(folder) for folder in trained[:2]]
    result = over_seeds(models, painter(values, axes))
    assert result.pairs.query("grid == 'effect'")["identical"].all()
    cells = result.cells.query("grid == 'effect' and model == @models[0]")
    assert cells["value"].tolist() == [10, 5, 2]
    by_number = over_seeds(models, painter(values, axes), exchangeable=())
    assert by_number.pairs.query("grid == 'effect'")["cells"].item() == 7  # NaN in either: out
    assert by_number.pairs.query("grid == 'effect'")["rank_correlation"].item() < 0.9


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=12))
def test_rank_correlation_against_a_plain_count(pairs: list[tuple[int, int]]) -> None:
    """Ranks by counting who is below; Pearson's by its definition."""
    x, y = (list(side) for side in zip(*pairs, strict=True))

    def ranks(values: list[int]) -> np.ndarray[Any, Any]:
        return np.array(
            [sum(o < v for o in values) + (sum(o == v for o in values) + 1) / 2 for v in values]
        )

    found = rank_correlation(np.array(x, float), np.array(y, float))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(found)
        return
    p, q = ranks(x) - ranks(x).mean(), ranks(y) - ranks(y).mean()
    assert found == pytest.approx(float((p * q).sum() / np.sqrt((p**2).sum() * (q**2).sum())))


def test_an_analysis_of_this_package(trained: tuple[Path, ...], tmp_path: Path) -> None:
    """Prompts are written for each model; what is said can be made again and kept."""
    problems = interp.task("add:2").sample(40, seed=5)
    names = [str(folder) for folder in trained[:2]]
    calls: list[tuple[int, int]] = []
    result = over_seeds(
        names,
        interp.attribution.counterfactual,
        problems,
        prefix="recompute",
        seed=3,
        progress=lambda *done: calls.append(done),
    )
    assert calls == [(1, 2), (2, 2)]
    model = interp.load(names[1])
    alone = interp.attribution.counterfactual(
        model, model.prompts(problems), prefix="recompute", seed=3
    )
    table = result.frame.set_index("metric")
    assert table[names[1]]["mean_abs_where_changes"] == alone.metrics["mean_abs_where_changes"]
    cell = result.cells.query("grid == 'effect' and cell == 'a1 c2' and model == @names[1]")
    assert cell["value"].item() == alone.effect.at(operand_digit="a1", answer_digit="c2")
    assert result.hashes[1] == model.hash
    assert Result.load(result.save(tmp_path / "saved")) == result
    again: dict[str, Any] = {}
    exec(result.code, again)
    assert again["result"] == result
    figure = result.figure()
    assert {trace.name for trace in figure.data} >= {*names, "pair of models"}


def test_prompts_are_written_of_a_task_by_name(trained: tuple[Path, ...]) -> None:
    """As they are of the problems that none of the models saw in training."""
    names = [str(folder) for folder in trained[:2]]
    counterfactual = interp.attribution.counterfactual
    by_name = over_seeds(names, counterfactual, "add:2", n=30, seed=3)
    unseen = over_seeds(names, counterfactual, interp.load(names[0]).held_out(30, seed=3), seed=3)
    pd.testing.assert_frame_equal(by_name.values, unseen.values)
    pd.testing.assert_frame_equal(by_name.cells, unseen.cells)


def test_problems_go_as_they_are_where_no_batch_is_wanted(trained: tuple[Path, ...]) -> None:
    names = [str(folder) for folder in trained[:2]]
    result = over_seeds(names, interp.behaviour.accuracy, "add:2", n=30, seed=1, strict=False)
    alone = interp.behaviour.accuracy(interp.load(names[0]), "add:2", n=30, seed=1, strict=False)
    table = result.frame.set_index("metric")
    for name, value in alone.metrics.items():
        assert table[names[0]][name] == pytest.approx(value, nan_ok=True)
    assert "interp.behaviour.accuracy, 'add:2', n=30, seed=1, strict=False)" in result.code


def test_replicas_of_a_shipped_model() -> None:
    assert seeds_of("add5")[0] == "add5"
    assert all(name.startswith("add5") for name in seeds_of("add5"))
    with pytest.raises(ModelError, match=r"no model 'add6' is shipped; there are add5"):
        seeds_of("add6")


def test_bad_input(trained: tuple[Path, ...]) -> None:
    names = [str(folder) for folder in trained]
    with pytest.raises(InputError, match="at least two models"):
        over_seeds(names[:1], interp.behaviour.accuracy, "add:2")
    with pytest.raises(InputError, match="at least two models"):
        over_seeds("add5", interp.behaviour.accuracy, "add:2")
    with pytest.raises(InputError, match="is given twice"):
        over_seeds([names[0], names[0]], interp.behaviour.accuracy, "add:2", n=4)
    with pytest.raises(InputError, match=r"counterfactual cannot be called so: .* 'asked'"):
        over_seeds(names, interp.attribution.counterfactual)
    with pytest.raises(InputError, match="nothing that a model can be asked: give a task's name"):
        over_seeds(names, interp.attribution.counterfactual, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown task 'nope:2': write one such as add:5"):
        over_seeds(names, interp.attribution.counterfactual, "nope:2")
    with pytest.raises(InputError, match=r"accuracy cannot be called so: .* 'sead'"):
        over_seeds(names, interp.behaviour.accuracy, "add:2", sead=1)
    with pytest.raises(InputError, match="returned a str; an analysis returns a Result"):
        over_seeds(names, lambda model: str(model))

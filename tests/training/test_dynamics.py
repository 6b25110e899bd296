"""What logs say about learning, against curves whose order of learning is known by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
from interp.errors import InputError, ModelError, StorageError
from interp.figures import export
from interp.results.result import Result
from interp.training import digit_losses, dynamics, read_log, train
from tests.app.test_cli import run
from tests.training.logs_by_hand import LOSSES, learnt, log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "training_log.parquet"
    log().to_parquet(file, index=False)
    return file


def test_the_order_depends_on_the_threshold(path: Path) -> None:
    assert learnt(dynamics(path)) == {"c0": 10, "c1": 30, "c2": 10}
    strict = dynamics(path, threshold=0.1)
    assert learnt(strict) | {"c2": 0} == {"c0": 20, "c1": 40, "c2": 0}
    assert np.isnan(learnt(strict)["c2"])
    order = dynamics(path).order.set_index("group")
    assert order["rank"].to_dict() | {"class:UC": 0} == {"c0": 1, "c1": 3, "c2": 1, "class:UC": 0}
    assert order["kept_from"]["c2"] == 30
    assert order["kept_from"]["c0"] == 10
    assert np.isnan(order["kept_from"]["class:UC"])


def test_by_accuracy(path: Path) -> None:
    # 1 - loss / 2.4 ≥ 0.9 where the loss is at most 0.24
    assert learnt(dynamics(path, measure="accuracy")) | {"c2": 0} == {"c0": 20, "c1": 40, "c2": 0}


def test_smoothing_is_the_mean_of_the_last_steps(path: Path) -> None:
    result = dynamics(path, smoothing=2)
    curve = result.wide("loss", "digit")["c1"]
    assert curve.to_dict() == pytest.approx({10: 2.25, 20: 2.15, 30: 1.45, 40: 0.445})
    assert learnt(result) == {"c0": 20, "c1": 40, "c2": 30}
    assert result.wide("grad_norm", "digit")["c1"].to_dict() == {0: 5, 10: 6, 20: 7, 30: 8, 40: 9}


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=12),
    st.floats(0.01, 3),
    st.integers(1, 4),
)
def test_learnt_at_against_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, curve: list[float], limit: float, smoothing: int
) -> None:
    smoothing = min(smoothing, len(curve))
    file = tmp_path_factory.mktemp("log") / "log.parquet"
    log({"c0": tuple(curve)}, range(len(curve))).to_parquet(file, index=False)
    means = {
        at: float(np.mean(curve[at - smoothing + 1 : at + 1]))
        for at in range(smoothing - 1, len(curve))
    }
    if any(abs(mean - limit) < 1e-9 for mean in means.values()):
        return  # rounding decides
    first = next((at for at, mean in means.items() if mean < limit), np.nan)
    found = learnt(dynamics(file, threshold=limit, smoothing=smoothing))["c0"]
    assert found == first or (np.isnan(found) and np.isnan(first))


def test_the_result_says_it_and_keeps_it(path: Path, tmp_path: Path) -> None:
    result = dynamics(path, task="add:2")
    assert result.n == 5
    assert result.verdict is None  # five logged steps are too few
    assert result.conclusion() == (
        "On training batches the digits are learnt in the order c0 and c2, then c1."
    )
    assert "told on training batches" in result.caption
    assert "learnt: loss < 1 nats" in result.caption
    assert "5 logged steps of 64 problems" in result.caption
    assert result.metrics["learnt_at_c1"] == 30
    assert Result.load(result.save(tmp_path / "saved")) == result
    again: dict[str, Any] = {}
    exec(result.code, again)
    assert again["result"] == result


def test_no_order_where_all_is_learnt_at_once(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    log({"c0": (0.1, 0.1, 0.1, 0.1, 0.1), "c1": (0.2,) * 5}).to_parquet(file, index=False)
    assert dynamics(file).conclusion() == (
        "On training batches all 2 answer digits are learnt by the logged step 0, the first one: "
        "this log tells no order."
    )


def test_many_lines_learnt_from_the_start_share_an_entry_of_the_legend(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    early = {f"class:K{i}": (0.1,) * 5 for i in range(8)}
    log({**LOSSES, **early}).to_parquet(file, index=False)
    lines = [x for x in dynamics(file).figure().data if x.type == "scatter" and x.x[0] is not None]
    named = [x.name for x in lines if x.showlegend is not False]
    assert "8 learnt by the<br>first logged step" in named and "UC" in named
    assert not {f"K{i}" for i in range(8)} & {*named}
    assert len(lines) == len(LOSSES) + len(early) + 1  # every curve is still drawn


def test_a_real_run_finished_or_not(tiny: Any, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    train(tiny, begun, budget_seconds=1e-9)  # one step, then a checkpoint
    assert set(read_log(begun)["step"]) == {0}
    done = tmp_path / "done"
    card = train(tiny, done).card
    result = dynamics(done)
    assert result.model is not None
    assert (result.model.hash, result.task, result.seed) == (card.weight_hash, "add:2", 0)  # type: ignore[union-attr]
    assert result.groups("digit") == ("c0", "c1", "c2")
    assert list(result.wide("grad_norm", "digit").index) == [0, 6]
    held_out = dynamics(done, split="validation")
    assert held_out.groups("class") == ()
    assert len(held_out.figure().data) == 3 + 2  # no gradients there, and no classes; the totals
    assert held_out.splits == ("train", "validation")


def test_the_figure_draws_the_numbers(path: Path) -> None:
    figure = dynamics(path).figure()
    heat, *lines = figure.data
    assert list(heat.y) == ["c0", "c1", "c2"]
    assert heat.customdata[1][3] == "c1, step 30: gradient norm 8"
    assert heat.z[1][3] == pytest.approx(np.log10(8.0))
    by_name = {line.name: line for line in lines}
    assert list(by_name["c1"].y) == list(LOSSES["c1"])
    assert list(by_name["c1"].marker.size) == [0, 0, 0, 11, 0]  # the mark at step 30
    assert list(by_name["UC"].marker.size) == [0] * 5
    assert "seed 0" not in figure.layout.annotations[-1].text  # a log alone does not know it
    assert "n = 5 logged steps" in figure.layout.annotations[-1].text


def test_models_side_by_side(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    log({"c0": (2.0, 2.0, 2.0, 2.0, 2.0)}).to_parquet(other, index=False)
    result = digit_losses([path, other])
    assert result.models == ("training_log", "other")
    assert result.metrics["training_log digits learnt"] == 3
    assert result.metrics["other digits learnt"] == 0
    figure = result.figure()
    curve = next(t for t in figure.data if t.name == "c1" and len(t.x) > 1)
    assert list(curve.y) == list(LOSSES["c1"])
    colours = {t.line.color for t in figure.data if t.name == "c0"}
    assert len(colours) == 1  # the same in both panels and in the legend
    assert Result.load(result.save(tmp_path / "saved")) == result
    again: dict[str, Any] = {}
    exec(result.code, again)
    assert again["result"] == result


PUBLISHED = """step,loss_total,loss_per_pos,grad_norm_total,grad_norm_per_pos,cos_per_pos
0,2.0,"[0.5, 2.5]",3.0,"[1.0, 4.0]","[0.25, nan]"
500,1.0,"[0.1, 0.2]",2.0,"[0.5, 0.75]","[0.5, 0.125]"
"""


def published(tmp_path: Path, text: str = PUBLISHED) -> Path:
    file = tmp_path / "grad_probe_log.csv"
    file.write_text(text)
    return file


def test_the_published_log_is_turned_round(tmp_path: Path) -> None:
    frame = read_log(published(tmp_path)).set_index(["step", "group"])
    assert frame.loss[0, "c0"] == 2.5  # the last of the array is the least significant
    assert frame.loss[0, "c1"] == 0.5
    assert frame.grad_norm[500, "c0"] == 0.75
    assert frame.cosine[500, "c1"] == 0.5
    assert np.isnan(frame.cosine[0, "c0"])
    assert frame.loss[0, "total"] == 2.0
    result = dynamics(tmp_path / "grad_probe_log.csv", task="mul:1x1")
    assert learnt(result) == {"c0": 500, "c1": 0}
    assert len(result.figure().data) == 4  # heat map, two digits and the total


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cos_per_pos", "cosines", "lacks the columns cos_per_pos"),
        ('"[0.5, 2.5]"', "much", "row 1: loss_per_pos is 'much', not a list of numbers"),
        ('"[0.5, 2.5]"', '"[0.5, [2.5]]"', "row 1: loss_per_pos is .* not a list of numbers"),
        ('"[0.1, 0.2]"', '"[0.1]"', "row 2: loss_per_pos has 1 numbers, the first row 2"),
        ("500,1.0", "500,big", "loss_total is not a column of numbers"),
        ("500,1.0", "0,1.0", "has step 0 twice"),
        ("500,1.0", ",1.0", "rows without a step"),
        (PUBLISHED[PUBLISHED.index("\n") :], "\n", "has no rows"),
        (PUBLISHED, "", "no readable table"),
    ],
)
def test_malformed_published_logs(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PUBLISHED
    with pytest.raises(StorageError, match=message):
        read_log(published(tmp_path, PUBLISHED.replace(old, new)))


def test_arrays_of_different_lengths(tmp_path: Path) -> None:
    text = PUBLISHED.replace("[1.0, 4.0]", "[1.0]").replace("[0.5, 0.75]", "[0.5]")
    with pytest.raises(StorageError, match="arrays of different lengths: loss_per_pos 2, grad"):
        read_log(published(tmp_path, text))


def test_bad_logs_of_our_own(tmp_path: Path, path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model, folder or log 'nowhere'.*add5"):
        read_log("nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(StorageError, match=r"holds no training_log.parquet and no checkpoint"):
        read_log(empty)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StorageError, match="no readable parquet file"):
        read_log(path)
    log().drop(columns="cosine").to_parquet(path)
    with pytest.raises(StorageError, match="is no training log: it lacks cosine"):
        read_log(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "threshold=0 of the loss must be above 0"),
        ({"threshold": 2, "measure": "accuracy"}, "must be above 0 and at most 1"),
        ({"measure": "speed"}, "measure='speed' must be one of loss, accuracy"),
        ({"smoothing": 0}, "smoothing=0: a mean needs at least 1"),
        ({"smoothing": 6}, "more than the 5 logged steps"),
        ({"split": "test"}, "has no split 'test'; it has train"),
    ],
)
def test_bad_arguments(path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dynamics(path, **options)


def test_an_adapters_log_is_by_task_on_held_out_problems(tmp_path: Path) -> None:
    """Its training batches mix tasks, so only the whole and the terms are logged of them."""
    frame = log({"term:prose": (0.1, 0.1, 0.1, 0.1, 0.1)})
    by_task = log({"add:2": (2.0, 1.5, 0.5, 0.1, 0.1)}).assign(split="validation")
    file = tmp_path / "log.parquet"
    pd.concat([frame, by_task]).to_parquet(file, index=False)
    result = dynamics(file)
    assert result.groups("task") == ("add:2",)
    assert result.metrics["learnt_at_add:2"] == 20
    assert {trace.name for trace in result.figure().data} == {"add:2", "training", "held out"}
    assert dynamics(file, split="train").groups("term") == ("term:prose",)
    with pytest.raises(InputError, match="the log of log has no losses by digit"):
        digit_losses([file, "add5"])


def test_bad_lists_of_models(path: Path) -> None:
    with pytest.raises(InputError, match="give a list of models"):
        digit_losses("add5")
    with pytest.raises(InputError, match="a model is named twice"):
        digit_losses([path, path])
    with pytest.raises(InputError, match="was trained on add:5, not on mul:2x2"):
        dynamics("add5", task="mul:2x2")


def test_the_command(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(export, "browser", lambda: None)
    out = tmp_path / "out"
    arguments = ("--log", str(path), "--threshold", "0.1", "-o", str(out))
    assert run(monkeypatch, "dynamics", *arguments) == 0
    assert Result.load(out) == dynamics(path, threshold=0.1)
    assert run(monkeypatch, "dynamics") == 2
    assert "say whose training" in capsys.readouterr().err
    assert run(monkeypatch, "dynamics", "-m", "add5", "--log", str(path)) == 0
    assert "add5 exact" in capsys.readouterr().out
    both = ("dynamics", "-m", "add5", "--log", str(path), "--task", "add:5")
    assert run(monkeypatch, *both) == 2


def test_the_shipped_log() -> None:
    """The public face, on the model that ships."""
    result = interp.training.dynamics("add5", threshold=0.1, smoothing=2)
    assert result.metrics["digits_learnt"] == 6
    assert result.verdict is not None

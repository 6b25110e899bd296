"""Published numbers beside ours: the table, the verdicts, the record, the command."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.arithmetic.formats import format
from interp.arithmetic.proportions import wilson
from interp.errors import InputError, ModelError
from interp.published import _rerun, measures
from interp.published.doubtful import CONSTANT, ROOT_MEAN_SQUARE, ZERO, doubtful
from interp.published.measures import (
    MEASURES,
    WITHOUT_MODEL,
    Ours,
    Question,
    _published_fit,
    _ratio,
)
from interp.published.page import page, surprise
from interp.published.rows import Row, chosen, rows
from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
ROW = Row("p-q", "Paper", "0000.00000", "q", "c", 2.0, "", "", "full_basis", "random", "", {},
          "near", 1.5, 2.5, "by hand", True, "")  # fmt: skip


def test_every_row_can_be_asked_or_says_why_not() -> None:
    keys = [row.key for row in rows()]
    assert len(set(keys)) == len(keys) >= 64
    for row in rows():
        assert row.measure in MEASURES or (not row.measure and row.reason), row.key
        assert row.model or row.reason or row.measure in WITHOUT_MODEL, row.key
        assert not (row.model and row.reason), row.key
        if row.measure:
            assert row.low <= row.high, row.key
            assert row.basis, row.key
            if row.accepts != "inside":  # the tolerance is around what was published
                assert row.low <= row.value <= row.high, row.key
    judged = [row for row in rows() if not row.reason and row.accepts != "above"]
    assert len(judged) >= 30 and len({row.arxiv for row in judged}) >= 6


def test_intervals_of_published_shares_are_wilson() -> None:
    """n = 1,500 numbers, as the paper states; bounds in the table to four decimals."""
    for row in rows():
        if row.measure == "majority_near":
            own = wilson(row.value * 1500, 1500)
            bounds = (float(own.low), float(own.high))
            assert (row.low, row.high) == pytest.approx(bounds, abs=6e-5), row.key


def test_the_probes_print_the_same_published_errors() -> None:
    """`probes.running_sums` stands on a lower floor and has its own copy of ten numbers."""
    from probes.running import PUBLISHED

    table = {
        row.key: row.value
        for row in rows()
        if row.measure == "running_sums" and "-stuck-" not in row.key
    }
    assert table == {
        f"bai-{kind}-c{k}": value for kind, known in PUBLISHED.items() for k, value in known.items()
    }


def test_the_floors_of_the_doubtful_probe_are_those_of_the_published_problems() -> None:
    path = ROOT / "fixtures" / "data" / "icot_4x4_valid.txt"
    asked = format("icot").parse_many(path.read_text().splitlines(), interp.task("mul:4x4"))
    sums = asked.columns("running_sum")[:, 2:7].astype(float)
    floors = (np.abs(sums - np.median(sums, axis=0)), sums, sums**2)
    means = [x.mean(axis=0) for x in floors]
    assert list(CONSTANT.values()) == pytest.approx(means[0], abs=0.006)
    assert list(ZERO.values()) == pytest.approx(means[1], abs=0.006)
    assert list(ROOT_MEAN_SQUARE.values()) == pytest.approx(np.sqrt(means[2]), abs=0.006)


@pytest.mark.parametrize(
    ("accepts", "value", "low", "high", "verdict"),
    [
        ("near", 2.45, 2.4, 3.0, "holds"),
        ("near", 2.7, 2.4, 3.0, "open"),  # the interval alone meets the tolerance
        ("near", 2.8, 2.6, 3.0, "differs"),
        ("near", 1.0, 0.1, 1.4, "differs"),
        ("near", 2.0, math.nan, 2.0, "open"),
        ("inside", 2.0, 1.6, 2.4, "holds"),
        ("inside", 2.0, 1.4, 2.4, "open"),
        ("inside", 2.8, 2.6, 3.0, "differs"),
        ("above", 1.0, 0.9, 1.4, "holds"),
        ("above", 1.4, 1.3, 1.5, "differs"),  # the null reaches the published interval
        ("above", 2.9, 2.8, 3.0, "differs"),
    ],
)
def test_verdicts_by_hand(
    accepts: Any, value: float, low: float, high: float, verdict: str
) -> None:
    assert replace(ROW, accepts=accepts).verdict(value, low, high) == verdict


def test_a_number_equal_to_its_null_is_not_above_it() -> None:
    """1 against 0.9999999999 of random rows, which numerics alone part."""
    assert replace(ROW, accepts="above", low=1, high=1).verdict(1, 1, 1 - 1e-12) == "differs"


def test_a_null_that_reaches_1_leaves_a_share_open() -> None:
    """No share could lie above it; of numbers without a largest value it is a null like others."""
    row = replace(ROW, accepts="above", low=0.9, high=0.9, unit="share")
    assert row.verdict(0.7, 0.5, 1.05) == "open" and row.verdict(0.7, 0.5, 0.95) == "differs"
    assert row.verdict(1, 1, 1) == "differs"  # exactly 1: that is known
    assert replace(row, unit="units").verdict(0.7, 0.5, 1.05) == "differs"


def test_directions_have_one_bound() -> None:
    above = replace(ROW, accepts="inside", low=1.0, high=math.inf)
    assert above.directional and "above 1" in above.rule
    assert above.verdict(50, 2, 90) == "holds" and above.verdict(1.2, 0.9, 1.5) == "open"
    assert not ROW.directional and not replace(ROW, accepts="inside").directional


def test_surprise_is_on_one_scale() -> None:
    """log 2 either way; log odds of 0.9 and 0.5; counts with a half added; cosines as shares."""
    assert (
        surprise(ROW, {"ours": 4.0}) == surprise(ROW, {"ours": 1.0}) == pytest.approx(math.log(2))
    )
    share = replace(ROW, unit="share", value=0.5)
    assert surprise(share, {"ours": 0.9}) == pytest.approx(math.log(9))
    assert surprise(replace(share, value=1.0), {"ours": 1.0}) == 0
    assert surprise(replace(ROW, unit="digits", value=4), {"ours": 0}) == pytest.approx(math.log(9))
    cosine = replace(ROW, unit="cosine", value=0.0)
    assert surprise(cosine, {"ours": 0.8}) == pytest.approx(math.log(9))


def test_ratio_by_hand() -> None:
    """log 2 ± hypot(log 1.1, log 1.2) for a top of 2 (÷ and × 1.1) and a bottom of 1 (÷ × 1.2)."""
    top, bottom = Ours(2, 2 / 1.1, 2.2, 9, ""), Ours(1, 1 / 1.2, 1.2, 9, "")
    found, width = _ratio(top, bottom), math.hypot(math.log(1.1), math.log(1.2))
    assert found.value == 2
    assert (found.low, found.high) == pytest.approx((2 * math.exp(-width), 2 * math.exp(width)))


def test_ten_columns_fit_random_rows() -> None:
    found = interp.rerun("bai-fourier-all").frame.iloc[0]
    assert found["ours"] == pytest.approx(1, abs=1e-9) and found["verdict"] == "differs"


@pytest.mark.parametrize(("k", "share"), [(5, 0.6), (10, 0.7), (7, 4 / 7), (2, 0.5), (3, 2 / 3)])
def test_majorities_by_hand(k: int, share: float) -> None:
    found = MEASURES["majority_near"](Question("", {"k": k}))[f"near {k}"]
    assert found.value == pytest.approx(share, abs=1e-4)


def test_a_call_serves_its_rows_with_the_median_of_the_seeds(monkeypatch: Any) -> None:
    """Four numbers of modular addition by one measure; values by hand, one for each seed."""
    asked: list[str] = []
    values = {"mod113": 0.7, "mod113-s1": 0.9, "mod113-s2": 0.6}

    def fake(question: Question) -> Any:
        asked.append(question.source)
        names = ("logits_explained_all", "excluded_loss_characters", "restricted_loss_characters",
                 "distance_irrelevance")  # fmt: skip
        value = values[question.source]
        return {name: Ours(value, value, value, 1, question.source) for name in names}

    monkeypatch.setattr("interp.published.measures.modular", fake)
    found = interp.rerun(["chughtai", "zhong-b-irrelevance"]).frame
    assert asked == list(values)
    assert len(found) == 4
    assert set(zip(found["low"], found["ours"], found["high"], strict=True)) == {(0.6, 0.7, 0.9)}


def test_one_model_is_measured_as_the_library_does() -> None:
    found = interp.rerun("zhong-a", model="mod113").frame.set_index("key")
    want = interp.geometry.modular(interp.load("mod113")).metrics
    row = found.loc["zhong-a-irrelevance"]
    assert row["ours"] == row["low"] == pytest.approx(want["distance_irrelevance"])
    assert row["verdict"] == "differs"
    assert set(found["recorded"]) == {""}  # nothing is compared with the record


def test_a_changed_verdict_is_told(monkeypatch: Any, tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    rows_before = [{"key": "bai-fourier-all", "verdict": "holds"}]
    path.write_text(json.dumps({"rows": rows_before}))
    monkeypatch.setattr(_rerun, "RECORDED", path)
    found = interp.rerun("bai-fourier-all")
    assert not found.holds
    assert list(found.changed["key"]) == ["bai-fourier-all"]
    rows_before[0]["verdict"] = "differs"
    path.write_text(json.dumps({"rows": rows_before}))
    assert interp.rerun("bai-fourier-all").holds


def test_the_command_ends_with_code_1_for_a_changed_verdict(tmp_path: Path) -> None:
    """The command in a process of its own, whose record says otherwise: exit code 1, and the row is
    named."""
    code = (
        "import sys, pathlib; from interp.published import _rerun; from app.cli import main\n"
        "_rerun.RECORDED = pathlib.Path(sys.argv.pop(1)); main()"
    )
    record, out = tmp_path / "record.json", tmp_path / "rows.json"
    record.write_text(json.dumps({"rows": [{"key": "bai-fourier-all", "verdict": "holds"}]}))
    words = [str(record), "rerun", "--only", "bai-fourier-all", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert "bai-fourier-all: recorded as 'holds', now 'differs'" in said
    assert json.loads(out.read_text())["rows"][0]["verdict"] == "differs"


def test_the_installed_command_takes_no_model_for_a_row_that_asks_none() -> None:
    """What is on the path after installation, in a process of its own."""
    command = Path(sys.executable).with_name("arithmoscope")
    words = ["rerun", "--only", "bai-fourier-all", "--model", "/nonexistent/x"]
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "asks no model" in " ".join((done.stdout + done.stderr).split())


def test_a_model_of_ones_own_is_asked(tmp_path: Path) -> None:
    """A model without a task cannot be asked a row that names none: said in the row."""
    folder = tiny.save("gpt2", tmp_path / "mine", seed=3)
    with pytest.raises(InputError, match="name the rows"):
        interp.rerun(model=folder)
    found = interp.rerun("quirke-addition", model=folder)
    assert found.failed == ("quirke-addition",)  # it has no task
    assert "has no task of its own" in found.frame.iloc[0]["reason"]


def test_with_a_model_of_ones_own_no_layers_are_named(monkeypatch: Any) -> None:
    """Layers of ours mean nothing in another model; and rows that ask no model are not run."""
    asked: list[Question] = []

    def fake(question: Question) -> Any:
        asked.append(question)
        return {"helix / activation": Ours(0.8, 0.7, 0.9, 1, "")}

    monkeypatch.setitem(_rerun.MEASURES, "helix", fake)
    interp.rerun("kantamneni-share")
    interp.rerun("kantamneni-share", model="mod113")
    assert asked[0].options["layers"] and "layers" not in asked[1].options
    assert {**asked[1].options, "layers": asked[0].options["layers"]} == dict(asked[0].options)
    names = ["bai-fourier-all", "zhong-a-irrelevance"]
    found = interp.rerun(names, model="mod113").frame.set_index("key")
    assert found.loc["bai-fourier-all", "verdict"] == "not run"
    assert found.loc["bai-fourier-all", "reason"] == "it asks no model"


def test_a_kept_call_is_not_read_for_other_seeds_or_another_version(monkeypatch: Any) -> None:
    row = next(row for row in rows() if row.key == "nanda-neurons")
    question = Question("mod113", row.options)
    first = _rerun._key(row, question, "call")
    assert first == _rerun._key(row, question, "call")
    with monkeypatch.context() as other:
        other.setattr("interp.published.measures._seeds", lambda asked: ("mod113", "mod113-s1"))
        assert _rerun._key(row, question, "call") != first
    monkeypatch.setattr(_rerun, "installed_versions", lambda: {"arithmoscope": "9"})
    assert _rerun._key(row, question, "call") != first


def test_finished_calls_are_kept(tmp_path: Path, monkeypatch: Any) -> None:
    first = interp.rerun("bai-sft-never-learnt", keep=tmp_path).frame
    monkeypatch.setitem(_rerun.MEASURES, "digits_never_learnt", None)
    again = interp.rerun("bai-sft-never-learnt", keep=tmp_path).frame
    assert again["ours"].tolist() == first["ours"].tolist() == [0.0]
    assert again["seconds"].tolist() == first["seconds"].tolist()  # of the call, not of reading it
    assert first["verdict"].tolist() == ["differs"]  # published: four digits are never learnt


def test_recorded_numbers_are_judged_by_the_table_of_today(monkeypatch: Any) -> None:
    """The number stays; the verdict, the words and the reason are those of the table."""
    row = next(row for row in rows() if row.key == "quirke-addition")
    numbers = {"ours": 0.5, "low": 0.4, "high": 0.6, "n": 9, "code": "x", "seconds": 2.0}
    old: list[dict[str, Any]] = [
        {"key": row.key, "verdict": "holds", **numbers},
        {"key": "gone", "verdict": "holds"},
    ]
    (found,) = _rerun.judged_again(old)
    assert found["verdict"] == "differs" and {name: found[name] for name in numbers} == numbers
    assert found["published"] == row.value and found["rule"] == row.rule
    dropped = replace(row, measure="", model="", reason="no longer")
    monkeypatch.setattr(_rerun, "rows", lambda: (dropped,))
    (found,) = _rerun.judged_again(old)
    assert found["verdict"] == "not run" and found["reason"] == "no longer" and "ours" not in found


def test_the_published_fit_finds_a_planted_direction() -> None:
    rng = torch.Generator().manual_seed(0)
    states = torch.randn(400, 2, 4, generator=rng, dtype=torch.float64)
    planted = torch.tensor([[0.5, -0.25, 0.0, 0.1], [0.0, 0.3, -0.4, 0.2]], dtype=torch.float64)
    true = (states * planted).sum(dim=-1)
    found = _published_fit(states, true, 300, seed=0, cancel=None)
    assert (found - planted).abs().max() < 0.02
    assert torch.equal(found, _published_fit(states, true, 300, seed=0, cancel=None))


def test_a_crossed_probe_reads_its_own_model_only(monkeypatch: Any) -> None:
    """With exact least squares in place of the long fit: far better on the model that it was fitted
    on than on the other's states, where it is the exact probe that is reported beside it."""

    def exact(states: Any, true: Any, fit: int, *_: Any) -> Any:
        each = range(true.shape[1])
        found = [torch.linalg.lstsq(states[:fit, i], true[:fit, i, None]) for i in each]
        return torch.stack([one.solution[:, 0] for one in found])

    monkeypatch.setattr("interp.published.measures._published_fit", exact)
    asked = Question("mul4x4-stuck", {"n": 1600, "other": "mul4x4-icot"})
    for digit, one in MEASURES["crossed_sums"](asked).items():
        assert one.more["own"] < one.more["constant"] < one.value, digit
        assert one.value == pytest.approx(one.more["least squares"])
        assert one.low < one.value < one.high and one.n == 400
        assert one.more["zero"] < one.more["root mean square"]


def test_full_width_problems_are_held_out_and_in_the_call() -> None:
    asked = Question("mul3x3-aux", {"n": 200, "full_width": True})
    found = MEASURES["accuracy"](asked)["exact"]
    problems = asked.full_width(200)
    assert min(problems.values(i).min() for i in (0, 1)) >= 100
    assert asked.model.split is not None and asked.model.split.keeps(problems, "test").all()
    made: dict[str, Any] = {}
    exec(found.code, made)
    assert made["result"].metrics["exact_accuracy"] == found.value
    assert made["result"].n == found.n


def test_noisy_digits_are_the_suite_s() -> None:
    asked = Question("add5-reversed", {"n": 60})
    found = MEASURES["noisy_digits"](asked)
    want = interp.suites.noisy_prefix(asked.model, "add:5", n=60).metrics
    assert {name: one.value for name, one in found.items()} == {
        name: want[name] for name in ("random", "random_relaxed", "precise", "precise_relaxed")
    }
    assert found["random"].n <= 60 and found["random"].low < found["random"].value


def test_answers_of_a_published_file(tmp_path: Path) -> None:
    """The file that ships has none of the conditions, and the row says so."""
    file = ROOT / "fixtures" / "data" / "tokenization_counts_io.csv"
    found = interp.rerun("singh-l2r", model=file)
    assert found.frame.iloc[0]["verdict"] == "not run"
    assert found.failed == ("singh-l2r",) and not found.holds  # exit code 1: nothing is dropped
    changed = tmp_path / "l2r.csv"
    changed.write_text(file.read_text().replace("comma_r2l", "nosep").replace("space_r2l", "nosep"))
    asked = MEASURES["published_answers"](Question(str(changed), {}))
    assert 0 < asked["l2r"].low < asked["l2r"].value < asked["l2r"].high <= 1
    assert asked["l2r"].n == 270


def test_measures_on_a_tiny_language_model(tmp_path: Path) -> None:
    """The share of heads is path patching's; both shares of MLPs are there."""
    folder = tiny.save("llama", tmp_path / "tiny", seed=2)
    asked = Question(str(folder), {"task": "add:1", "format": "plain"})
    share = MEASURES["heads_over_rule"](asked)["share"]
    found = interp.heads.paths(
        asked.model, interp.task("add:1").grid(), metrics="relative_logit", swap="all",
        format="plain",
    )  # fmt: skip
    assert share.value == pytest.approx(found.metrics["share_over_rule"])
    assert share.low <= share.value <= share.high
    late = MEASURES["late_mlps"](asked)
    assert set(late) == {"varied", "fixed"}
    assert all(one.low < one.value < one.high and one.n > 1 for one in late.values())


def test_accuracy_by_examples_is_that_of_the_seeds_cards(monkeypatch: Any, tmp_path: Path) -> None:
    """By hand: the mean of three seeds with the outermost bounds; without cards, what to do."""
    monkeypatch.setattr(measures, "fixtures_root", lambda: tmp_path)
    asked = Question("teach-plain", {"examples": 500})
    with pytest.raises(ModelError, match="checkout"):
        measures.sample_size(asked)
    for seed, share in (("", 0.5), ("-s1", 0.25), ("-s2", 0.75)):
        folder = tmp_path / "teaching" / f"teach-plain-500{seed}"
        folder.mkdir(parents=True)
        one = {"share": share, "low": share - 0.1, "high": share + 0.1, "n": 10, "readable": 1.0}
        card = {"design": {"decoded": {"add:3": one}}}
        (folder / "card.json").write_text(json.dumps(card))
    found = measures.sample_size(asked)["exact"]
    assert found[:4] == (0.5, pytest.approx(0.15), pytest.approx(0.85), 30)
    before = measures.read_by("sample_size", asked)
    (folder / "card.json").write_text(json.dumps(card | {"name": "other"}))
    assert len(before) == 3 and measures.read_by("sample_size", asked) != before


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(InputError, match="Nearest: bai"):
        interp.rerun("bay")
    with pytest.raises(InputError, match="no row of these is quick"):
        chosen(["stolfo"], quick=True)


def test_the_page_is_the_record() -> None:
    body = json.loads(_rerun.RECORDED.read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "reproductions.md").read_text(encoding="utf-8") == page(body["rows"])
    told = (ROOT / "docs" / "doubtful-claims.md").read_text(encoding="utf-8")
    assert told == doubtful(body["rows"])
    known = {row.key: row for row in rows()}
    for one in body["rows"]:
        if one["verdict"] != "not run":  # the rule, not a hand, says the verdict
            mine = known[one["key"]].verdict(one["ours"], one["low"], one["high"])
            assert mine == one["verdict"], one["key"]

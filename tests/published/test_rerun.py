"""Published numbers beside ours: the table, the verdicts, the record, the command."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import interp
from interp.errors import InputError
from interp.published import _rerun
from interp.published.doubtful import doubtful
from interp.published.measures import MEASURES, WITHOUT_MODEL, Ours, Question, _ratio
from interp.published.page import page, surprise
from interp.published.rows import Row, chosen, rows
from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
ROW = Row("p-q", "Paper", "0000.00000", "q", "c", 2.0, "", "", "full_basis", "random", "", {},
          "meets", 1.5, 2.5, True, "")  # fmt: skip


def test_every_row_can_be_asked_or_says_why_not() -> None:
    keys = [row.key for row in rows()]
    assert len(set(keys)) == len(keys) >= 64
    for row in rows():
        assert row.measure in MEASURES or (not row.measure and row.reason), row.key
        assert row.model or row.reason or row.measure in WITHOUT_MODEL, row.key
        assert not (row.model and row.reason), row.key
        if row.measure:
            assert row.low <= row.high, row.key
            if row.accepts == "meets":  # the tolerance is around what was published
                assert row.low <= row.value <= row.high, row.key
    judged = [row for row in rows() if not row.reason]
    assert len(judged) >= 30 and len({row.arxiv for row in judged}) >= 6


def test_the_probes_print_the_same_published_errors() -> None:
    """`probes.running_sums` stands on a lower floor and has its own copy of ten numbers."""
    from probes.running import PUBLISHED

    table = {row.key: row.value for row in rows() if row.measure == "running_sums"}
    assert table == {
        f"bai-{kind}-c{k}": value for kind, known in PUBLISHED.items() for k, value in known.items()
    }


@pytest.mark.parametrize(
    ("accepts", "low", "high", "verdict"),
    [
        ("meets", 2.4, 3.0, "holds"),
        ("meets", 2.6, 3.0, "differs"),
        ("meets", 0.1, 1.4, "differs"),
        ("meets", math.nan, 2.0, "open"),
        ("inside", 1.6, 2.4, "holds"),
        ("inside", 1.4, 2.4, "open"),
        ("inside", 2.6, 3.0, "differs"),
    ],
)
def test_verdicts_by_hand(accepts: Any, low: float, high: float, verdict: str) -> None:
    assert replace(ROW, accepts=accepts).verdict(low, high) == verdict


def test_surprise_counts_half_widths() -> None:
    assert surprise(ROW, {"low": 3.5, "high": 4.0}) == pytest.approx(2.0)
    assert surprise(ROW, {"low": 1.0, "high": 1.6}) == 0.0


def test_ratio_by_hand() -> None:
    """log 2 ± hypot(log 1.1, log 1.2) for a top of 2 (÷ and × 1.1) and a bottom of 1 (÷ × 1.2)."""
    top, bottom = Ours(2, 2 / 1.1, 2.2, 9, ""), Ours(1, 1 / 1.2, 1.2, 9, "")
    found, width = _ratio(top, bottom), math.hypot(math.log(1.1), math.log(1.2))
    assert found.value == 2
    assert (found.low, found.high) == pytest.approx((2 * math.exp(-width), 2 * math.exp(width)))


def test_ten_columns_fit_random_rows() -> None:
    found = interp.rerun("bai-fourier-all").frame.iloc[0]
    assert found["ours"] == pytest.approx(1, abs=1e-9) and found["verdict"] == "holds"


@pytest.mark.parametrize(("k", "share"), [(5, 0.6), (10, 0.7), (7, 4 / 7), (2, 0.5), (3, 2 / 3)])
def test_majorities_by_hand(k: int, share: float) -> None:
    found = MEASURES["majority_near"](Question("", {"k": k}))[f"near {k}"]
    assert found.value == pytest.approx(share, abs=1e-4)


def test_a_call_serves_its_rows_with_the_median_of_the_seeds(monkeypatch: Any) -> None:
    """Thirteen numbers of modular addition by one measure; values by hand, one for each seed."""
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
    assert len(found) == 13
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
    rows_before = [{"key": "bai-fourier-all", "verdict": "differs"}]
    path.write_text(json.dumps({"rows": rows_before}))
    monkeypatch.setattr(_rerun, "RECORDED", path)
    found = interp.rerun("bai-fourier-all")
    assert not found.holds
    assert list(found.changed["key"]) == ["bai-fourier-all"]
    rows_before[0]["verdict"] = "holds"
    path.write_text(json.dumps({"rows": rows_before}))
    assert interp.rerun("bai-fourier-all").holds


def test_the_installed_command_ends_with_code_1_for_a_changed_verdict(tmp_path: Path) -> None:
    """The record in the package says otherwise: exit code 1, and the row is named."""
    code = (
        "import sys, json, pathlib; from interp.published import _rerun; from app.cli import main\n"
        "_rerun.RECORDED = pathlib.Path(sys.argv.pop(1)); main()"
    )
    record, out = tmp_path / "record.json", tmp_path / "rows.json"
    record.write_text(json.dumps({"rows": [{"key": "bai-fourier-all", "verdict": "differs"}]}))
    words = [str(record), "rerun", "--only", "bai-fourier-all", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert "bai-fourier-all: recorded as 'differs', now 'holds'" in said
    assert json.loads(out.read_text())["rows"][0]["verdict"] == "holds"


def test_a_model_of_ones_own_is_asked(tmp_path: Path) -> None:
    """A model without a task cannot be asked a row that names none: said in the row."""
    folder = tiny.save("gpt2", tmp_path / "mine", seed=3)
    with pytest.raises(InputError, match="name the rows"):
        interp.rerun(model=folder)
    found = interp.rerun("quirke-addition", model=folder)
    assert found.failed == ("quirke-addition",)  # it has no task
    assert "has no task of its own" in found.frame.iloc[0]["reason"]


def test_finished_calls_are_kept(tmp_path: Path, monkeypatch: Any) -> None:
    first = interp.rerun("bai-sft-never-learnt", keep=tmp_path).frame
    monkeypatch.setitem(_rerun.MEASURES, "digits_never_learnt", None)
    again = interp.rerun("bai-sft-never-learnt", keep=tmp_path).frame
    assert again["ours"].tolist() == first["ours"].tolist() == [0.0]
    assert first["verdict"].tolist() == ["differs"]  # published: four digits are never learnt


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
    assert set(late) == {"varied", "fixed"} and late["varied"].low <= late["varied"].high


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
            assert known[one["key"]].verdict(one["low"], one["high"]) == one["verdict"], one["key"]

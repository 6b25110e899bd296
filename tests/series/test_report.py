"""The report of a model: the three doors give its numbers, and a part survives what stops it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import interp
from app.calls import Sample
from app.calls import run as run_entry
from interp import catalogue
from interp.errors import Cancelled, InputError
from interp.figures.report_page import contents_of, shown_sections
from interp.many import _report as library
from interp.many.plan import planned
from interp.results.result import Result
from tests.app.test_cli import run

ROOT = Path(__file__).resolve().parents[2]
FAST = ("attribution.direct", "attribution.swap_example", "behaviour.accuracy")
UNSUITED = ("geometry.modular", "over_seeds")


def made(add5: Any, **options: Any) -> interp.Report:
    return interp.report(add5, only=(*FAST, *UNSUITED), budget=1.5, seed=2, **options)


@pytest.fixture(scope="module")
def report(add5: Any, small_reports: None) -> interp.Report:
    return made(add5)


def test_its_results_are_those_of_the_library_and_of_the_commands(
    add5: Any, report: interp.Report
) -> None:
    assert list(library.in_order(report.results)) == list(FAST)
    assert report.failed == {}
    calls = {name: one.call["options"] for name, one in report.done.items()}
    n = calls["attribution.direct"]["n"]
    assert 30 <= n < 256, "fewer than by default, for this budget"
    assert report.results["attribution.direct"] == interp.attribution.direct(
        add5, "add:5", n=n, seed=2
    )
    sample = Sample(n=calls["behaviour.accuracy"]["n"], seed=2)
    entry = catalogue.entry("behaviour.accuracy")
    assert report.results[entry.name] == run_entry(entry, add5, sample, {})
    assert repr(report) == "Report(add5, add:5: 3 done, 0 failed, 2 left out)"
    assert list(report.frame["n"]) == [report.results[x].n for x in report.frame["analysis"]]


def test_what_does_not_suit_is_named_with_the_reason(report: interp.Report) -> None:
    assert report.left_out["geometry.modular"] == "is for addition modulo p, not for add:5"
    assert report.left_out["over_seeds"].endswith("arithmoscope agree")
    page = report.page().decode()
    for why in report.left_out.values():
        assert page.count(f": {why}</li>") == 1


def test_the_page_holds_everything_once(report: interp.Report) -> None:
    text = report.page().decode()
    assert text.count("plotly.js v") == 1 and "<script src" not in text and "<link" not in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    contents = contents_of(text)
    shown = list(shown_sections(text).values())
    assert len(shown) == len(FAST)
    for name, section, html in zip(FAST, contents["sections"], shown, strict=True):
        result = report.results[name]
        assert section["title"] == catalogue.entry(name).question
        assert section["caption"] == result.caption and f"n = {result.n}" in result.caption
        assert section["verdict"] == result.verdict
        assert section["code"] == result.code and section["notes"] == list(result.notes)
        assert [row[1] for row in section["metrics"]] == list(result.metrics.values())
        assert f"<summary>Table ({len(result.frame):,} rows)</summary>" in html
        assert section["call"]["analysis"] == name and section["seconds"] >= 0
    assert report.model.hash in text and "interp.report(model" in text
    assert contents["versions"] == dict(result.versions)


def test_a_kept_analysis_is_loaded(
    add5: Any, report: interp.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(add5, keep=tmp_path)
    assert first.results == report.results
    (damaged,) = tmp_path.glob("attribution.swap_example-*")
    (damaged / "data" / "fields.json").write_text("{")
    ran: list[str] = []
    real = library.run_call

    def counted(model: Any, asking: Any, *job: Any) -> Result:
        ran.append(asking["analysis"])
        return real(model, asking, *job)

    monkeypatch.setattr(library, "run_call", counted)
    assert made(add5, keep=tmp_path).results == first.results
    assert ran == ["attribution.swap_example"]
    other = interp.report(add5, only=["attribution.direct"], budget=1.5, seed=3, keep=tmp_path)
    assert other.results["attribution.direct"].seed == 3


def test_one_that_fails_has_its_place_and_the_others_theirs(
    add5: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = library.run_call

    def broken(model: Any, asking: Any, *job: Any) -> Result:
        if asking["analysis"] == "attribution.direct":
            raise RuntimeError("a <mistake> of the program")
        return real(model, asking, *job)

    monkeypatch.setattr(library, "run_call", broken)
    out = tmp_path / "report.html"
    flags = [part for name in FAST for part in ("--only", name)]
    given = ("report", "-m", "add5", "--budget", "1.5", "--seed", "2", "-o", str(out))
    assert run(monkeypatch, *given, *flags) == 1
    assert "failed attribution.direct: RuntimeError: a <mistake>" in capsys.readouterr().out
    first, *others = shown_sections(out.read_text()).values()
    assert "RuntimeError: a &lt;mistake&gt; of the program" in first
    assert len(others) == 2 and all("The call" in other for other in others)


def test_a_figure_that_fails_costs_its_own_analysis(
    add5: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from interp.figures import report as page

    real = page.gallery

    def broken(result: Result) -> Any:
        if result.analysis == "direct_attribution":
            raise ZeroDivisionError("a scale without a width")
        return real(result)

    monkeypatch.setattr(page, "gallery", broken)
    found = interp.report(add5, only=FAST, budget=1.5, seed=2, out=tmp_path / "report.html")
    assert found.failed == {"attribution.direct": "ZeroDivisionError: a scale without a width"}
    assert len(found.done) == 2
    assert "a scale without a width" in (tmp_path / "report.html").read_text()


def test_a_stopped_run_leaves_what_was_finished(add5: Any, tmp_path: Path) -> None:
    cancel, begun = interp.Cancel(), []

    def before(name: str) -> None:
        begun.append(name)
        if len(begun) == 2:
            cancel.set()

    with pytest.raises(Cancelled, match=r"stopped after 1 of 3 analyses; they are in .*part.html"):
        made(add5, out=tmp_path / "part.html", cancel=cancel, on_analysis=before)
    (section,) = contents_of((tmp_path / "part.html").read_text())["sections"]
    assert section["call"]["analysis"] == begun[0]


def test_progress_counts_to_the_end(add5: Any) -> None:
    seen: list[tuple[int, int]] = []
    made(add5, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (1000, 1000) and {total for _, total in seen} == {1000}


def test_a_budget_takes_the_cheapest_and_leaves_the_rest_out(add5: Any) -> None:
    task = interp.task("add:5")
    plan, left_out = planned(add5, task, None, 0, 270.0, ())
    seconds = [one.seconds for one in plan]
    assert seconds == sorted(seconds) and sum(seconds) < 270
    assert not {one.entry.name for one in plan} & set(left_out)
    assert len(plan) + len(left_out) == len(catalogue.CATALOGUE)
    assert all(one.options.get("n", 1) <= (one.entry.n or 1) for one in plan)
    poor = interp.report(add5, only=FAST, budget=1e-3)
    assert poor.done == {} and "more than is left of 0 s" in poor.left_out["attribution.direct"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: interp.report(model, only=["attribution.dirct"]), "nearest.*direct"),
        (lambda model: interp.report(model, budget=0), "leaves no time"),
        (lambda model: interp.report(model, ["add:5"]), "task's name or a Task, not a list"),
    ],
)
def test_bad_input(add5: Any, call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call(add5)


def test_the_installed_command(tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    command = [sys.executable, "-P", "-m", "app.cli", "report", "--model", "add5"]
    command += ["--only", "attribution.swap_example", "--out", str(out)]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "1 analyses in" in done.stdout and "Saved in" in done.stdout
    (section,) = contents_of(out.read_text())["sections"]
    assert section["call"]["options"] == {"n": 512, "operand_digit": "a0", "seed": 0}
    assert json.loads(section["settings"])

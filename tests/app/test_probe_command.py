"""`arithmoscope probe`: what lands in --out is the library's, and a stopped run goes on."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

import interp
import probes
from app.commands.options import names
from app.commands.probe import UNFINISHED, shard_of, target_names
from app.commands.watch import Watch
from interp.errors import InputError
from interp.figures import export
from probes.results.sweep import ProbeSweep
from tests import tiny
from tests.app.test_cli import run

N, SEED = 80, 3
SAMPLE = ("-t", "add:2", "-n", str(N), "--seed", str(SEED), "--format", "padded")
WHAT = ("--targets", "carry[0],running_sum[1]", "--roles", "last,c1,predicts(c0)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("gpt2", tmp_path_factory.mktemp("tiny-gpt2"), seed=2)


@pytest.fixture(scope="module")
def want(folder: Path) -> ProbeSweep:
    """The same sweep by the library."""
    return probes.probe(
        interp.load(str(folder)),
        "add:2",
        targets=("carry[0]", "running_sum[1]"),
        roles=("last", "c1", "predicts(c0)"),
        n=N,
        seed=SEED,
        format="padded",
    )


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a browser for each test would take most of their time."""
    monkeypatch.setattr(export, "browser", lambda: None)


def probed(monkeypatch: pytest.MonkeyPatch, folder: Path, *flags: object) -> int:
    """The exit code of `arithmoscope probe` on the tiny model."""
    return run(monkeypatch, "probe", "-m", str(folder), *SAMPLE, *WHAT, *map(str, flags))


def test_probe_writes_what_the_library_returns(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    want: ProbeSweep,
    tmp_path: Path,
) -> None:
    assert probed(monkeypatch, folder, "-o", tmp_path / "out") == 0
    assert ProbeSweep.load(tmp_path / "out") == want
    files = {"data", "figure.html", "report.html", "result.json", "table.csv", "table.parquet"}
    files.add("plotly.min.js")
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    shown = capsys.readouterr().out
    assert "score[carry[0]]" in shown
    assert want.verdict is not None
    assert html.escape(want.verdict) in (tmp_path / "out" / "report.html").read_text()


def test_shards_are_merged_to_the_whole(
    monkeypatch: pytest.MonkeyPatch, folder: Path, want: ProbeSweep, tmp_path: Path
) -> None:
    for i in (0, 1):
        assert probed(monkeypatch, folder, "--shard", f"{i}/2", "-o", tmp_path / f"s{i}") == 0
    parts = [flag for i in (0, 1) for flag in ("--merge", str(tmp_path / f"s{i}"))]
    assert run(monkeypatch, "probe", *parts, "-o", str(tmp_path / "all")) == 0
    merged = ProbeSweep.load(tmp_path / "all")
    places = ["target", "layer", "role"]
    got, whole = (x.frame.sort_values(places, ignore_index=True) for x in (merged, want))
    assert got.equals(whole)
    assert merged.metrics == want.metrics


def test_a_stopped_sweep_goes_on_from_the_sites_that_are_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    want: ProbeSweep,
    tmp_path: Path,
) -> None:
    steps: list[tuple[int, int]] = []

    def interrupted(watch: Watch, done: int, total: int) -> None:
        steps.append((done, total))
        if done == total - 1:  # all layers but the last are done
            watch.cancel.set()

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "progress", interrupted)
        assert probed(patch, folder, "-o", out) == 130
    told = capsys.readouterr().err
    assert "The same command goes on" in told
    assert list((out / UNFINISHED).rglob("*.npz"))
    assert not (out / "result.json").exists()
    again: list[tuple[int, int]] = []
    monkeypatch.setattr(Watch, "progress", lambda _, done, total: again.append((done, total)))
    assert probed(monkeypatch, folder, "-o", out) == 0
    assert again[-1][1] < steps[-1][1]
    assert ProbeSweep.load(out) == want
    assert not (out / UNFINISHED).exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "say what to probe, in one way: --model NAME, --plan FILE.yaml, or --merge"),
        (("-m", "add5", "--plan", "x.yaml"), "in one way"),
        (("--plan", "x.yaml"), "say where, with --out FOLDER"),
        (("--merge", "no-such-folder"), "no-such-folder"),
        (("--plan", "x.yaml", "-o", "x", "-n", "9"), "--plan takes no --n: write it in the file"),
        (("--plan", "x.yaml", "--seed", "0"), "--plan takes no --seed"),
        (("--plan", "x.yaml", "--targets", "carry"), "--plan takes no --targets"),
        (("--plan", "x.yaml", "--memory", "1"), "beside --plan go --out and --shard and --jobs"),
        (("--plan", "x.yaml", "--device", "cpu"), "--plan takes no --device"),
        (("--merge", "x", "--task", "add:2"), "--merge takes no --task: the shards have theirs"),
        (("--merge", "x", "--shard", "0/2"), "beside --merge go --out"),
        (("-m", "FOLDER", "--shard", "half"), "--shard takes i/n"),
        (("-m", "FOLDER", "--shard", "2/2"), "shards go from 0"),
        (("-m", "FOLDER", "--layers", "all"), "--layers takes whole numbers"),
        (("-m", "FOLDER", "--layers", "9"), "layer 9 does not exist"),
        (("-m", "FOLDER", "--sites", "soul"), "no probe reads 'soul'"),
        (("-m", "FOLDER", "--targets", "poem[1]"), "product_last"),
        (("-m", "FOLDER", "--targets", " , "), "--targets names none"),
        (("-m", "FOLDER", "--roles", "c9"), "'c9' is in none of these prompts"),
        (("-m", "FOLDER", "--split", "luck"), "unknown split 'luck'"),
        (("-m", "FOLDER", "-n", "0"), "the sample is empty"),
    ],
)
def test_bad_flags_are_one_line_with_the_remedy(
    flags: tuple[str, ...],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = [str(folder) if flag == "FOLDER" else flag for flag in flags]
    asked = ("--targets", "carry[0]", *SAMPLE) if "FOLDER" in flags else ()
    assert run(monkeypatch, "probe", *asked, *named) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.strip().splitlines()) == 1


def test_names_keep_the_commas_inside_their_brackets() -> None:
    text = "carry[1], product[0,1],near(b,5),predicts(c2)"
    assert names(text) == ("carry[1]", "product[0,1]", "near(b,5)", "predicts(c2)")
    assert shard_of("3/4") == (3, 4)
    assert shard_of(None) is None


def test_a_family_stands_for_the_columns_that_vary() -> None:
    sums = interp.task("add:2").sample(50, seed=0)
    assert target_names(sums, "carry, carry[1], parity(a)") == ("carry[0]", "carry[1]", "parity(a)")
    products = interp.task("mul:2x2").sample(50, seed=0)
    assert target_names(products, "product[1,0],product") == (
        "product[1,0]", "product[0,0]", "product[0,1]", "product[1,1]"
    )  # fmt: skip
    with pytest.raises(InputError, match="add:2 has no"):
        target_names(sums, "product[0,0]")


def test_a_plan_runs_to_its_end(
    monkeypatch: pytest.MonkeyPatch, folder: Path, want: ProbeSweep, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def run_file(path: Path, out: Path, **options: Any) -> Path:
        asked.update(path=path, out=out, **options)
        return out / "report.html"

    monkeypatch.setattr(probes, "run_file", run_file, raising=False)
    out = tmp_path / "out"
    assert run(monkeypatch, "probe", "--plan", "run.yaml", "--shard", "1/3", "-o", str(out)) == 0
    assert (asked["path"], asked["out"], asked["shard"]) == (Path("run.yaml"), out, (1, 3))
    assert {"progress", "cancel"} <= set(asked)

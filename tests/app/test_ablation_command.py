"""`arithmoscope ablate`: each method writes what the library returns; bad flags name the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import interp
from app.calls import problems
from app.commands.ablations import METHODS, Flags, layers, schedule_of
from app.commands.watch import Watch
from interp.ablation import Schedule
from interp.errors import InputError
from interp.figures import export
from interp.planted.planted import build
from interp.results.result import Result
from tests import tiny
from tests.app.test_cli import run

SEED, N = 3, 100
HEADLINES = {"cama", "abp", "af1"}  # methods that have one faithfulness to tell


@pytest.fixture(scope="module", autouse=True)
def own_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tables are kept in a folder of the tests' own, and no browser is started for pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path_factory.mktemp("tables")))
        patch.setattr(export, "browser", lambda: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted model of one-digit sums whose tokens wait."""
    planted = build("waiting", seed=11, layers=4, family="llama", digits=1)
    return planted.save(tmp_path_factory.mktemp("waiting"))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Any:
    return interp.load(str(folder))


@pytest.fixture(scope="module")
def batch(loaded: Any) -> Any:
    return loaded.prompts(problems("add:1", N, seed=SEED))


LIBRARY: dict[str, tuple[tuple[str, ...], Callable[[Any, Any, Any], Result]]] = {
    "cama": (
        ("--wait", "1", "--replacement", "own"),
        lambda a, m, b: a.evaluate(m, b, Schedule(1), replacement="own", seed=SEED),
    ),
    "abp": (
        ("--transfer", "1-2", "--mask", "operands"),
        lambda a, m, b: a.evaluate(
            m, b, Schedule(0, (1, 2), (0, 3), transfer_mask="operands"), seed=SEED
        ),
    ),
    "af1": (
        ("--target", "0.8", "--no-heads"),
        lambda a, m, b: a.af1(m, b, target=0.8, heads=False, seed=SEED),
    ),
    "grid": (
        ("--table-n", "900"),
        lambda a, m, b: a.grid(m, b, replacement=a.Replacement(n=900, seed=SEED), seed=SEED),
    ),
    "removal": (
        ("--wait", "1", "--transfer", "1,2"),
        lambda a, m, b: a.removal(m, b, Schedule(1, (1, 2), (3,)), seed=SEED),
    ),
    "compare": (
        ("--wait", "1", "--transfer", "all", "--replacement", "cama,zero", "--mask", "full-peek",
         "--table-n", "900"),
        lambda a, m, b: a.compare(
            m, b, Schedule(1, (1, 2, 3)), masks=("full-peek",), seed=SEED,
            replacements=[a.Replacement(name, n=900, seed=SEED) for name in ("cama", "zero")],
        ),
    ),
    "table": ((), lambda a, m, b: a.cama(m, "add:1", n=N, seed=SEED)),
}  # fmt: skip


@pytest.mark.parametrize("method", LIBRARY)
def test_a_method_writes_what_the_library_returns(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    loaded: Any,
    batch: Any,
    tmp_path: Path,
    method: str,
) -> None:
    flags, call = LIBRARY[method]
    shared = ("-m", str(folder), "--n", str(N), "--seed", str(SEED), "-o", str(tmp_path / "out"))
    assert run(monkeypatch, "ablate", method, *shared, *flags) == 0
    assert Result.load(tmp_path / "out") == call(interp.ablation, loaded, batch)
    metrics = json.loads((tmp_path / "out" / "result.json").read_text())["metrics"]
    assert ("faithfulness" in metrics) == (method in HEADLINES)
    for name in ("figure.html", "table.csv", "table.parquet"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_a_grid_of_several_answer_digits_has_a_figure_of_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(monkeypatch, "ablate", "grid", "-m", "add5", "--n", "8", "-o", str(tmp_path)) == 0
    assert "Which answer digits can wait?" in (tmp_path / "by-role.html").read_text()


def test_a_schedule_is_tried_on_other_prompts(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    other = build("waiting", seed=12, layers=4, family="llama", digits=1).save(tmp_path / "other")
    where = ("-m", str(folder), "--n", "100", "-o", str(tmp_path / "out"))
    assert run(monkeypatch, "ablate", "transfer", *where, "--other-model", str(other)) == 0
    found = Result.load(tmp_path / "out")
    want = interp.ablation.af1(
        model := interp.load(str(folder)), model.prompts(problems("add:1", 100, seed=0))
    )
    assert found.settings["schedule"] == want.settings["schedule"]
    assert list(found.frame["name"]) == [str(other)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("abp", "--table-n", "9"), "ablate abp takes no --table-n: it is for cama, af1, compare"),
        (("cama", "--table-n", "1"), "a table needs at least 2 prompts, not n=1"),
        (("abp", "--wait", "1"), "ablate abp takes no --wait: it is for cama, compare"),
        (("grid", "--target", "0.5"), "takes no --target: it is for af1, compare, transfer"),
        (("cama", "--other-task", "sub:2"), "takes no --other-task: it is for transfer"),
        (("cama", "--transfer", "two"), "--transfer takes layer indices such as 14-16,18"),
        (("cama", "--wait", "9"), "wait=9 is past the last layer"),
        (("cama", "--wait", "2", "--transfer", "0"), "layer 0 waits"),
        (("cama", "--replacement", "median"), "unknown replacement 'median'"),
        (("cama", "--sink", "shots"), "have no few-shot examples to be the sink"),
        (("cama", "--n", "0"), "the sample is empty"),
        (("cama", "--task", "add"), "cannot read task 'add'"),
        (("af1", "--target", "2"), "target=2"),
        (("transfer",), "say where to: --style af1-verbal"),
        (("table", "--replacement", "zero"), "'zero' reads no table"),
    ],
)
def test_bad_flags_are_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    flags: tuple[str, ...],
    message: str,
) -> None:
    assert run(monkeypatch, "ablate", flags[0], "-m", str(folder), *flags[1:]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("arithmoscope: ")
    assert message in line


def test_a_model_that_answers_nothing_rightly_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = (
        "-m",
        str(tiny.save("gpt2", tmp_path, seed=1)),
        "-t",
        "add:3",
        "--format",
        "padded",
        "--n",
        "8",
    )
    assert run(monkeypatch, "ablate", "af1", *where) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no verdict: 0 distinct prompts answered rightly" in told


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("none", ()),
        ("all", (2, 3, 4, 5)),
        ("rest", (2, 5)),
        ("3", (3,)),
        ("3-5,4", (3, 4, 5)),
    ],
)
def test_layers_are_read_as_indices(text: str, want: tuple[int, ...]) -> None:
    but = (3, 4) if text == "rest" else ()
    assert layers("--transfer", text, 2, 6, but=but) == want


@pytest.mark.parametrize("text", ["", "1-", "a-b", "1;2", "-1"])
def test_what_is_no_layer_is_told(text: str) -> None:
    with pytest.raises(InputError, match="--compute takes layer indices"):
        layers("--compute", text, 0, 6)


@pytest.mark.parametrize("text", ["16-14", "2,5-3"])
def test_a_range_that_runs_backwards_is_told(text: str) -> None:
    low, high = text.split(",")[-1].split("-")
    with pytest.raises(InputError, match=f"--transfer {low}-{high} .* write {high}-{low}"):
        layers("--transfer", text, 0, 20)


def test_without_transfer_later_layers_stay_as_they_are() -> None:
    assert schedule_of(Flags(wait=2), 6) == Schedule(2)
    assert schedule_of(Flags(wait=2, transfer="3"), 6) == Schedule(2, (3,), (2, 4, 5))
    assert schedule_of(Flags(transfer="3", compute="none"), 6) == Schedule(0, (3,))


def test_the_nearest_methods_are_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ablate", "gird", "-m", "add5") == 2
    told = capsys.readouterr().err
    named = told.split("choose", 1)[1]
    assert "grid" in named and sum(name in named for name in METHODS) == 3


@pytest.mark.parametrize("method", ["cama", "af1", "grid", "removal", "compare", "table"])
def test_an_interrupt_ends_the_computation_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
    method: str,
) -> None:
    """Ctrl-C before the first batch, with no table at hand."""
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "tables"))
    cancel = Watch.cancel.fget
    assert cancel is not None

    def requested(watch: Watch) -> Any:
        token = cancel(watch)
        token.set()
        return token

    monkeypatch.setattr(Watch, "cancel", property(requested))
    where = ("-m", str(folder), "--n", "100", "-o", str(tmp_path / "out"))
    assert run(monkeypatch, "ablate", method, *where) == 130
    assert not (tmp_path / "out").exists()

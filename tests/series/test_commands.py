"""`arithmoscope agree` and `series`: what lands in --out is what the library returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import interp
from app.calls import problems
from interp.catalogue import CATALOGUE, Entry
from interp.errors import InputError
from interp.figures import export
from interp.many import calling as analyses
from interp.many.calling import named, title
from interp.results.result import Result
from tests.app.test_cli import run

OF_A_MODEL = ("prompts", "problems", "model")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "browser", lambda: None)


def test_agree(trained: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, out = [str(folder) for folder in trained[:2]], tmp_path / "out"
    given = ("--analysis", "attribution.logit_lens", "--n", "40", "--seed", "3", "-o", str(out))
    assert run(monkeypatch, "agree", *names, *given) == 0
    lens = interp.attribution.logit_lens
    unseen, every = interp.load(names[0]).held_out(40, seed=3), problems("add:2", 40, seed=3)
    assert unseen != every
    found = Result.load(out)
    assert found == interp.over_seeds(names, lens, unseen, seed=3)
    assert (out / "figure.html").is_file()
    by_name = interp.over_seeds(names, lens, "add:2", n=40, seed=3)
    assert found.metrics == pytest.approx(by_name.metrics, nan_ok=True)
    for flags in (("--no-held-out",), ("--sampler", "uniform")):
        assert run(monkeypatch, "agree", *names, *given, *flags) == 0
        assert Result.load(out) == interp.over_seeds(names, lens, every, seed=3)


def test_series(
    trained: tuple[Path, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "series", str(trained[0]), "--n", "30", "-o", str(out)) == 0
    sample = interp.load(str(trained[0])).held_out(30)
    wanted = interp.over_checkpoints(
        trained[0], interp.behaviour.accuracy, sample, seed=0, strict=False
    )
    assert Result.load(out) == wanted
    uniform = ("--sampler", "uniform", "-o", str(tmp_path / "uniform"))
    assert run(monkeypatch, "series", str(trained[0]), "--n", "30", *uniform) == 0
    sample = problems("add:2", 30, seed=0)
    wanted = interp.over_checkpoints(
        trained[0], interp.behaviour.accuracy, sample, seed=0, strict=False
    )
    assert Result.load(tmp_path / "uniform") == wanted
    assert run(monkeypatch, "series", "add5") == 2
    assert "add5 has no checkpoint series" in capsys.readouterr().err


def test_an_argument_of_the_analysis_can_be_set(
    trained: tuple[Path, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names, out = [str(folder) for folder in trained[:2]], tmp_path / "out"
    given = ("--analysis", "behaviour.accuracy", "--n", "30", "--set", "strict=false")
    assert run(monkeypatch, "agree", *names, *given, "-o", str(out)) == 0
    sample = interp.load(names[0]).held_out(30)
    wanted = interp.over_seeds(names, interp.behaviour.accuracy, sample, seed=0, strict=False)
    assert Result.load(out) == wanted
    assert run(monkeypatch, "agree", *names, *given[:-1], "magic=1") == 2
    assert "cannot be called so" in capsys.readouterr().err
    for change, flag in (("n=5", "--n"), ("seed=5", "--seed"), ("held_out=false", "--no-held-out")):
        for command in (("agree", *names), ("series", names[0])):
            assert run(monkeypatch, *command, "--set", change) == 2
            said = " ".join(capsys.readouterr().err.split())
            assert f"would not draw other problems: use {flag}" in said


def test_flags_that_an_analysis_does_not_have(
    trained: tuple[Path, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An analysis that draws its own problems gets none, and its own number of them."""
    names, out = [str(folder) for folder in trained[:2]], tmp_path / "out"

    def stand_in(model: Any, *, n: int = 31) -> Result:
        return interp.behaviour.accuracy(model, "add:2", n=n, seed=4, strict=False)

    monkeypatch.setattr(analyses, "named", lambda name: stand_in)
    assert run(monkeypatch, "agree", *names, "-o", str(out)) == 0
    found = Result.load(out)
    assert found.n == 31
    assert found.settings["problems"] is None
    assert run(monkeypatch, "series", names[0], "--analysis", "x", "--n", "33", "-o", str(out)) == 0
    assert Result.load(out).n == 33
    for flag, message in (
        (("--task", "add:2"), "draws its own problems: leave --task and --sampler out"),
        (("--seed", "5"), "has no such argument: leave --seed out"),
        (("--format", "plain"), "has no such argument: leave --format out"),
        (("--no-held-out",), "has no such argument: leave --no-held-out out"),
    ):
        assert run(monkeypatch, "agree", *names, *flag) == 2
        assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "asked", "seeded", "formatted"),
    [
        ("suites.approximation", False, True, False),
        ("suites.cookbook", False, True, False),
        ("behaviour.accuracy", True, True, True),
        ("attribution.counterfactual", True, True, True),
        ("probes.probe", True, True, True),
    ],
)
def test_what_an_analysis_takes(name: str, asked: bool, seeded: bool, formatted: bool) -> None:
    function = named(name)
    assert analyses.takes_problems(function) == asked
    assert analyses.declares(function, "seed") == seeded
    assert analyses.declares(function, "format") == formatted


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("counterfactual", "attribution.counterfactual"),
        ("attribution.magic", "attribution.logit_lens"),
        ("interp.behaviour.acuracy", "behaviour.accuracy"),
        ("models.Model", "models.tokenisation_report"),
        ("a.b.c", "ablation.cama"),
    ],
)
def test_what_is_no_analysis(name: str, near: str) -> None:
    """Every name that the refusal offers is taken."""
    with pytest.raises(InputError, match=f"^no analysis '{name}'; the nearest names are ") as told:
        named(name)
    offered = str(told.value).partition("names are ")[2].replace(" or ", ", ").split(", ")
    assert near in offered
    for other in offered:
        assert title(named(other)).removeprefix("interp.") == other


@pytest.mark.parametrize("old", ["behaviour.approximation", "interp.behaviour.cookbook"])
def test_a_name_that_moved(old: str) -> None:
    new = f"suites.{old.rpartition('.')[2]}"
    with pytest.raises(InputError, match=f"^no analysis '{old}'; it is now {new}$"):
        named(old)
    assert title(named(new)) == f"interp.{new}"


@pytest.mark.parametrize("one", [one for one in CATALOGUE if one.asks not in OF_A_MODEL])
def test_what_is_no_analysis_of_one_model(
    one: Entry,
    trained: tuple[Path, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [str(folder) for folder in trained[:2]]
    for command in (("agree", *names), ("series", names[0])):
        assert run(monkeypatch, *command, "--analysis", one.name) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert f"{one.name} is no analysis of one model: name one of " in said
        offered = said.partition("name one of ")[2].split(", ")
        assert "attribution.counterfactual" in offered
        assert one.name not in offered


@pytest.mark.parametrize("name", ["attribution.counterfactual", "behaviour.accuracy"])
def test_names_lead_to_functions_and_back(name: str) -> None:
    assert title(named(name)) == title(named(f"interp.{name}")) == f"interp.{name}"

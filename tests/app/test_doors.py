"""Explorer, command and library give equal Results for every catalogue entry, at seed 3."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import pytest
import streamlit as st

import interp
from app import ablation_parts, cli, probe_parts, results
from app.ablation_sliders import Drawn
from app.commands import ablate, behaviour, dynamics, generated, probe
from app.study import Study
from interp import catalogue
from interp.ablation.schedule import Schedule
from interp.behaviour.answers_given import published_file
from interp.catalogue import Entry
from interp.models.asking import asked_problems

SEED, N = 3, 12
MODEL, TASK, FORMAT = "mul3x3-sft-s2", "mul:3x3", "reversed"  # wrong in half of its answers
WAIT = ("--wait", "1")
DRAWN = Drawn(1, 1, 1, "full-peek", True, "cama", "first")
PLACE = probe_parts.Place("resid_post", 0, -1, "last")
ASKED = probe_parts.Asked("running_sum[1]", ("resid_post",), (0,), "problem")
PROBED = {
    "targets": ("running_sum[1]",),
    "sites": ("resid_post",),
    "layers": (0,),
    "split": "problem",
    "turns": 1,
}
PROBE = (
    *("--targets", "running_sum[1]", "--sites", "resid_post", "--layers", "0"),
    *("--split", "problem"),
)


@dataclass(frozen=True)
class Case:
    """Options as the library takes them, and the command's flags for the same."""

    options: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] | None = ()  # None: no command
    command: str = ""  # where it is not the entry's own
    n: int = N
    says: bool = False  # asks in text: a model of digits refuses, so only the call is compared


LAX = {"strict": False, "shuffles": 20}
SCHEDULE = {"schedule": Schedule(1)}
FILE = {"path": published_file()}
ANSWERS = ("--answers", str(published_file()), "--seed", str(SEED))
CASES = {
    "attribution.counterfactual": Case({"target": "true"}, ("--target", "true")),
    "attribution.logit_lens": Case(),
    "attribution.swap_example": Case({"operand_digit": "a1", "row": 1}, None),
    "behaviour.accuracy": Case({"strict": False}, ("--no-strict",)),
    "behaviour.error_taxonomy": Case(LAX, ("--no-strict", "--shuffles", "20")),
    "behaviour.explain_errors": Case(LAX, ("--no-strict", "--shuffles", "20")),
    "behaviour.published_errors": Case(FILE, ("-a", "errors", *ANSWERS), "behaviour"),
    "behaviour.explain_published": Case(FILE, ("-a", "explain", *ANSWERS), "behaviour"),
    "behaviour.search_prompts": Case(
        {"styles": (FORMAT,), "shots": (0,)}, ("--styles", FORMAT, "--shots", "0")
    ),
    "behaviour.doctor": Case({"formats": (FORMAT,)}, ("--formats", FORMAT)),
    "suggest": Case(),
    "suites.noisy_prefix": Case(),
    "suites.cookbook": Case(
        {"lengths": (1,), "tasks": ("add:integer",), "seconds": 9.0},
        ("--lengths", "1", "--tasks", "add:integer", "--seconds", "9"),
        says=True,
    ),
    "suites.approximation": Case(n=12, says=True),
    "ablation.evaluate": Case(SCHEDULE, WAIT),
    "ablation.grid": Case(),
    "ablation.removal": Case(SCHEDULE, WAIT),
    "ablation.af1": Case({"heads": False}, ("--no-heads",)),
    "ablation.compare": Case(
        {**SCHEDULE, "replacements": ("cama",), "masks": ("operands",)},
        (*WAIT, "--replacement", "cama", "--mask", "operands"),
    ),
    "ablation.cama": Case({"given": "token"}),
    "geometry.fourier": Case(
        {"objects": ("resid_post",), "layers": 1, "roles": ("predicts(c2)",), "permutations": 20},
        (
            *("--objects", "resid_post", "--layers", "1"),
            *("--roles", "predicts(c2)", "--permutations", "20"),
        ),
        n=120,
    ),
    "geometry.figure": Case(
        {"role": "predicts(c2)", "permutations": 20, "causal": False},
        ("--role", "predicts(c2)", "--permutations", "20", "--no-causal"),
        n=120,
    ),
    "geometry.helix": Case({"layers": 1, "pairs": 0}, ("--layers", "1", "--pairs", "0"), n=120),
    "geometry.minkowski": Case(
        {"head": 0, "a": "a0", "b": "b1", "draws": 2},
        ("--head", "0", "--a", "a0", "--b", "b1", "--draws", "2"),
        n=120,
    ),
    "geometry.grid": Case(
        {"units": 4, "knocked": 0, "draws": 1},
        ("--units", "4", "--knocked", "0", "--draws", "1"),
        n=60,
    ),
    "training.dynamics": Case({"source": "mod113"}, ("--model", "mod113")),
    "probes.probe": Case(PROBED, PROBE, n=40),
    "probes.one_hot_baseline": Case(
        {"targets": ("carry[1]",), "folds": 2}, ("--targets", "carry[1]", "--folds", "2"), n=60
    ),
    "probes.near_multiples": Case(
        {"ks": (5,), "layers": (0,), "control": False},
        ("--ks", "5", "--layers", "0", "--no-control"),
        n=60,
        says=True,
    ),
    "attribution.direct": Case({}, ()),
    "heads.patch": Case({}, ()),
    "heads.paths": Case({}, ()),
    "heads.knockout": Case({}, ()),
    "heads.screen": Case({}, ()),
    "heads.interchange": Case(
        {"variable": "product[0,0]", "kind": "mlp", "only_right": False},
        ("--variable", "product[0,0]", "--kind", "mlp", "--no-only-right"),
    ),
    "heads.edges": Case({"top": 3, "swap": "a1"}, ("--top", "3", "--swap", "a1")),
    "heads.neurons": Case({"top": 2}, ("--top", "2")),
    "heads.circuit": Case({}, ()),
    "heads.attention": Case({"layers": (0,)}, ("--layers", "0")),
    "heads.digit_circuits": Case({"layer": 0, "head": 1}, ("--layer", "0", "--head", "1"), n=120),
    "heads.tree": Case({"resamples": 2}, ("--resamples", "2")),
    "engine.selfcheck": Case({}, None),
    "models.tokenisation_report": Case({}, None),
    "intervene": Case(
        {"stack": ("head L0H1 zero",), "controls": 1},
        ("--stack", "head L0H1 zero", "--controls", "1"),
    ),
}
ELSEWHERE = {
    "geometry.modular": "tests/geometry/test_commands.py",
    "geometry.phases": "tests/geometry/test_commands.py",
    "ablation.transfer": "test_a_schedule_in_another_format",
    "probes.intervene": "test_what_an_edited_probe_does",
    "training.digit_losses": "tests/training/test_dynamics.py",
    "heads.carry": "tests/heads/test_carry.py",
    "compare": "tests/series/test_compare.py",
    "over_seeds": "tests/series/test_commands.py",
    "over_checkpoints": "tests/series/test_commands.py",
    "probes.running_sums": "the library alone",
}


@pytest.fixture(scope="module")
def model() -> Any:
    return interp.load(MODEL)


@pytest.fixture(scope="module")
def study(model: Any) -> Study:
    return Study(MODEL, model.hash, TASK, FORMAT, N, SEED)


@pytest.fixture(autouse=True)
def loaded_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(interp, "load", lambda name, **_: model)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def test_every_entry_is_compared() -> None:
    named = {entry.name for entry in catalogue.CATALOGUE if entry.function}
    assert named == {*CASES, *ELSEWHERE}


def by_library(entry: Entry, model: Any, case: Case, seed: int = SEED) -> Any:
    """The public function, called as a notebook calls it."""
    function: Callable[..., Any] = entry.load()
    sampled = {"n": case.n, "seed": seed}
    if entry.asks in ("prompts", "problems"):
        own = entry.name in ("behaviour.search_prompts", "behaviour.doctor")
        written = {} if own else {"format": FORMAT}
        return function(model, TASK, **sampled, **written, **case.options)
    if entry.asks == "task":
        return function(TASK, **sampled, **case.options)
    if entry.asks == "model":
        return function(
            model, **({} if entry.name == "engine.selfcheck" else sampled), **case.options
        )
    return function(**case.options, **({"seed": seed} if entry.asks == "file" else {}))


def by_command(
    monkeypatch: pytest.MonkeyPatch, entry: Entry, case: Case, extra: tuple[str, ...] = ()
) -> Any:
    """The Result that the installed command ends with."""
    ended: list[Any] = []
    for module in (ablate, behaviour, dynamics, generated, probe):
        monkeypatch.setattr(module, "finish", lambda result, out: ended.append(result))
    words = (case.command or entry.command).split()
    flags = [*words, *(case.flags or ()), *extra]
    if entry.asks not in ("log", "file"):
        flags += ["--n", str(case.n), "--seed", str(SEED)]
    if entry.asks in ("prompts", "problems", "model", "models"):
        flags += ["--model", MODEL]
    if entry.asks in ("prompts", "problems", "task"):
        flags += ["--task", TASK]
    if entry.asks in ("prompts", "problems") and entry.name not in (
        "behaviour.search_prompts",
        "behaviour.doctor",
    ):
        flags += ["--format", FORMAT]
    monkeypatch.setattr(sys, "argv", ["arithmoscope", *flags])
    with pytest.raises(SystemExit) as code:
        cli.main()
    assert code.value.code in (None, 0), flags
    (result,) = ended
    return result


@pytest.mark.parametrize("name", CASES)
def test_the_doors_agree(
    name: str, model: Any, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, entry = CASES[name], catalogue.entry(name)
    if case.says:
        _record(entry, monkeypatch)
    want = by_library(entry, model, case)
    shown = results.result(study, name, **{"n": case.n} if entry.n else {}, **case.options)
    assert_equal(shown, want)
    if case.flags is not None:
        assert_equal(by_command(monkeypatch, entry, case), want)


def assert_equal(found: Any, want: Any) -> None:
    if isinstance(want, dict):  # a recorded call
        assert found == want
        return
    assert found == want
    assert found.settings == want.settings
    assert found.code == want.code
    assert found.frame.equals(want.frame)


def _record(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the function return its arguments, the job's own aside."""
    from importlib import import_module
    from inspect import signature

    where, _, name = entry.function.partition(":")
    function = entry.load()

    @wraps(function)
    def record(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        return {
            k: v for k, v in bound.arguments.items() if k not in ("model", "progress", "cancel")
        }

    monkeypatch.setattr(import_module(where), name, record)


@pytest.mark.parametrize(
    "name", ["attribution.counterfactual", "behaviour.accuracy", "ablation.evaluate"]
)
def test_the_seed_moves_the_numbers(name: str, model: Any) -> None:
    """A seed that is left out shows nowhere in numbers that no seed moves."""
    case, entry = CASES[name], catalogue.entry(name)
    found = [by_library(entry, model, case, seed).frame for seed in (SEED, 0)]
    assert not found[0].equals(found[1])


def test_a_schedule_in_another_format(
    model: Any, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = model.prompts(asked_problems(model, TASK, n=N, seed=SEED), format="plain")
    schedule = DRAWN.schedule(model.shape.n_layers)
    filled = {"replacement": "cama", "sink": "first", "seed": SEED}
    want = interp.ablation.transfer(model, schedule, {"plain": batch}, **filled)
    assert_equal(ablation_parts.transfer(study, DRAWN, ("plain",)), want)
    flags = ("--wait", "1", "--transfer", "1", "--mask", "full-peek", "--style", "plain")
    flags += ("--replacement", "cama", "--sink", "first", "--task", TASK)
    entry = catalogue.entry("ablation.transfer")
    assert_equal(by_command(monkeypatch, entry, Case(flags=flags)), want)


def test_what_an_edited_probe_does(model: Any, study: Study) -> None:
    import probes

    place = {"site": "resid_post", "layer": 0, "role": "last", "n": 40}
    fitted = probes.fit(
        model, TASK, ASKED.target, **place, seed=SEED, format=FORMAT, split="problem"
    )
    want = probes.intervene(model, fitted, mode="move", seed=SEED)
    assert_equal(probe_parts.use(replace(study, n=40), ASKED, PLACE, "move"), want)


def test_the_wrong_answers_read_in_one_direction(study: Study) -> None:
    """`given` is the number that was read, beside the right one, whatever way it was written."""
    found = results.result(study, "behaviour.accuracy")
    listed = results.wrong_answers(study, found, None)
    assert len(listed)
    for row in listed.itertuples():
        assert int(row.given) != int(row.answer)
        assert int(str(row.wrote)[::-1]) == int(row.given)
    assert (listed["given"] != listed["wrote"]).any()

"""Every analysis is asked in one way: with a task's name, a Task, Problems or a PromptBatch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import interp
from interp.catalogue import CATALOGUE, Entry
from interp.errors import ArithmoscopeError, InputError
from interp.models import asking
from tests.golden.subjects import wrapped

N, SEED = 40, 3
ASKED = tuple(one for one in CATALOGUE if one.asks in ("prompts", "problems"))
OTHERS = tuple(one for one in CATALOGUE if one not in ASKED)

_SCHEDULE = {"wait": 1, "transfer": (1,)}
# Positional arguments behind `asked`, and options that keep a call small.
GIVEN: dict[str, tuple[Any, ...]] = {
    "attribution.swap_example": ("a2",),
    "ablation.evaluate": (_SCHEDULE,),
    "ablation.compare": (_SCHEDULE,),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "behaviour.error_taxonomy": {"strict": False, "shuffles": 10},
    "behaviour.explain_errors": {"strict": False, "shuffles": 10},
    "behaviour.search_prompts": {"styles": ("padded",), "shots": (0,)},
    "behaviour.doctor": {"formats": ("padded",), "shots": ()},
    "heads.tree": {"resamples": 2},
    "heads.digit_circuits": {"layer": 0, "head": 1, "query": "eq", "key": "a4"},
    "ablation.af1": {"heads": False, "target": 0.1},
    "ablation.compare": {"replacements": ("mean",), "masks": ("full-peek",)},
    "geometry.fourier": {
        "objects": ("embedding", "resid_post"), "roles": ("a2", "predicts(c3)"), "layers": (1,),
        "permutations": 20,
    },
    "geometry.figure": {
        "role": "predicts(c3)", "layer": 1, "steps": (1,), "permutations": 20, "randoms": 1,
    },
    "geometry.helix": {"layers": (1,), "pairs": 4},
    "geometry.minkowski": {
        "layer": 0, "head": 0, "role": "predicts(c2)", "a": "a2", "b": "b2", "draws": 2,
    },
    "geometry.grid": {"units": 5, "knocked": 3, "draws": 1},
    "heads.edges": {"top": 3, "answers": "c3"},
    "heads.interchange": {"variable": "carry[1]", "layers": 1},
    "heads.knockout": {"random_orders": 2},
    "heads.neurons": {"top": 2, "answers": "c3"},
    "intervene": {"stack": "head L0H1 mean"},
    "probes.probe": {
        "targets": ("carry[1]",), "layers": (1,), "roles": "c2", "controls": ("shuffled",),
        "jobs": 1,
    },
}  # fmt: skip
PRODUCTS = ("heads.tree",)
ERRING = ("behaviour.error_taxonomy", "behaviour.explain_errors")  # they need wrong answers


@cache
def add5() -> Any:
    return interp.load("add5")


def subject(entry: Entry) -> tuple[Any, str]:
    """A model that the analysis can look at, and a task."""
    if entry.name in PRODUCTS:
        return interp.load("mul3x3-aux"), "mul:3x3"
    return (wrapped(), "add:2") if entry.name in ERRING else (add5(), "add:5")


def problems_of(entry: Entry, model: Any, task: str) -> Any:
    return asking.asked_problems(
        model, task, n=N, seed=SEED, mixed=entry.name == "behaviour.doctor"
    )


def kinds(entry: Entry, model: Any, task: str) -> dict[str, Any]:
    problems = problems_of(entry, model, task)
    return {
        "name": task,
        "Task": interp.task(task),
        "Problems": problems,
        "PromptBatch": model.prompts(problems),
    }


def seeded(function: Callable[..., Any]) -> dict[str, int]:
    return {"seed": SEED} if "seed" in inspect.signature(function).parameters else {}


@pytest.mark.parametrize("entry", ASKED, ids=lambda entry: entry.name)
def test_four_kinds_give_equal_results(entry: Entry) -> None:
    function = entry.load()
    model, task = subject(entry)
    found = {
        kind: function(
            model, asked, *GIVEN.get(entry.name, ()), n=N, seed=SEED, **OPTIONS.get(entry.name, {})
        )
        for kind, asked in kinds(entry, model, task).items()
    }
    first = found["name"]
    for kind, result in found.items():
        assert result == first, kind
        assert result.settings == first.settings, kind
        assert (result.code, result.caption) == (first.code, first.caption), kind
    if entry.name != "attribution.swap_example":  # of one prompt, whatever sample it is from
        assert f"'{task}', " in first.code and f"n={N}" in first.code
    if model is add5() and entry.name not in ("attribution.swap_example",):
        assert first.settings["held_out"] == "training"


@pytest.mark.parametrize("entry", ASKED, ids=lambda entry: entry.name)
def test_anything_else_is_refused(entry: Entry) -> None:
    function, given = entry.load(), GIVEN.get(entry.name, ())
    model, _ = subject(entry)
    options = OPTIONS.get(entry.name, {})
    for wrong in (17, model, ["12+34"]):
        with pytest.raises(InputError, match=r"task's name .* a Task, Problems or a PromptBatch"):
            function(model, wrong, *given, **options)
    with pytest.raises(InputError, match="unknown task 'addition'"):
        function(model, "addition", *given, **options)
    other = wrapped() if model is add5() else add5()
    prompts = other.prompts(interp.task("add:2" if other is wrapped() else "add:5").sample(4))
    with pytest.raises(InputError, match=r"made for .* Make them with model.prompts\(problems\)"):
        function(model, prompts, *given, **options)


WRONG: dict[str, Callable[[], Any]] = {
    "behaviour.published_errors": lambda: interp.behaviour.published_errors("no such file"),
    "behaviour.explain_published": lambda: interp.behaviour.explain_published("no such file"),
    "suites.cookbook": lambda: interp.suites.cookbook(add5(), "add:5"),
    "ablation.transfer": lambda: interp.ablation.transfer(add5(), _SCHEDULE, "add:5"),
    "training.dynamics": lambda: interp.training.dynamics("no such log"),
    "training.digit_losses": lambda: interp.training.digit_losses("no such log"),
    "probes.one_hot_baseline": lambda: _probes().one_hot_baseline(_prompts()),
    "probes.running_sums": lambda: _probes().running_sums(add5(), "add:5"),
    "probes.intervene": lambda: _probes().intervene(add5(), "add:5"),
    "compare": lambda: interp.compare(add5(), "add:5"),
    "over_seeds": lambda: interp.over_seeds(add5(), interp.behaviour.accuracy, "add:5"),
    "over_checkpoints": lambda: interp.over_checkpoints("add5", interp.behaviour.accuracy),
}


def _probes() -> Any:
    import probes

    return probes


def _prompts() -> Any:
    return add5().prompts(interp.task("add:5").sample(4))


@pytest.mark.parametrize("name", WRONG)
def test_other_analyses_refuse_what_they_do_not_name(name: str) -> None:
    with pytest.raises(ArithmoscopeError):
        WRONG[name]()


def test_every_analysis_is_tried() -> None:
    takes_a_model_alone = {
        *("suites.approximation", "engine.selfcheck", "suggest"),
        *("geometry.modular", "geometry.phases", "probes.near_multiples"),
    }
    assert {one.name for one in OTHERS} == set(WRONG) | takes_a_model_alone


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_default_n_is_that_of_the_catalogue(entry: Entry) -> None:
    parameter = inspect.signature(entry.load()).parameters.get("n")
    if entry.name == "ablation.transfer":  # its targets are prompts already
        assert parameter is None
        return
    assert (None if parameter is None else parameter.default) == entry.n


def test_a_task_is_sampled_by_one_rule() -> None:
    model, task = add5(), interp.task("add:5")
    drawn = asking.sample(model, "add:5", n=30, seed=1)
    assert drawn.problems == model.held_out(30, seed=1)
    whole = asking.sample(model, "add:5", n=30, seed=1, held_out=False)
    assert whole.problems == task.sample(30, seed=1)
    assert whole.settings["draws_from"] == {"task": "add:5", "n": 30, "held_out": False}
    small = asking.sample(model, "add:1", n=1000, seed=1, held_out=False)
    assert small.problems == interp.task("add:1").grid()


def test_fewer_held_out_problems_than_n_are_all_asked_and_told() -> None:
    result = interp.behaviour.accuracy(add5(), "add:2", n=10**4, seed=SEED)
    assert result.n == len(add5().held_out(10**4, task="add:2")) < 10**4
    assert result.settings["wanted"] == 10**4
    assert "held out from training, all there are" in result.caption
    assert "accuracy(model, 'add:2', n=10000, " in result.code


def test_problems_of_the_users_own_are_written_out() -> None:
    few = interp.task("add:5").problems([12, 34, 56], [7, 8, 9])
    result = interp.attribution.logit_lens(add5(), few, seed=SEED)
    assert "interp.task('add:5').problems([12, 34, 56], [7, 8, 9])" in result.code
    space: dict[str, Any] = {}
    exec(result.code, space)
    assert space["result"] == result
    assert few.origin is None and interp.task("add:5").sample(3).origin is not None


def test_prompts_keep_their_format() -> None:
    with pytest.raises(InputError, match="written in 'padded', not 'plain': leave format out"):
        interp.behaviour.accuracy(add5(), _prompts(), format="plain")


def test_a_cache_has_named_axes() -> None:
    model = add5()
    found = interp.cache(model, "add:5", "resid_post", roles="predicts(c2)", n=4, seed=SEED)
    assert list(found.axes) == ["prompt", "layer", "role", "feature"]
    batch = found.batch
    where = batch.predicting_positions("c2")
    run = interp.engine.run(model, batch, reads=["resid_post.1"], logits=None)
    whole = run.activations["resid_post", 1]
    own = whole[range(len(batch)), where]
    assert found.at(layer=1, role="predicts(c2)").allclose(own, atol=1e-5)
    heads = interp.cache(model, batch, "z", layers=0, roles=("a0", "c2"))
    assert heads.values.shape == (4, 1, 2, model.shape.n_heads, model.shape.d_head)
    with pytest.raises(InputError, match="the axis 'layer' has no 7: 0"):
        heads.at(layer=7)
    with pytest.raises(InputError, match="there is no axis 'site': prompt, layer, role, head"):
        heads.at(site=1)


def test_a_read_has_short_forms() -> None:
    model, batch = add5(), _prompts()
    run = interp.engine.run(model, batch, reads=[("resid_post", 0), "resid_post.1", "ln_final"])
    assert list(run.activations) == [("resid_post", 0), ("resid_post", 1), ("ln_final", -1)]
    with pytest.raises(InputError, match=r"'resid_post\.x' names no activation"):
        interp.engine.run(model, batch, reads=["resid_post.x"])
    with pytest.raises(InputError, match="the engine runs prompts, not a str"):
        interp.engine.run(model, "add:5")


def test_an_intervention_takes_a_position_by_what_it_predicts() -> None:
    """predicts(c5) is the equals sign: the same edit under two names."""
    model, batch = add5(), _prompts()
    here, there = (
        interp.engine.run(
            model, batch, [interp.engine.Scale("resid_post", 0.5, layers=0, roles=role)]
        )
        for role in ("predicts(c5)", "eq")
    )
    assert here.changed and here.logits.equal(there.logits)
    assert interp.engine.run(model, batch, logits="predicts(c2)").logit_roles == ("c2",)


def test_reprs_are_one_line() -> None:
    model, batch = add5(), _prompts()
    for shown in (batch, interp.engine.run(model, batch), interp.cache(model, batch)):
        assert "\n" not in repr(shown) and len(repr(shown)) < 200


def test_public_names() -> None:
    for name in ("Result", "load_result", "Cancel", "cache", "InputError", "ModelError",
                 "RoleError", "SiteError", "FormatError", "StorageError", "Cancelled"):  # fmt: skip
        assert getattr(interp, name) is not None


class _Kernel:
    kernel = object()


def test_progress_shows_in_a_notebook_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for a call and the calls inside it, after a while, and gone at the end."""
    import IPython

    from interp.engine import progress

    drawn: list[dict[str, str]] = []

    class Handle:
        update = staticmethod(lambda data, raw: drawn.append(data))

    def display(data: dict[str, str], raw: bool, display_id: bool) -> Handle:
        drawn.append(data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(progress, "_BETWEEN", 0.0)
    model, batch = add5(), _prompts()
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    interp.attribution.logit_lens(model, batch)
    assert not drawn and not progress.in_notebook()  # a script
    monkeypatch.setattr(IPython, "get_ipython", lambda: _Kernel())
    interp.attribution.logit_lens(model, batch, progress=lambda done, total: None)
    assert not drawn
    interp.attribution.logit_lens(model, batch)
    texts = [data["text/plain"] for data in drawn]
    assert texts == ["logit lens: 1 of 3", "logit lens: 2 of 3", "logit lens: 3 of 3", ""]
    drawn.clear()
    monkeypatch.setattr(progress, "PATIENCE", 2.0)
    interp.attribution.logit_lens(model, batch)
    assert not drawn

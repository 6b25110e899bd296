"""Every number of a page is the library's: values, settings and `.code`, at a seed that is not 0.

A seed that is left out shows nowhere in numbers that no seed moves, so each comparison also asks
that the library gives other numbers at seed 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st

import interp
import probes
from app import ablation_results, behaviour_results, probe_results, results
from app.ablation_sliders import Drawn
from app.calls import problems
from app.probe_parts import Asked, Place
from app.study import Study

SEED = 3
MODEL, TASK, FORMAT = "mul3x3-sft-s2", "mul:3x3", "reversed"  # wrong in half of what it is asked
DRAWN = Drawn(1, 1, 1, "full-peek", True, "cama", "first")
ASKED = Asked("running_sum[1]", ("resid_post",), (0,), "problem")
PLACE = Place("resid_post", 0, -1, "last")

behaviour, attribution, ablation = interp.behaviour, interp.attribution, interp.ablation
suites = interp.suites
PAGES: dict[str, Callable[[Study], Any]] = {
    "selfcheck": results.selfcheck,
    "tokenisation": results.tokenisation,
    "behaviour": results.behaviour,
    "search": lambda s: results.prompt_search(s, (0, 1)),
    "attribution": lambda s: results.attribution(s, "keep", "true"),
    "lens": results.logit_lens,
    "example": lambda s: results.example(s, "a1", "recompute", 1),
    "errors": behaviour_results.errors,
    "explanation": behaviour_results.explanation,
    "noisy prefix": behaviour_results.noisy_prefix,
    "diagnosis": behaviour_results.diagnosis,
    "cookbook": lambda s: behaviour_results.cookbook(s, ("add:integer",), (1,), 2, 9),
    "approximation": lambda s: behaviour_results.approximation(s, 12),
    "published errors": lambda s: behaviour_results.published("", "errors", s.seed),
    "published explanation": lambda s: behaviour_results.published("", "explain", s.seed),
    "score": lambda s: ablation_results.score(s, DRAWN),
    "grid": lambda s: ablation_results.grid(s, "cama", "first", "operands"),
    "removal": lambda s: ablation_results.removal(s, DRAWN),
    "af1": lambda s: ablation_results.search(s, 0.8, "cama", "first", "operands"),
    "compare": lambda s: ablation_results.comparison(s, DRAWN, "first", ("cama",), ("operands",)),
    "transfer": lambda s: ablation_results.transfer(s, DRAWN, (FORMAT, "plain")),
    "table": lambda s: ablation_results.table(s, "token"),
    "sweep": lambda s: probe_results.sweep(s, ASKED),
    "use": lambda s: probe_results.use(s, ASKED, PLACE, "move"),
}


@pytest.fixture(autouse=True)
def nothing_cached() -> None:
    st.cache_data.clear()


@pytest.fixture(scope="module")
def model() -> Any:
    return interp.load(MODEL)


@pytest.fixture(scope="module")
def study(model: Any) -> Study:
    return Study(MODEL, model.hash, TASK, model.formats[0], 40, SEED)


def test_every_wrapper_is_here() -> None:
    """A page's result that is added and not compared fails here."""
    other = {"model", "models", "batch", "loaded", "wrong_answers"}
    modules = (results, behaviour_results, ablation_results, probe_results)
    names = {
        name
        for module in modules
        for name, found in inspect.getmembers(module, inspect.isfunction)
        if found.__module__ == module.__name__ and not name.startswith("_") and name not in other
    }
    assert names == {name for page in PAGES.values() for name in _called(page)}


def _called(page: Callable[[Study], Any]) -> set[str]:
    """The wrapper of a page: the function itself, or the one that a lambda calls."""
    if page.__name__ != "<lambda>":
        return {page.__name__}
    return {name for name in page.__code__.co_names[1:] if name.islower()} - {"seed"}


LIBRARY = {
    attribution: ("counterfactual", "logit_lens", "swap_example"),
    behaviour: (
        *("accuracy", "search_prompts", "error_taxonomy", "explain_errors"),
        *("doctor", "published_errors", "explain_published"),
    ),
    suites: ("noisy_prefix", "cookbook", "approximation"),
    ablation: ("evaluate", "grid", "removal", "af1", "compare", "transfer", "cama"),
    probes: ("probe", "fit", "intervene"),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_forgets_no_argument_of_the_study(
    page: str, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seed reaches whatever takes one; format and n whatever draws the study's own problems."""
    asked: list[tuple[str, dict[str, Any]]] = []
    for module, names in LIBRARY.items():
        for name in names:
            monkeypatch.setattr(module, name, _recorder(getattr(module, name), asked))
    PAGES[page](study)
    assert asked or page in ("selfcheck", "tokenisation")  # methods, without a seed
    for name, given in asked:
        if "seed" in given:
            assert given["seed"] == SEED, f"{name} is not given the seed"
        if given.get("problems") == TASK:  # the study's own task, drawn by the library
            if "format" in given:
                assert given["format"] == study.format, f"{name} is not given the format"
            if name != "doctor":  # which asks a sample of its own size
                assert given["n"] == study.n, f"{name} is not given n"
        if "batch" in given:
            assert given["batch"].format == study.format
            assert given["batch"].problems == problems(TASK, study.n, seed=SEED)


def _recorder(function: Any, asked: list[tuple[str, dict[str, Any]]]) -> Any:
    signature = inspect.signature(function)

    def record(*args: Any, **kwargs: Any) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        asked.append((function.__name__, bound.arguments))
        return "recorded"

    return record


Library = Callable[[Any, Any, int], Any]  # (model, batch, seed) → Result
SAME: dict[str, Library] = {
    "behaviour": lambda m, b, seed: behaviour.accuracy(
        m, TASK, n=40, seed=seed, format=b.format, strict=False
    ),
    "attribution": lambda m, b, seed: attribution.counterfactual(m, b, target="true", seed=seed),
    "lens": lambda m, b, seed: attribution.logit_lens(m, b, seed=seed),
    "errors": lambda m, b, seed: behaviour.error_taxonomy(
        m, TASK, n=40, seed=seed, format=b.format, strict=False
    ),
    "explanation": lambda m, b, seed: behaviour.explain_errors(
        m, TASK, n=40, seed=seed, format=b.format, strict=False
    ),
    "noisy prefix": lambda m, b, seed: suites.noisy_prefix(
        m, TASK, n=40, seed=seed, format=b.format
    ),
    "published errors": lambda m, b, seed: behaviour.published_errors(seed=seed),
    "score": lambda m, b, seed: ablation.evaluate(
        m, b, DRAWN.schedule(m.shape.n_layers), replacement="cama", sink="first", seed=seed
    ),
    "grid": lambda m, b, seed: ablation.grid(
        m, b, replacement="cama", sink="first", transfer_mask="operands", seed=seed
    ),
    "table": lambda m, b, seed: ablation.cama(
        m, TASK, format=b.format, given="token", n=40, seed=seed
    ),
    "sweep": lambda m, b, seed: probes.probe(
        m, b.problems, targets=("running_sum[1]",), sites=("resid_post",), layers=(0,), seed=seed,
        format=b.format, split="problem", turns=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("page", SAME)
def test_a_page_shows_the_librarys_numbers_at_its_seed(page: str, study: Study, model: Any) -> None:
    batch = model.prompts(problems(TASK, study.n, seed=SEED), format=study.format)
    shown, want = PAGES[page](study), SAME[page](model, batch, SEED)
    assert shown.settings == want.settings
    assert shown.code == want.code
    assert shown.caption == want.caption
    assert shown == want
    assert shown != SAME[page](model, batch, 0)  # the seed moves something
    assert not shown.frame.equals(SAME[page](model, batch, 0).frame)


def test_the_wrong_answers_read_in_one_direction(study: Study) -> None:
    """`given` is the number that was read, beside the right one, whatever way it was written."""
    assert study.format == "reversed"
    found = results.behaviour(study)
    listed = results.wrong_answers(study, found, None)
    assert len(listed)
    for row in listed.itertuples():
        assert int(row.given) != int(row.answer)
        assert int(str(row.wrote)[::-1]) == int(row.given)
    assert (listed["given"] != listed["wrote"]).any()

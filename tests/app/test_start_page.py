"""The first page: a problem is answered as the library answers it; the tour leads on."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import interp
from app import glossary, tour
from tests.app.test_explorer import ENTRY, words
from tests.app.test_links_and_errors import warnings

N = 64


def opened(page: str | None = None, **link: str) -> AppTest:
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    for key, value in {"model": "add5", "n": str(N), **link}.items():
        at.query_params[key] = value
    at.run()
    if page is not None:
        at.switch_page(f"views/{page}.py").run()
    assert not at.exception
    return at


def test_a_typed_problem_is_answered_as_the_library_answers_it(add5: Any) -> None:
    at = opened(problem="99999+1")
    want = interp.intervene(add5, "add:5", problem="99999+1", controls=0, n=N)
    said = "".join(want.answer["before"])
    assert said == "100000" and f"It writes **{said}**, which is right" in words(at)
    assert want.code == at.code[0].value


def test_what_is_no_problem_of_the_task_is_told_and_the_guides_stay(add5: Any) -> None:
    at = opened(problem="37*48")
    assert "'37*48' is no problem of add:5" in warnings(at)
    assert "Guided" in [str(each.value) for each in at.subheader]


def test_one_problem_is_shown_alone_and_a_click_brings_the_sample_back(add5: Any) -> None:
    at = opened("behaviour", problem="99999+1", alone="true")
    assert "n = 1 (1 distinct)" in words(at)
    at.switch_page("views/probes.py").run()
    assert "there is nothing to find" in warnings(at)
    next(b for b in at.button if b.label == "Show the whole sample").click().run()
    assert not at.exception and not at.warning
    assert f"n = {N} ({N} distinct)" in words(at)


@pytest.mark.parametrize("step", [1, 5])
def test_the_tour_says_its_step_and_leads_on(step: int) -> None:
    here = tour.STEPS[step - 1]
    at = opened(here.page, tour=str(step))
    assert f"Step {step} of {len(tour.STEPS)}: {here.title}" in words(at)
    assert "Step" not in words(opened("model", tour=str(step)))


def test_a_term_explains_itself_once() -> None:
    known = glossary.terms()
    assert {"residual stream", "carry", "probe"} <= set(known)
    text = glossary.explained("carries? The carry, and the carry again in the residual stream.")
    assert text.count("<abbr") == 2
    assert f'title="{known["residual stream"]}"' in text

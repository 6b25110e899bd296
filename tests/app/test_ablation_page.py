"""The Ablation page: what it plots is what the library returns for the schedule that is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import interp
from app import jobs
from app.ablation_results import Drawn
from app.sample import problems
from app.sidebar import OTHER
from interp.ablation import Schedule
from interp.models.planted import build
from tests import tiny
from tests.app.test_explorer import ENTRY, numbers, open_page, traces, words

TASK, N, SEED = "add:1", 60, 3
DRAWN = Drawn(1, 1, 2, "full-peek", True, "cama", "first")
GRID, SEARCH = "Every wait and width", "Search"


@pytest.fixture(scope="module", autouse=True)
def own_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tables are kept in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path_factory.mktemp("tables")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted model whose tokens wait: it answers every sum rightly."""
    planted = build("waiting", seed=11, layers=4, family="llama", digits=1)
    return planted.save(tmp_path_factory.mktemp("waiting"))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Any:
    return interp.load(str(folder))


@pytest.fixture(scope="module")
def batch(loaded: Any) -> Any:
    return loaded.prompts(problems(TASK, N, seed=SEED))


def visit(folder: Path) -> AppTest:
    """A session with the folder typed in and a small sample."""
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    for key, value in {"path": str(folder), "task": TASK, "n": N, "seed": SEED}.items():
        at.query_params[key] = str(value)
    at.query_params["model"] = OTHER
    return at


@pytest.fixture
def page(folder: Path) -> AppTest:
    """The page with `DRAWN` on its sliders."""
    at = visit(folder)
    at.session_state["ablation next"] = (DRAWN.wait, DRAWN.start, DRAWN.width)
    return open_page(at, "ablation")


def look(at: AppTest, part: str) -> AppTest:
    at.segmented_control(key="ablation closer").set_value(part).run()
    assert not at.exception
    return at


def shown_score(at: AppTest) -> dict[str, float]:
    """Role → faithfulness, as the first figure plots it."""
    (dots,) = [t for t in traces(at, "scatter") if t.get("name") == "faithfulness"]
    return dict(zip(dots["y"], numbers(dots["x"]), strict=True))


def wanted_score(loaded: Any, batch: Any, schedule: Schedule) -> dict[str, float]:
    result = interp.ablation.evaluate(loaded, batch, schedule, seed=SEED)
    return dict(zip(result.by_role["role"], result.by_role["faithfulness"], strict=True))


def test_the_schedule_drawn_is_scored_as_the_library_scores_it(
    page: AppTest, loaded: Any, batch: Any
) -> None:
    schedule = DRAWN.schedule(loaded.shape.n_layers)
    assert schedule == Schedule(1, (1, 2), (3,))
    assert shown_score(page) == pytest.approx(wanted_score(loaded, batch, schedule))
    text = interp.ablation.evaluate(loaded, batch, schedule, seed=SEED).code
    assert page.code[0].value == text


def test_moving_a_slider_changes_faithfulness_and_the_masks(
    page: AppTest, loaded: Any, batch: Any
) -> None:
    def strip() -> set[tuple[str, str, int]]:
        return {
            (bars["name"], where, layer)
            for bars in traces(page, "bar")
            for where, layer in zip(bars["y"], numbers(bars["customdata"]), strict=True)
        }

    before = strip()
    page.slider(key="ablation width").set_value(0).run()
    assert not page.exception
    nothing = Schedule(1, (), (1, 2, 3))
    assert shown_score(page) == pytest.approx(wanted_score(loaded, batch, nothing))
    assert strip() != before
    assert not [name for name, _, _ in strip() if name.startswith("looks")]


def test_sessions_never_see_each_others_schedules(
    folder: Path, page: AppTest, loaded: Any, batch: Any
) -> None:
    other = visit(folder)
    other.session_state["ablation next"] = (4, 4, 0)
    open_page(other, "ablation")
    page.run()
    schedule = DRAWN.schedule(loaded.shape.n_layers)
    assert shown_score(page) == pytest.approx(wanted_score(loaded, batch, schedule))
    assert shown_score(other) == pytest.approx(wanted_score(loaded, batch, Schedule(4)))
    assert shown_score(page) != shown_score(other)


def test_a_model_that_answers_nothing_rightly_is_told_with_the_remedy(tmp_path: Path) -> None:
    at = visit(tiny.save("gpt2", tmp_path, seed=1))
    at.query_params["task"] = "add:3"  # nothing that a random model could say by chance
    open_page(at, "ablation")
    assert "answers none of these" in at.warning[0].value
    assert not at.get("plotly_chart")
    assert len(at.slider) == 3  # another schedule or model can still be chosen


def test_a_stopped_page_offers_to_run_it(page: AppTest) -> None:
    page.session_state[jobs.STOPPED] = ("ablation", page.session_state["study"], DRAWN)
    page.run()
    assert "Stopped: Ablating 60 problems" in words(page)
    assert not page.get("plotly_chart")
    next(button for button in page.button if button.label == "Run it").click().run()
    assert page.get("plotly_chart")

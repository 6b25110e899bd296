"""The Ablation page: what it plots is what the library returns for the schedule that is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import interp
from app import ablation_parts, jobs, parts, results
from app.ablation_sliders import Drawn
from app.calls import problems
from app.sidebar import OTHER
from interp.ablation import Schedule
from interp.planted.planted import build
from tests import tiny
from tests.app.test_explorer import ENTRY, numbers, open_page, traces, words
from tests.figures import ablation_results

TASK, N, SEED = "add:1", 100, 3  # all there are
DRAWN = Drawn(1, 1, 2, "full-peek", True, "cama", "first")
GRID = "Every wait and width"
SLIDERS = ("wait", "transfer-from", "width")


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
    at.segmented_control(key="ablation-closer").set_value(part).run()
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
    page.slider(key="width").set_value(0).run()
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


def test_the_grid_is_the_librarys_and_every_cell_can_be_clicked(
    page: AppTest, loaded: Any, batch: Any
) -> None:
    look(page, GRID)
    want = interp.ablation.grid(loaded, batch, seed=SEED)
    heats = traces(page, "heatmap", 1)
    for heat, grid in zip(heats, (want.faithfulness, want.logit_difference), strict=True):
        np.testing.assert_allclose(numbers(heat["z"]), grid.values.T, rtol=1e-6, atol=1e-6)
    cells = [[y, x] for y in heats[0]["y"] for x in heats[0]["x"]]
    assert [t["customdata"] for t in traces(page, "scatter", 1)[-2:]] == [cells, cells]


@pytest.mark.parametrize(
    ("clicked", "drawn"),
    [(("2", "1"), (1, 1, 2)), (("0", "4"), (4, 4, 0)), (("4", "4"), None), (None, None)],
)
def test_a_click_on_a_cell_draws_its_schedule(
    clicked: tuple[str, str] | None, drawn: tuple[int, ...] | None
) -> None:
    """Rows are widths and columns waits; where both do not fit there is no schedule to draw."""
    cell = ablation_parts.cell_of(ablation_results.grid(4), clicked)
    assert (None if cell is None else (cell[0], *cell)) == drawn


def test_a_clicked_cell_moves_the_sliders_once(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    chart, clicked = parts.chart, [("1", "3")]

    def clicking(result: Any, key: str) -> tuple[str, ...] | None:
        chart(result, key)
        return clicked[-1] if clicked and key == "ablation grid" else None

    def drawn() -> list[int]:
        return [page.slider(key=key).value for key in SLIDERS]

    monkeypatch.setattr(parts, "chart", clicking)
    assert drawn() != [3, 3, 1]
    look(page, GRID)
    assert drawn() == [3, 3, 1]
    page.slider(key="wait").set_value(2).run()  # the cell is chosen still
    assert drawn() == [2, 3, 1]
    cell = clicked.pop()
    page.run()  # it is let go, and clicked once more
    clicked.append(cell)
    page.run()
    assert drawn() == [3, 3, 1]


def test_alternatives_are_those_of_the_library(page: AppTest, loaded: Any, batch: Any) -> None:
    look(page, "Alternatives")
    page.multiselect(key="replacements").set_value(["cama", "zero"])
    page.multiselect(key="masks").set_value(["full-peek", "window:1"]).run()
    assert not page.exception
    schedule = DRAWN.schedule(loaded.shape.n_layers)
    want = interp.ablation.compare(
        loaded, batch, schedule, replacements=("cama", "zero"), masks=("full-peek", "window:1"),
        seed=SEED,
    )  # fmt: skip
    kept, _ = traces(page, "scatter", 1)
    np.testing.assert_allclose(numbers(kept["x"]), want.table["faithfulness"])
    assert list(page.dataframe[0].value["mask"]) == list(want.table["mask"])


def test_nothing_to_compare_asks_for_something(page: AppTest) -> None:
    look(page, "Alternatives")
    page.multiselect(key="masks").set_value([]).run()
    assert not page.exception
    assert "at least one replacement" in words(page)


def test_single_layers_are_cut_as_the_library_cuts_them(
    page: AppTest, loaded: Any, batch: Any
) -> None:
    look(page, "One layer at a time")
    schedule = DRAWN.schedule(loaded.shape.n_layers)
    want = interp.ablation.removal(loaded, batch, schedule, seed=SEED)
    full = traces(page, "scatter", 1)[0]
    np.testing.assert_allclose(numbers(full["y"]), want.full.values)


def test_the_search_tells_what_it_found_and_draws_it(
    page: AppTest, loaded: Any, batch: Any
) -> None:
    look(page, "Search")
    want = interp.ablation.af1(loaded, batch, seed=SEED)
    assert want.status == "found"
    assert want.verdict is not None and want.verdict in words(page)
    next(button for button in page.button if button.label == "Draw it above").click().run()
    assert not page.exception
    found = (want.wait, want.transfer[0], len(want.transfer))
    assert tuple(page.slider(key=key).value for key in SLIDERS) == found
    assert shown_score(page)["all"] == 1


def test_other_prompts_and_what_tokens_know_are_the_librarys(
    page: AppTest, loaded: Any, batch: Any
) -> None:
    look(page, "What tokens know")
    want = interp.ablation.cama(loaded, TASK, format=batch.format, seed=SEED)
    (heat,) = traces(page, "heatmap", 1)
    np.testing.assert_allclose(numbers(heat["z"]), want.own_share.values)
    look(page, "Other prompts")
    assert "at least one other format" in words(page)  # this model reads one alone


def test_of_a_model_that_answers_nothing_rightly_logits_are_told(tmp_path: Path) -> None:
    at = visit(tiny.save("gpt2", tmp_path, seed=1))
    at.query_params["task"] = "add:5"  # nothing that a random model could say by chance
    open_page(at, "ablation")
    assert "The full model gets 0 distinct prompts right" in words(at)
    assert "search_prompts finds the prompts that it reads best" in words(at)
    assert len(at.slider) == 3


def test_a_stopped_page_offers_to_run_it(page: AppTest, loaded: Any) -> None:
    options = {"replacement": DRAWN.replacement, "sink": DRAWN.sink}
    schedule = DRAWN.schedule(loaded.shape.n_layers)
    page.session_state[jobs.STOPPED] = results.key(
        page.session_state["study"], "ablation.evaluate", schedule=schedule, **options
    )
    page.run()
    assert "Stopped: Computing ablation score of 100 problems" in words(page)
    assert not page.get("plotly_chart")
    next(button for button in page.button if button.label == "Run it").click().run()
    assert page.get("plotly_chart")

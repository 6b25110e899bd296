"""The Behaviour page beyond accuracy: what each part plots is what the library returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import interp
from app.calls import problems
from app.plain import plain
from interp.arithmetic import faults
from interp.engine import answers
from interp.suites.results.cookbook import SCORES
from tests.app.test_explorer import (
    FORMAT,
    SEED,
    TASK,
    N,
    explorer,
    folder,
    loaded,
    numbers,
    open_page,
    traces,
    words,
)
from tests.behaviour.saying import saying
from tests.behaviour.test_cookbook import wide

__all__ = ["explorer", "folder", "loaded"]  # fixtures


def opened(at: AppTest, part: str) -> AppTest:
    open_page(at, "behaviour")
    at.segmented_control(key="asked").set_value(part).run()
    assert not at.exception
    return at


def plotted(at: AppTest, name: str, figure: int = 0) -> dict[str, float]:
    """Label → share of the first trace of this name."""
    trace = next(t for t in traces(at, "scatter", figure) if t.get("name") == name)
    return dict(zip(trace["y"], numbers(trace["x"]), strict=True))


def test_published_answers_are_plotted_as_the_library_returns_them(explorer: AppTest) -> None:
    at = opened(explorer, "Published answers")
    want = interp.behaviour.published_errors(seed=SEED).group("all").set_index("kind")
    for name, column in (("given answers", "share"), ("shuffled among problems", "chance")):
        shown = plotted(at, name)
        assert shown == pytest.approx(
            {str(kind).replace("_", " "): row[column] for kind, row in want.iterrows()}
        )
    assert "**138** wrong answers" in words(at)


def test_the_doctor_plots_the_best_ways_to_ask(explorer: AppTest, loaded: Any) -> None:
    at = opened(explorer, "How it wants to be asked")
    want = interp.behaviour.doctor(loaded, TASK, seed=SEED)
    shown = plotted(at, "half that nothing was chosen on")
    drawn = next(t for t in want.figure().data if t.name == "half that nothing was chosen on")
    assert len(drawn.y) == min(24, len(want.asked))  # the figure shows the best of them
    assert shown == dict(zip(drawn.y, drawn.x, strict=True))
    assert plain(want.verdict) in words(at)
    best = want.trials.loc[want.best, "format"]
    button = next(button for button in at.button if button.label == f"Study it with {best}")
    button.click().run()
    assert not at.exception
    assert at.session_state["study"].format == best


def test_forced_digits_are_plotted_as_the_library_returns_them(
    explorer: AppTest, loaded: Any
) -> None:
    at = opened(explorer, "Wrong digits forced in")
    want = interp.suites.noisy_prefix(
        loaded, problems(TASK, N, seed=SEED), seed=SEED, format=FORMAT
    )
    for heat, noise in zip(traces(at, "heatmap"), ("random", "precise"), strict=True):
        shown = numbers(heat["z"])
        for name in want.printed[:-1]:
            for row in want.rows(noise, name).itertuples():
                at_cell = list(heat["y"]).index(name), list(heat["x"]).index(row.digit)
                assert shown[at_cell] == pytest.approx(row.exact)


def test_errors_and_their_faults_are_those_of_the_library(
    explorer: AppTest, loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model made to forget the carry out of the units; a seed of its own, for the caches."""

    def forgets(batch: Any, row: int) -> str:
        return str(faults.carries_dropped(batch.problems)[row, 0])

    monkeypatch.setattr(answers, "generate", saying(forgets, loaded))
    seed = SEED + 100
    explorer.query_params["seed"] = str(seed)
    sample = problems(TASK, N, seed=seed)
    at = opened(explorer, "Kinds of errors")
    want = interp.behaviour.error_taxonomy(loaded, sample, seed=seed, format=FORMAT)
    kinds = want.group("all").set_index("kind")["share"]
    shown = plotted(at, "given answers")
    assert shown == {str(kind).replace("_", " "): share for kind, share in kinds.items()}
    assert shown["carry omitted"] == 1
    assert list(at.dataframe[0].value["kind"]) == list(want.wrong["kind"])
    at = opened(explorer, "The fault behind them")
    faulty = interp.behaviour.explain_errors(loaded, sample, seed=seed, format=FORMAT)
    shares = faulty.simulators.set_index("simulator")["share"].to_dict()
    assert plotted(at, "given answers") == shares
    assert shares["drops-carry-0"] == 1
    at = opened(explorer, "This prompt")
    assert at.dataframe[0].value["fault"].str.contains("drops-carry-0").all()


def test_language_models_are_asked_in_words(explorer: AppTest, tmp_path: Path) -> None:
    explorer.query_params["path"] = str(wide(tmp_path))
    model = interp.load(str(tmp_path))
    at = opened(explorer, "Everyday estimates")
    at.number_input(key="street n").set_value(12).run()
    want = interp.suites.approximation(model, n=12, seed=SEED)
    for bars in traces(at, "bar")[:4]:
        rows = want.grades[want.grades["wording"] == "roughly"]
        shares = rows[rows["grade"] == bars["name"]]["share"]
        np.testing.assert_allclose(numbers(bars["x"]), shares)
    at = opened(explorer, "Number Cookbook")
    at.multiselect(key="cookbook tasks").set_value(["add:integer", "max:integer"])
    at.number_input(key="cookbook n").set_value(3)
    next(b for b in at.button if b.label == "Ask").click().run()
    assert not at.exception
    tasks = ("add:integer", "max:integer")
    scores = interp.suites.cookbook(model, tasks, lengths=(1, 2), n=3, seed=SEED)
    for heat, name in zip(traces(at, "heatmap"), SCORES, strict=True):
        table = scores.lengths.pivot(index="task", columns="length", values=name)
        np.testing.assert_allclose(numbers(heat["z"]), table.loc[heat["y"]].to_numpy(float))


def test_a_model_that_cannot_read_questions_is_told_so(explorer: AppTest) -> None:
    at = opened(explorer, "Everyday estimates")
    assert "Ask a language model" in at.warning[0].value
    at = opened(explorer, "Number Cookbook")
    assert not at.get("plotly_chart")
    assert not at.warning  # nothing is asked before the button
    next(b for b in at.button if b.label == "Ask").click().run()
    assert not at.exception
    assert at.warning


def test_a_file_that_is_none_is_told_with_the_remedy(explorer: AppTest) -> None:
    at = opened(explorer, "Published answers")
    at.text_input(key="published-file").set_value("/no/such.csv").run()
    assert not at.exception
    assert "cannot read '/no/such.csv'" in at.warning[0].value


def test_a_trained_fixture_is_not_asked_in_words(explorer: AppTest) -> None:
    explorer.query_params["model"] = "add5"
    explorer.query_params["task"] = "add:5"
    at = open_page(explorer, "behaviour")
    options = at.segmented_control(key="asked").options
    assert "Kinds of errors" in options
    assert not {"Number Cookbook", "Everyday estimates"} & set(options)
    at.segmented_control(key="asked").set_value("Kinds of errors").run()
    assert not at.exception
    assert "Ask harder problems" in at.warning[0].value  # it makes no error on so few

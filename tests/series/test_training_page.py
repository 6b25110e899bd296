"""The page Training shows the log's curves, and its slider moves every page along the training."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import interp
from app.sidebar import OTHER
from tests import tiny
from tests.app.test_explorer import ENTRY, numbers, open_page, traces, words


def explorer(folder: Path) -> AppTest:
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    given = {"model": OTHER, "path": str(folder), "task": "add:2", "n": "20", "seed": "1"}
    for key, value in given.items():
        at.query_params[key] = value
    return at


def test_the_curves_are_those_of_the_library(trained: tuple[Path, ...]) -> None:
    at = open_page(explorer(trained[0]), "training")
    wanted = interp.training.dynamics(trained[0])
    lines = {trace["name"]: trace for trace in traces(at, "scatter") if "name" in trace}
    for digit in ("c0", "c1", "c2"):
        assert numbers(lines[digit]["y"]).tolist() == wanted.wide("loss", "digit")[digit].tolist()
    assert "12 steps" not in words(at)
    assert "logged steps of 32 problems" in words(at)
    limit = next(slider for slider in at.slider if slider.label == "Threshold")
    limit.set_value(2.3).run()
    strict = interp.training.dynamics(trained[0], threshold=2.3)
    order = next(t.value for t in at.dataframe if "learnt_at" in t.value.columns)
    assert order["learnt_at"].tolist() == pytest.approx(
        strict.order["learnt_at"].tolist(), nan_ok=True
    )


def test_the_slider_moves_all_pages(trained: tuple[Path, ...]) -> None:
    at = open_page(explorer(trained[0]), "model")
    assert interp.load(str(trained[0])).hash[:12] in words(at) + _sidebar(at)
    slider = next(s for s in at.sidebar.select_slider if s.label == "Checkpoint")
    slider.set_value(4).run()
    assert not at.exception
    assert interp.checkpoints(trained[0]).load(4).hash[:12] in words(at) + _sidebar(at)
    at.switch_page("views/training.py").run()
    assert not at.exception
    assert "All pages show the model after step 4" in words(at)
    assert traces(at, "scatter")  # the log of the whole training, whatever the checkpoint


def _sidebar(at: AppTest) -> str:
    return "\n".join(str(element.value) for element in at.sidebar.caption)


def test_a_model_without_a_log_says_so(tmp_path: Path) -> None:
    at = open_page(explorer(tiny.save("gpt2", tmp_path / "plain", seed=1)), "training")
    assert "No training log came with these weights" in words(at)
    assert not at.sidebar.select_slider

"""The sidebar: the task follows the model, and each analysis takes its own number of problems."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app import results
from app.study import Study, checkpoints
from interp.catalogue import entry
from tests.app.test_explorer import open_page, traces
from tests.app.test_links_and_errors import opened


def test_the_task_follows_the_model() -> None:
    at = opened(model="add5", n=8)
    assert at.session_state["study"].task == "add:5"
    at.selectbox(key="model").set_value("mod113").run()
    assert not at.exception and not at.warning
    study = at.session_state["study"]
    assert (study.task, study.format) == ("mod:113", "modular")


def test_a_link_carries_format_and_checkpoint() -> None:
    """What is chosen stands in the address, and the address opened anew is the same study."""
    at = opened(model="mod113", n=8)
    steps = checkpoints("mod113")
    at.select_slider(key="checkpoint mod113").set_value(steps[1]).run()
    assert dict(at.query_params)["checkpoint"] == str(steps[1])
    again = opened(model="mod113", n=8, checkpoint=steps[1], format="padded")
    assert not again.sidebar.warning
    link = dict(again.query_params)
    assert (link["checkpoint"], link["format"]) == (str(steps[1]), "padded")
    study = again.session_state["study"]
    assert (study.model, study.format) == (at.session_state["study"].model, "padded")


def test_a_link_to_a_checkpoint_that_is_not_there_says_so() -> None:
    at = opened(model="mod113", n=8, checkpoint=7, format="plane")
    assert [word.value.partition(" Nearest")[0] for word in at.sidebar.warning] == [
        "There is no checkpoint '7', which the link asks for. Shown instead: end.",
        "There is no format 'plane', which the link asks for. Shown instead: modular.",
    ]


def test_without_a_number_the_page_takes_the_analysis_own() -> None:
    at = opened(model="mod113")
    study = at.session_state["study"]
    assert study.n is None
    at.number_input(key="n").set_value(8).run()
    assert at.session_state["study"].n == 8


def test_a_result_of_the_explorer_has_the_library_number(monkeypatch: Any) -> None:
    asked: list[Any] = []

    def kept(analysis: Any, model: Any, sample: Any, given: Any, **job: Any) -> Any:
        asked.append((analysis.name, sample.n))

    monkeypatch.setattr(results.calls, "run", kept)
    monkeypatch.setattr(results, "loaded", lambda study: None)
    monkeypatch.setattr(
        results.jobs, "current", lambda: SimpleNamespace(progress=None, cancel=None)
    )
    study = Study("mod113", "own number", "mod:113", "modular", None, 0)
    for name, n in (("behaviour.accuracy", None), ("behaviour.accuracy", 9)):
        results._result.__wrapped__(  # type: ignore[attr-defined]
            Study(study.model, study.model_hash, study.task, study.format, n, 0), name, 0.0, ()
        )
    assert asked == [("behaviour.accuracy", None), ("behaviour.accuracy", 9)]
    own = entry("probes.probe").n
    assert f"{own:,} problems" in results.label(entry("probes.probe"), study) or own is None


def test_the_ablation_page_of_a_language_model_has_its_figure(
    smollm2: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr(results, "model", lambda name: smollm2)
    monkeypatch.setattr(results, "loaded", lambda study: smollm2)
    at = opened(model="smollm2", task="add:1", n=4)
    at = open_page(at, "ablation")
    assert not at.warning, [each.value for each in at.warning]
    assert traces(at, "heatmap")

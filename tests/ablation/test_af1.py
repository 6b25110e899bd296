"""The search: what it says where there is something to find is in tests/planted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp import ablation
from interp.ablation import search
from interp.errors import ArithmoscopeError, Cancelled, InputError
from interp.models.planted import build
from interp.results import Result


@pytest.fixture(scope="module")
def planted(tmp_path_factory: Any) -> Any:
    found = build("waiting", seed=11, digits=1, layers=4)
    model = interp.load(str(found.save(tmp_path_factory.mktemp("planted") / "waiting")))
    return model, found.key, model.prompts(found.key.problems(100))


def test_one_half_is_searched_and_the_other_told_of(planted: Any, tmp_path: Path) -> None:
    model, _, batch = planted
    found = ablation.af1(model, batch)
    assert found.n == 50 == found.settings["n_searched"]
    assert Result.load(found.save(tmp_path / "af1")) == found
    space: dict[str, Any] = {}
    exec(found.code, space)
    assert space["result"] == found
    assert "(indices 0 to 1)" in str(found.verdict)
    kept = found.pruning["faithfulness"]
    assert (kept[:-1] >= found.target).all()  # cuts that were made
    assert kept.iloc[-1] < found.target  # the one that was not
    assert set(found.frame["stage"]) == {"wait", "window", "prune", "removal"}
    assert ablation.Schedule.from_spec(found.schedule).wait == found.wait


def test_comparing_finds_what_the_search_finds_and_tries_no_wait_beyond_the_first_too_deep(
    planted: Any, monkeypatch: Any
) -> None:
    model, _, batch = planted
    tried: list[set[str]] = []
    sweep = search.run_all

    def noted(model: Any, places: Any, variants: Any, *rest: Any, **options: Any) -> Any:
        tried.append(set(variants))
        return sweep(model, places, variants, *rest, **options)

    monkeypatch.setattr(search, "_CHUNK", 1)
    monkeypatch.setattr(search, "run_all", noted)
    names = {"replacements": ["cama", "zero"], "masks": ["full-peek"]}
    table = ablation.compare(model, batch, **names).table.set_index("replacement")
    by_search, tried[:] = list(tried), []
    for label, row in table.iterrows():
        alone = ablation.af1(model, batch, replacement=str(label), heads=False)
        assert row["status"] == alone.status
        if alone.status == "found":
            assert (row["wait"], row["first_transfer"]) == (alone.wait, alone.transfer[0])
            score = alone.scores["faithfulness"].item()
            assert row["faithfulness"] == pytest.approx(score, abs=1e-12)
    assert max(map(len, by_search)) == 1
    assert len(by_search) < 2 * model.shape.n_layers  # it stopped early …
    assert tried == [{"1", "2", "3", "4"}] * 2  # … where the search alone draws the whole curve


def test_random_weights_are_refused_or_uninformative(tiny_model: Callable[..., Any]) -> None:
    model, _ = tiny_model("gpt2", "float32")
    batch = model.prompts(interp.Addition(1).grid(), format="padded")
    right = [int(x) for x in ablation_right(model, batch)]
    if not sum(right):
        with pytest.raises(InputError, match="rightly"):
            ablation.af1(model, batch)
        return
    found = ablation.af1(model, batch)
    assert (found.status, found.wait) == ("uninformative", -1)
    assert "below 30" in found.reason


def ablation_right(model: Any, batch: Any) -> Any:
    logits = interp.engine.run(model, batch).logits
    labels = [batch.labels(role) for role in batch.answer_roles]
    return sum((logits[:, i].argmax(-1) == x).int() for i, x in enumerate(labels)) == len(labels)


def test_what_the_told_half_says_of_the_target_is_in_the_reason(planted: Any) -> None:
    model, _, batch = planted
    found = ablation.af1(model, batch, target=1.0, heads=False)
    assert found.status == "found"
    said = "not surely at the target of 100 %"
    assert re.search(rf": 100\.0 % \(9\d\.\d to 100\.0 %\) are kept there, {said}", found.reason)
    assert said in str(found.verdict)
    assert "above the target of 90 %" in ablation.af1(model, batch, heads=False).reason


def test_few_right_prompts_are_uninformative(planted: Any) -> None:
    model, _, batch = planted
    found = ablation.af1(model, batch[np.arange(0, 100, 2)])
    assert (found.status, found.verdict) == ("uninformative", None)
    assert "below 30" in found.reason


def test_one_answer_is_uninformative(planted: Any) -> None:
    """A model that is right only where a constant is: prompts of one and the same answer."""
    model, _, batch = planted
    sums = np.array([int(x) for x in batch.problems.answers()])
    found = ablation.af1(model, batch[np.tile(np.flatnonzero(sums == 9), 4)], target=0.9)
    assert found.status == "uninformative"


def test_without_transfer_a_sink_that_differs_may_tell_of_the_operands(
    planted: Any, monkeypatch: Any
) -> None:
    """As though nothing were lost without any transfer."""
    model, _, batch = planted
    everything = lambda _found, _cells, schedules: (np.ones(len(schedules)),) * 3  # noqa: E731
    monkeypatch.setattr(search, "_faithfulness", everything)
    assert "they do not depend on the operands." in ablation.af1(model, batch).reason
    add5 = interp.load("add5")
    sums = add5.prompts(interp.Addition(5).sample(80, seed=3, full_width=True))
    found = ablation.af1(add5, sums, replacement="own")  # begins with a digit
    assert found.reason.endswith("the sink, which differs between these prompts, may tell of the "
                                 "operands.")  # fmt: skip
    assert "do not depend" not in str(found.verdict)
    assert "model.starting_with" in str(found.verdict)


def test_progress_and_cancel(planted: Any) -> None:
    model, _, batch = planted
    told: list[tuple[int, int]] = []
    for call in (ablation.grid, ablation.af1, ablation.removal):
        told.clear()
        call(model, batch, progress=lambda done, total: told.append((done, total)))
        assert len({total for _, total in told}) == 1, call
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert told[-1][0] == told[-1][1]
    cancel = interp.engine.Cancel()
    cancel.set()
    for call in (ablation.grid, ablation.af1, ablation.compare):
        with pytest.raises(Cancelled):
            call(model, batch, cancel=cancel)
    assert issubclass(Cancelled, ArithmoscopeError)

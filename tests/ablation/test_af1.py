"""The search: what it says where there is something to find is in tests/planted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp import ablation
from interp.ablation import search
from interp.errors import ArithmoscopeError, Cancelled
from interp.planted.planted import build
from interp.results.result import Result

af1_module = import_module("interp.ablation._af1")  # whose name is the function's too


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
    assert ablation.Schedule.of(found.schedule).wait == found.wait


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


def test_a_constant_that_happens_to_be_right_is_uninformative(
    tiny_model: Callable[..., Any],
) -> None:
    """Random weights that say one thing always, on prompts where just that counts as right."""
    model, _ = tiny_model("gpt2", "float32")
    problems = interp.Addition(2).sample(160, seed=0, full_width=True)
    batch = model.prompts(problems, format="padded")
    unread = ablation.af1(model, batch)
    assert unread.n_right_distinct < 30 and unread.verdict is None and "rightly" in unread.reason
    said = interp.engine.generate(model, batch, max_new_tokens=len(batch.answer_roles))
    tokens = batch.tokens.clone()
    for i, role in enumerate(batch.answer_roles):
        tokens[:, batch.positions[role]] = said[:, i]
    found = ablation.af1(model, batch.with_tokens(tokens, batch.texts))
    assert found.n_right_distinct >= 30
    assert (found.status, found.wait, found.constant) == ("uninformative", -1, 1)
    assert "one constant answer keeps 100 % of what the model gets right" in found.reason
    assert str(found.verdict).startswith("Uninformative: one constant answer")


def test_what_is_found_by_luck_is_uninformative_where_the_other_half_shows_a_constant(
    planted: Any, monkeypatch: Any
) -> None:
    """As though the searched half had kept its answers without ever looking at operands."""
    model, _, batch = planted
    blind = ablation.Schedule.all_for_one(4, 4, 0)

    def lucky(*asked: Any, **options: Any) -> search.Search:
        return replace(search.search(*asked, **options), schedule=blind)

    monkeypatch.setattr(af1_module, "search", lucky)
    found = ablation.af1(model, batch, heads=False)
    assert (found.status, found.wait, found.transfer) == ("uninformative", -1, ())
    assert "on prompts that the search did not see, faithfulness" in found.reason
    assert "is not above that of the best constant answer" in found.reason


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

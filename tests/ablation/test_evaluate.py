"""Scores on models that are right: planted ones, and the trained five-digit adder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import interp
from interp import ablation, engine
from interp.ablation import Schedule
from interp.ablation.answers import Truth
from interp.ablation.complete import StagedResources
from interp.ablation.problems import named
from interp.ablation.setting import Setting
from interp.errors import InputError
from interp.planted.planted import build
from interp.results.result import Result
from tests import tiny


@pytest.fixture(scope="module")
def planted(tmp_path_factory: Any) -> Any:
    found = build("waiting", seed=11, digits=1, layers=4)
    model = interp.load(str(found.save(tmp_path_factory.mktemp("planted") / "waiting")))
    return model, found.key, model.prompts(found.key.problems(100))


@pytest.fixture(scope="module")
def add5() -> Any:
    model = interp.load("add5")
    return model, model.prompts(interp.Addition(5).sample(48, seed=3))


def the_schedule(key: Any, depth: int) -> Schedule:
    moved = key.transfer_layers
    compute = [i for i in range(key.wait, depth) if i not in moved]
    return Schedule(key.wait, moved, compute)


def test_the_planted_schedule_keeps_everything_and_a_longer_wait_nothing(planted: Any) -> None:
    model, key, batch = planted
    kept = ablation.evaluate(model, batch, the_schedule(key, 4))
    assert kept.metrics["faithfulness"] == kept.metrics["base_accuracy"] == 1
    assert kept.metrics["logit_difference"] == pytest.approx(1, abs=1e-3)
    assert kept.metrics["constant"] == pytest.approx(0.1)  # ten pairs sum to 9
    lost = ablation.evaluate(model, batch, Schedule(key.wait + 1))
    assert lost.metrics["faithfulness"] < 0.5
    assert "wait" in kept.picture
    assert "100 %" in str(kept.verdict)
    assert "nothing tells" in str(ablation.evaluate(model, batch, Schedule(4)).verdict)


def test_zero_mean_and_resampled_tokens_carry_nothing_of_their_own(planted: Any) -> None:
    model, key, batch = planted
    for name in ("zero", "mean", "role-mean", "resample", "cama:nothing"):
        lost = ablation.evaluate(model, batch, Schedule(key.wait), replacement=name)
        assert lost.metrics["faithfulness"] < 0.4, name
    for name in ("cama", "cama:value", "own", "resample:token"):
        kept = ablation.evaluate(model, batch, Schedule(key.wait), replacement=name)
        assert kept.metrics["faithfulness"] == 1, name


def test_the_full_model_and_a_constant_output(planted: Any) -> None:
    model, _, batch = planted
    full = ablation.evaluate(model, batch, Schedule())
    assert full.metrics["logit_difference"] == pytest.approx(1)
    assert full.metrics["kl"] == pytest.approx(0, abs=1e-9)
    constant = ablation.evaluate(model, batch, Schedule(4), replacement="zero")
    assert constant.metrics["logit_difference"] == pytest.approx(0, abs=1e-9)


def test_a_score_survives_the_disk_and_its_code_makes_it_again(
    planted: Any, tmp_path: Path
) -> None:
    model, key, batch = planted
    found = ablation.evaluate(model, batch, the_schedule(key, 4))
    assert Result.load(found.save(tmp_path / "score")) == found
    space: dict[str, Any] = {}
    exec(found.code, space)
    assert space["result"] == found


def test_masks_beside_the_schedule_are_told_and_made_again(planted: Any, tmp_path: Path) -> None:
    model, key, batch = planted
    layer = key.transfer_layers[0]
    masks = (
        *ablation.knock_out(batch, [("eq", "a0"), ("eq", "b0")], [layer]),
        engine.MaskAttention(roles=("eq",), keys=("bos", "eq"), mode="only", heads=(0,)),
    )
    plain = ablation.evaluate(model, batch, the_schedule(key, 4))
    found = ablation.evaluate(model, batch, the_schedule(key, 4), masks=masks)
    assert found.metrics["faithfulness"] < plain.metrics["faithfulness"]
    assert "further cut" not in f"{plain.verdict}{plain.picture}"
    cut = f"eq from a0 in layer {layer}; eq from b0 in layer {layer}; eq from all but bos, eq"
    assert f"further cut ({cut} (heads 0) in all layers)" in str(found.verdict)
    (there,) = [x for x in found.picture.split("\n\n") if x.startswith(f"layer {layer} ")]
    assert "further cut: eq from a0, eq from b0, eq from all but bos, eq (heads 0)" in there
    (looks,) = [x.split() for x in there.splitlines() if x.strip().startswith("eq ")]
    roles = [x.split() for x in there.splitlines()][1]
    assert [role for role, mark in zip(roles, looks[1:], strict=True) if mark == "·"] == [
        "a0", "b0",
    ]  # fmt: skip
    assert found.figure() is not None
    assert Result.load(found.save(tmp_path / "masked")) == found
    space: dict[str, Any] = {}
    exec(found.code, space)
    assert space["result"] == found


def test_a_sink_that_tells_of_the_prompt_is_told(planted: Any, add5: Any) -> None:
    found = ablation.evaluate(*add5, Schedule(2), replacement="zero")  # begins with a digit
    assert found.settings["sink_differs"]
    assert "The sink differs between prompts" in str(found.conclusion())
    model, _, batch = planted
    assert "sink differs" not in str(ablation.evaluate(model, batch, Schedule(4)).conclusion())
    targets = {"digit first": add5, "word first": batch}
    rows = ablation.transfer(model, Schedule(2), targets, replacement="zero").table
    assert rows["sink_differs"].tolist() == [True, False]


def test_answers_of_several_tokens(add5: Any) -> None:
    """By a run of its own: each token where the full model has it right, "all" where it has all."""
    model, batch = add5
    masks = ablation.knock_out(batch, [(batch.answer_roles[0], "a4")], [0, 1])
    found = ablation.evaluate(model, batch, Schedule(), masks=masks)
    frame = found.frame.set_index("role")
    assert list(frame.index) == [*batch.answer_roles, "all"]
    first = [
        engine.run(model, batch, do, logits=batch.answer_roles).logits.argmax(-1)
        for do in ((), masks)
    ]
    full, kept = ((tokens == Truth.of(batch).labels).numpy() for tokens in first)
    for i, role in enumerate(batch.answer_roles):
        assert frame.loc[role, "faithfulness"] == pytest.approx(kept[full[:, i], i].mean()), role
    right = full.all(axis=1)
    want = kept.all(axis=1)[right].mean()
    assert frame.loc["all", "faithfulness"] == pytest.approx(want)
    assert frame.loc["all", "base_accuracy"] == right.mean() > 0.9
    assert 0.02 < want < min(0.98, frame["faithfulness"][:-1].mean())  # nothing here is all or none


def test_a_grid_tells_each_token_with_its_interval_and_what_can_be_guessed(add5: Any) -> None:
    model, batch = add5
    found = ablation.grid(model, batch, widths=[0, 1])
    assert found.by_role is not None and found.guessed is not None and found.kl is None
    assert found.by_role.axis("role").labels == batch.answer_roles
    score = ablation.evaluate(model, batch, Schedule(1, (1,)))
    frame = score.frame.set_index("role")
    for role in batch.answer_roles:
        cell = found.by_role.at(role=role, wait=1)
        row, where = frame.loc[role], cell.axis("width").index("1")
        assert cell.values[where] == pytest.approx(row["faithfulness"])
        assert cell.low[where] == pytest.approx(row["low"])
        assert cell.high[where] == pytest.approx(row["high"])
        assert found.guessed.at(role=role) == row["guessed"]
    assert frame.loc["all", "guessed"] == score.constant
    said = ablation.evaluate(model, batch, Schedule(1, (1,)), answers="generated").frame
    labels = Truth.of(batch).labels.numpy()
    for i, guess in enumerate(said["guessed"][:-1]):  # nothing true is shown before it
        times = np.unique(labels[:, i], return_counts=True)[1]
        assert guess == pytest.approx(times.max() / len(batch), abs=0.05)


def test_generated_answers(add5: Any) -> None:
    """Whole answers are right under both; without cuts they are what the model itself says; and
    no digit before a row's first wrong one differs."""
    model, batch = add5
    schedule = Schedule(0, (0,), (1,))
    forced = ablation.evaluate(model, batch, schedule)
    said = ablation.evaluate(model, batch, schedule, answers="generated")
    assert np.array_equal(forced.kept, said.kept)
    assert np.array_equal(forced.right, said.right)
    first = batch.answer_roles[0]
    shares = [found.frame.set_index("role").loc[first, "faithfulness"] for found in (forced, said)]
    assert shares[0] == shares[1]
    uncut = ablation.evaluate(model, batch, Schedule(), answers="generated")
    tokens = engine.generate(model, batch, max_new_tokens=len(batch.answer_roles))
    labels = Truth.of(batch).labels
    assert np.array_equal(uncut.kept, (tokens == labels).all(dim=1).numpy())


def test_generated_answers_diverge_from_the_full_model(add5: Any) -> None:
    """Of the first answer token, which nothing generated precedes, KL is the same under both."""
    model, batch = add5
    schedule = Schedule(1, (1,))
    forced, said = (
        ablation.evaluate(model, batch, schedule, answers=answers).frame.set_index("role")["kl"]
        for answers in ("forced", "generated")
    )
    assert forced[batch.answer_roles[0]] > 0.01
    assert np.isclose(forced[batch.answer_roles[0]], said[batch.answer_roles[0]])
    assert said[batch.answer_roles[-1]] > 0


def test_another_answer_token_leaves_earlier_fillings_alone(tiny_model: Any) -> None:
    """The prompt is left out of its means up to where it goes another way."""
    model, _ = tiny_model("gpt2")
    batch = model.prompts(interp.Addition(1).grid()[:20], format="padded")
    setting = Setting.of(model, batch, "cama", "first", 0, StagedResources())
    first, second = (batch.positions[role] for role in batch.answer_roles[:2])
    tokens = batch.tokens.clone()
    tokens[:, first] = batch.labels("b0")
    places = replace(setting.places, batch=batch.with_tokens(tokens, batch.texts))
    other = replace(setting, places=places).replacement_states(known=False).rows(2)
    before = slice(None), slice(0, first - places.sink)
    assert torch.equal(other[before], setting.replacement_states().rows(2)[before])
    assert not torch.equal(other, setting.replacement_states().rows(2))
    assert second > first


def test_prompts_without_a_common_beginning_are_refused(tmp_path: Any) -> None:
    model = interp.load(str(tiny.save("gpt2", tmp_path)))
    batch = model.prompts(interp.Addition(2).problems([12, 5], [3, 4]), format="plain")
    for ask in (ablation.grid, ablation.af1):
        with pytest.raises(InputError, match="no sink in common"):
            ask(model, batch)


def test_removing_a_layer(planted: Any) -> None:
    model, key, batch = planted
    found = ablation.removal(model, batch, the_schedule(key, 4))
    moved = set(key.transfer_layers)
    for layer, kept in enumerate(found.full.values):
        assert (kept < 0.5) == (layer in moved), layer
        assert np.isnan(found.schedule.values[layer]) == (layer not in moved)
    assert (found.all_removed["faithfulness"] < 0.5).all()
    assert found.metrics["needed_layers"] == len(moved)


def test_the_grid(planted: Any, tmp_path: Path) -> None:
    model, key, batch = planted
    found = ablation.grid(model, batch, kl=True)
    last = key.transfer_layers[-1]
    for wait in range(5):
        for width in range(5):
            value = found.faithfulness.at(wait=wait, width=width)
            if wait + width > 4:
                assert np.isnan(value)
            else:
                keeps = wait <= key.wait and wait + width > last
                assert (value == 1) == keeps, (wait, width)
    assert found.metrics["longest_wait"] == key.wait
    assert Result.load(found.save(tmp_path / "grid")) == found
    slow = ablation.grid(model, batch, route="complete", waits=[0, key.wait], kl=True)
    fast = ablation.grid(model, batch, waits=[0, key.wait], kl=True)
    for name in ("faithfulness", "logit_difference", "kl"):
        a, b = getattr(slow, name).values, getattr(fast, name).values
        assert np.allclose(a, b, atol=1e-3, equal_nan=True), name


def inside_their_bounds(table: pd.DataFrame) -> None:
    for name, low in {"faithfulness": "low", "logit_difference": "", "kl": ""}.items():
        bounds = (low, "high") if low else (f"{name}_low", f"{name}_high")
        assert (table[bounds[0]] <= table[name] + 1e-12).all(), name
        assert (table[name] <= table[bounds[1]] + 1e-12).all(), name
        assert (table[bounds[1]] > table[bounds[0]]).any() or name == "faithfulness"


def test_alternatives_in_one_table(planted: Any) -> None:
    model, key, batch = planted
    found = ablation.compare(model, batch, the_schedule(key, 4))
    kept = found.table.set_index(["replacement", "mask"])["faithfulness"]
    assert kept["cama:token", "full-peek"] == 1
    assert kept["zero", "full-peek"] < 0.4
    assert kept["cama:token", "operands"] == 1
    inside_their_bounds(found.table)
    other = ablation.Replacement("cama", "value", 900, 2)
    named = ablation.compare(model, batch, the_schedule(key, 4), replacements=[other, "zero"])
    space: dict[str, Any] = {}
    exec(named.code, space)
    assert space["result"] == named
    assert "n=900, seed=2), 'zero',)" in named.code
    searched = ablation.compare(model, batch, replacements=["cama", "zero"], masks=["full-peek"])
    status = searched.table.set_index("replacement")["status"]
    assert status["cama:token"] == "found"
    assert searched.table.set_index("replacement").loc["cama:token", "wait"] == key.wait


def test_transfer_to_other_prompts(planted: Any, add5: Any) -> None:
    model, key, batch = planted
    other, sums = add5
    targets = {"same": batch, "few": batch[:20], "shallow": (other, sums)}
    found = ablation.transfer(model, the_schedule(key, 4), targets)
    rows = found.table.set_index("name")
    assert rows.loc["same", "faithfulness"] == 1
    inside_their_bounds(rows.loc[["same", "few"]])
    assert "no verdict" in rows.loc["few", "reason"]
    assert (
        "does not exist" in rows.loc["shallow", "reason"]
        or "past the last" in rows.loc["shallow", "reason"]
    )
    assert found.settings["starting_with"] is None
    space: dict[str, Any] = {}
    exec(found.code, space)
    assert space["result"] == found
    assert "model_1 = interp.load('add5')" in found.code


def test_a_subgraph_is_scored_as_it_was_found_on_prompts_that_the_search_did_not_see(
    planted: Any, tmp_path: Path
) -> None:
    model, _, batch = planted
    how = ablation.Replacement("cama", "value", 900)
    searched = ablation.af1(model, batch, replacement=how, heads=False)
    asked = np.array([batch.problems.text(row) for row in range(len(batch))])
    assert set(searched.searched) < set(asked)
    found = ablation.transfer(model, searched, {"same": batch, "half": batch[:60]})
    assert found.settings["replacement"] == "cama:value"
    assert (found.settings["table_prompts"], found.settings["sink"]) == (900, "first")
    altered = replace(searched, settings=dict(searched.settings) | {"sink": "none"})
    assert ablation.transfer(model, altered, {"same": batch}).settings["sink"] == "none"
    row = found.table.set_index("name").loc["same"]
    assert (row["n"], row["left_out"]) == (50, 50) == (searched.n, len(searched.searched))
    assert row["faithfulness"] == searched.metrics["faithfulness"]
    assert row["low"] == pytest.approx(searched.metrics["faithfulness_low"])
    assert Result.load(found.save(tmp_path / "transfer")) == found
    space: dict[str, Any] = {}
    exec(found.code, space)
    assert space["result"] == found
    assert f"Left out are {found.table['left_out'].sum()} prompts" in str(found.verdict)
    other = ablation.transfer(model, searched, {"same": batch}, replacement="zero", sink="first")
    assert (other.settings["replacement"], other.settings["sink"]) == ("zero", "first")
    seen = batch[np.isin(asked, searched.searched)]
    with pytest.raises(InputError, match="saw all of these problems"):
        ablation.transfer(model, searched, {"seen": seen})


def test_a_problem_that_the_search_saw_is_left_out_in_other_words_too(planted: Any) -> None:
    model, _, batch = planted
    searched = ablation.af1(model, batch, heads=False)
    reworded = batch.with_tokens(batch.tokens, [f"{text} " for text in batch.texts])
    row = ablation.transfer(model, searched, {"reworded": reworded}).table.iloc[0]
    assert (row["n"], row["left_out"]) == (50, 50)


def test_problems_are_the_same_by_operands_and_operators() -> None:
    one, two = interp.Addition(1).problems(3, 4), interp.Addition(2).problems(3, 4)
    assert named(one) == named(two) == ("3+4",)
    others = [interp.Addition(1).problems(4, 3), interp.Subtraction(1).problems(4, 3)]
    others += [interp.ModularAddition(p).problems(3, 4) for p in (5, 7)]
    assert len({name for problems in (one, *others) for name in named(problems)}) == 5


def test_a_text_before_every_prompt_is_in_the_code(planted: Any) -> None:
    first, _, _ = planted
    own = "".join(first.pieces(first.tokens.bos))  # what it begins with anyway, but by name
    model = first.starting_with(own)
    batch = model.prompts(interp.Addition(1).grid())
    calls = (
        lambda: ablation.evaluate(model, batch, Schedule(1, (1,))),
        lambda: ablation.removal(model, batch),
        lambda: ablation.grid(model, batch, waits=[1], widths=[1]),
        lambda: ablation.compare(model, batch, Schedule(1), replacements=["cama"], masks=["open"]),
        lambda: ablation.transfer(model, Schedule(1), {"here": batch}),
        lambda: ablation.cama(model, "add:1"),
    )
    for ask in calls:
        found = ask()
        assert f".starting_with({own!r})" in found.code, found.code
        space: dict[str, Any] = {}
        exec(found.code, space)
        assert space["result"] == found


def test_where_none_is_right_logits_are_concluded_from(tiny_model: Any, tmp_path: Path) -> None:
    model, _ = tiny_model("gpt2")
    batch = model.prompts(interp.Addition(2).sample(40, seed=0), format="padded")
    score = ablation.evaluate(model, batch, Schedule(1), replacement="zero")
    cells = ablation.grid(model, batch, replacement="zero", waits=[0, 1], widths=[1, 2], kl=True)
    assert not score.right.any()
    assert np.isnan([score.metrics["faithfulness"], score.constant, cells.constant]).all()
    assert np.isnan(cells.faithfulness.values).all()
    assert np.isfinite([score.metrics["logit_difference"], score.metrics["kl"]]).all()
    assert cells.kl is not None and np.isfinite(cells.kl.values).all()
    assert np.isfinite(cells.logit_difference.values).all()
    for found in (score, cells):
        told = str(found.verdict)
        assert told.startswith("The full model gets 0 distinct prompts right, too few to tell")
        assert " nats." in told
        assert "nan" not in str(found.figure().layout)
        assert Result.load(found.save(tmp_path / found.analysis)) == found
    moved = ablation.transfer(model, Schedule(1), {"here": batch}, replacement="zero").table.iloc[0]
    assert "none of these prompts rightly" in moved["reason"]
    assert moved["logit_difference"] == score.metrics["logit_difference"]

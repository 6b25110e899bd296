"""The design is the fraction it claims to be, and its driver trains, goes on and keeps cards."""

import json
import re
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from bench.proofs import kept_runs
from bench.proofs import who_multiplies as driver
from interp.engine.requests import Cancel
from interp.errors import InputError
from interp.training import Recipe, design, draw, recipe, recipe_names
from interp.training.export_model import LOG
from interp.training.log_rows import COLUMNS
from interp.training.logs import read_log
from interp.training.optimiser import learning_rate


def differences(one, other):
    return {
        item.name
        for item in fields(Recipe)
        if item.name != "name" and getattr(one, item.name) != getattr(other, item.name)
    }


def test_the_half_fraction_is_balanced_with_i_equal_abcd():
    signs = np.array(design.HALF)
    assert len(set(design.HALF)) == 8
    assert (signs.prod(axis=1) == 1).all()
    assert (signs.sum(axis=0) == 0).all()
    for one, other in combinations(range(4), 2):
        assert signs[:, one] @ signs[:, other] == 0


@pytest.mark.parametrize("seed", design.SEEDS)
def test_the_shipped_recipes_are_cells(seed):
    end = f"-s{seed}" if seed else ""
    assert design.cell((1, 1, 1, 1), "slow", seed) == recipe(f"mul3x3-aux{end}")
    assert design.cell((1, 1, 1, -1), "slow", seed) == recipe(f"mul3x3-sft{end}")
    assert (1, 1, 1, -1) not in design.HALF


@pytest.mark.parametrize("signs", design.HALF)
def test_a_sign_changes_its_factor_and_nothing_else(signs):
    ours = recipe("mul3x3-aux")
    changed = {"learning_rate", "muon_rate"} if signs[0] < 0 else set()
    changed |= {"mix"} if min(signs[1:3]) < 0 else set()
    changed |= {"objective"} if signs[3] < 0 else set()
    found = design.cell(signs, "medium")
    assert differences(found, ours) == changed
    weights = {part.sampler: part.weight for part in found.mix}
    assert ("lengths" in weights, "simple" in weights) == (signs[1] > 0, signs[2] > 0)
    assert all(part in ours.mix for part in found.mix if part.sampler != "uniform")
    assert sum(weights.values()) == pytest.approx(1)


def test_twenty_one_runs_are_new_and_the_search_is_a_cell():
    names = {made.name for made in design.three_digits("fast")}
    assert len(names) == 24
    assert len(names - set(recipe_names())) == 21
    assert design.search()["fast"].name in names
    assert {made.learning_rate for made in design.search().values()} == set(design.RATES.values())


def test_each_four_digit_run_differs_in_one_thing():
    published, muon, both, sums, lengths, simple, fixed, leg2, leg3 = design.four_digits("medium")
    ours = recipe("mul4x4-sft")
    assert differences(published, ours) == {"mix", "learning_rate", "muon_rate", "decay"}
    assert published.mix == (draw("uniform", full_width=True),)
    assert {learning_rate(published, step) for step in (200, 19_999)} == {5e-4}
    assert differences(muon, published) == {"learning_rate", "muon_rate"}
    assert differences(both, published) == {"mix"}
    assert differences(sums, published) == {"objective"}
    assert differences(lengths, ours) == differences(simple, ours) == {"mix"}
    assert differences(fixed, ours) == {"fixed_rows"}
    assert differences(leg2, published) == differences(leg3, published) == {"base", "seed"}
    assert leg2.base == f"runs/{published.name}"
    assert leg3.base == f"runs/{leg2.name}"
    assert published.steps + leg2.steps + leg3.steps == 60_000
    assert len({published.seed, leg2.seed, leg3.seed}) == 3  # other problems in each leg


@pytest.mark.parametrize("name", design.RUNS)
def test_every_run_is_found_by_a_plain_name(name):
    found = recipe(name)
    assert found.name == name
    assert re.fullmatch(r"[a-z0-9-]+", name)
    assert Recipe.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_runs_are_not_among_the_shipped_recipes():
    shipped = set(recipe_names())
    assert set(design.RUNS) & shipped == {"mul3x3-aux", "mul3x3-aux-s1", "mul3x3-aux-s2"}


def test_what_ships_as_stuck_is_the_published_condition():
    for seed in design.SEEDS:
        run = design.cell(design.PUBLISHED_CELL, design.CHOSEN, seed)
        assert replace(design.STUCK[run.name], name=run.name) == run
    assert {made.name for made in design.STUCK.values()} == {
        "mul3x3-stuck", "mul3x3-stuck-s1", "mul3x3-stuck-s2", "mul4x4-stuck",
    }  # fmt: skip
    assert set(design.STUCK) < set(design.RUNS)


# The driver ---------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return kept_runs.Place(tmp_path / "runs", tmp_path / "kept")


@pytest.fixture
def first(tiny):
    small = {"n_layers": 1, "n_heads": 2, "d_model": 16, "batch": 32, "steps": 8, "warmup": 2}
    looks = {"evaluate_every": 4, "evaluate_n": 40, "log_every": 1, "gradients_every": 4}
    made = design.four_digits("medium")[0]
    return replace(made, name="first", card_n=200, checkpoint_every=3, **small, **looks)


def test_the_driver_trains_one_after_another_and_keeps_cards_and_logs(place, first, monkeypatch):
    second = replace(first, name="second", base="runs/first", seed=1)
    monkeypatch.setattr(kept_runs, "code_commit", lambda measure: "c0ffee")
    asked = (place, lambda: [first, second], driver.full_width)
    kept_runs.run_outstanding(*asked, most=1)
    assert [made.name for made in kept_runs.outstanding(place, [first, second])] == ["second"]
    kept_runs.run_outstanding(*asked)
    assert kept_runs.outstanding(place, [first, second]) == []
    files = {path.relative_to(place.kept).as_posix() for path in place.kept.rglob("*.*")}
    assert files == {
        f"{name}/{file}" for name in ("first", "second") for file in ("card.json", LOG)
    }
    card = place.card("second")
    assert card["started_from"]["weight_hash"] == place.card("first")["weight_hash"]
    assert card["design"]["commits"] == ["c0ffee"]
    assert card["design"]["seconds"] >= 0
    assert card["threads"] == 1
    wide = card["design"]["full_width"]
    assert 0 < wide["accuracy"]["n"] <= 200
    assert list(wide["by_digit"]) == [f"c{k}" for k in range(8)]
    log = pd.read_parquet(place.kept / "second" / LOG)
    assert log["step"].min() == 0  # what it started from has its own
    row = driver._line(place, "second")
    assert "not learnt within 8 steps" in row


def test_a_run_goes_on_after_a_kill_to_the_same_weights(place, first):
    whole = replace(first, name="whole")
    assert kept_runs.run_one(whole, place, "a", driver.full_width)
    again = kept_runs.Place(place.runs / "again", place.kept / "again")
    cancel = Cancel()
    cancel.set()
    assert not kept_runs.run_one(whole, again, "a", driver.full_width, cancel)
    assert not again.done("whole")
    assert kept_runs.run_one(whole, again, "b", driver.full_width)
    assert again.card("whole")["weight_hash"] == place.card("whole")["weight_hash"]
    assert again.card("whole")["design"]["commits"] == ["a", "b"]


def test_a_run_ships_under_another_name_and_only_as_itself(place, first):
    assert kept_runs.run_one(first, place, "a", driver.full_width)
    shipped = replace(first, name="shipped")
    out = place.runs.parent / "shipped"
    kept_runs.ship(place.runs / "first", shipped, out, place.kept)
    card = kept_runs.read_card(out)
    assert Recipe.from_json(card["recipe"]) == shipped
    assert (card["name"], card["trained_as"]) == ("shipped", {"run": "first", "commits": ["a"]})
    assert card["weight_hash"] == kept_runs.read_card(place.runs / "first")["weight_hash"]
    assert not (out / "checkpoints").exists()
    with pytest.raises(InputError, match="another recipe"):
        kept_runs.ship(place.runs / "first", replace(shipped, seed=5), out, place.kept)
    with pytest.raises(InputError, match="no finished run"):
        kept_runs.ship(place.runs / "nothing", shipped, out, place.kept)


def test_a_leg_ships_with_the_logs_of_those_before(place, first):
    second = replace(first, name="second", base="runs/first", seed=1)
    third = replace(first, name="third", base="runs/second", seed=2)
    for leg in (first, second, third):
        assert kept_runs.run_one(leg, place, "a", driver.full_width)
    out = place.runs.parent / "shipped"
    kept_runs.ship(place.runs / "third", replace(third, name="shipped"), out, place.kept)
    log = read_log(out)  # which refuses a step that is there twice
    for number, leg in enumerate((first, second, third)):
        own = pd.read_parquet(place.kept / leg.name / LOG)
        own["step"] -= (2 - number) * first.steps
        if leg is not third:  # its end stands in the next one's log
            own = own[own["step"] < (number - 1) * first.steps]
        part, log = log.iloc[: len(own)], log.iloc[len(own) :]
        pd.testing.assert_frame_equal(part.reset_index(drop=True), own.reset_index(drop=True))
    assert log.empty


def test_a_run_that_breaks_off_is_done_and_what_needs_it_is_left_out(place, first):
    broken = replace(first, name="broken", learning_rate=1e30, warmup=0, clip=1e30)
    assert kept_runs.run_one(broken, place, "a", driver.full_width)
    assert "is no number" in (place.kept / "broken" / "failed.json").read_text()
    assert place.done("broken")
    leg = replace(first, name="leg", base="runs/broken")
    assert kept_runs.outstanding(place, [broken, leg, first]) == [first]


def keep_loss(place, name, loss):
    folder = place.kept / name
    folder.mkdir(parents=True)
    rows = [
        (step, "validation", group, value, 0.5, np.nan, np.nan, 10)
        for step, value in ((4, 0.0), (8, loss))
        for group in ("total", "c0")
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_parquet(folder / LOG)
    (folder / "card.json").write_text("{}")


def test_the_rate_is_that_of_the_lowest_last_loss(place):
    search = design.search()
    names = [made.name for made in search.values()]
    for name, loss in zip(names[:2], (1.5, 1.25), strict=True):
        keep_loss(place, name, loss)
    assert driver.best_rate(place, search) is None
    assert [made.name for made in driver.planned(place)] == names
    (place.kept / names[2]).mkdir()
    (place.kept / names[2] / "failed.json").write_text("{}")
    assert driver.best_rate(place, search) == "medium"
    planned = [made.name for made in driver.planned(place)]
    # 3 rates, of which one is a cell; 23 other cells, of which 3 ship; 9 of four digits
    assert len(planned) == len(set(planned)) == 3 + 23 + 9
    assert len(kept_runs.outstanding(place, driver.planned(place))) == 20 + 9


def test_effects_are_found_again():
    rng = np.random.default_rng(0)
    truth = {
        (signs, seed): 0.5 + 0.2 * signs[0] - 0.1 * signs[3] + 0.05 * signs[1] * signs[2] + noise
        for signs in design.HALF
        for seed, noise in zip(design.SEEDS, rng.normal(0, 0.01, 3), strict=True)
    }
    found = {effect.name: effect for effect in driver.effects(truth)}
    assert list(found)[:4] == list(design.FACTORS)
    expected = {"optimiser": 0.4, "lengths": 0.0, "simple": 0.0, "objective": -0.2}
    expected["optimiser×objective or lengths×simple"] = 0.1
    for name, value in expected.items():
        assert found[name].low < value < found[name].high
        assert found[name].high - found[name].low < 0.05
    for one in found.values():
        assert (one.p < 0.05) == (one.low > 0 or one.high < 0)
    assert found["optimiser"].p < 1e-9
    alone = driver.effects({key: value for key, value in truth.items() if key[1] == 0})
    assert np.isnan(alone[0].low) and np.isnan(alone[0].p)
    assert alone[0].effect == pytest.approx(0.4, abs=0.05)


def test_intervals_of_effects_let_cells_spread_differently():
    def values(spread):
        return {
            (signs, seed): spread[cell] * (seed - 1.0)
            for cell, signs in enumerate(design.HALF)
            for seed in design.SEEDS
        }

    # Variance s² in each cell: that of an effect is 8 s² / (16 · 3); 16 degrees of freedom.
    alike = driver.effects(values([2.0] * 8))[0]
    assert alike.high - alike.effect == pytest.approx(student.ppf(0.975, 16) * 2 / 6**0.5)
    # One cell alone spreads: its two degrees of freedom.
    one = driver.effects(values([2.0, *[0.0] * 7]))[0]
    assert one.high - one.effect == pytest.approx(student.ppf(0.975, 2) * 2 / 48**0.5)


def test_a_log_is_thinned_without_losing_gradients_or_validation(tmp_path):
    steps = np.arange(-50, 2000, 2)
    log = pd.DataFrame(
        {
            "step": np.concatenate([steps, [1000, 2000]]),
            "split": ["train"] * len(steps) + ["validation"] * 2,
            "loss": np.random.default_rng(0).random(len(steps) + 2),
            "grad_norm": np.where(np.append(steps, [1, 1]) % 500 == 0, 1.0, np.nan),
        }
    )
    path = tmp_path / LOG
    log.to_parquet(path)
    limit = path.stat().st_size // 2
    kept_runs.thin(path, limit)
    thinned = pd.read_parquet(path)
    assert path.stat().st_size <= limit
    assert {0, 500, 1000, 1500} <= set(thinned["step"])
    assert (thinned["split"] == "validation").sum() == 2
    assert thinned["step"].min() == 0


def test_code_that_is_not_committed_is_refused(monkeypatch):
    said = {"status": " M interp/x.py", "log": "c0ffee"}
    monkeypatch.setattr(kept_runs, "_git", lambda *words: said[words[0]])
    with pytest.raises(InputError, match="commit or undo first"):
        kept_runs.code_commit(driver.full_width)
    said["status"] = ""
    assert kept_runs.code_commit(driver.full_width) == "c0ffee"


def test_the_table_has_a_line_a_run_and_effects_of_whole_designs(place):
    for made, loss in zip(design.search().values(), (1.0, 2.0, 3.0), strict=True):
        keep_loss(place, made.name, loss)
    for seed in design.SEEDS[:2]:
        for signs in design.HALF:
            made = design.cell(signs, "slow", seed)
            share = 0.5 + 0.25 * signs[0]
            part = {"share": share, "low": 0.1, "high": 0.9, "correct": 100 * share, "n": 100}
            card = {
                "recipe": made.to_json(),
                "steps": 8000,
                "accuracy": part,
                "by_digit": dict.fromkeys(("c0", "c2", "c3"), part),
            }
            kept_runs._write(place.kept / made.name / "card.json", card)
    for rate in ("medium", "fast"):
        copied = (place.kept / design.search()["slow"].name / "card.json").read_text()
        (place.kept / design.search()[rate].name / "card.json").write_text(copied)
    text = driver.table(place) + driver.effects_table(place)
    assert "AdamW's rate: slow" in text
    line = "| mul3x3-adamw-slow-uniform-answer | 8000 | 25.00 [10.00, 90.00] | — | 25.0 25.0 25.0"
    assert f"{line} | 4 |" in text
    line = (
        "| mul3x3-muon-lengths-answer | 8000 | 75.00 [10.00, 90.00] | — | 75.0 75.0 75.0 | — | not"
    )
    assert line in text
    assert "| mul3x3-muon-lengths-answer-s2 | | | | | | outstanding |" in text
    assert "| mul3x3-sft | 8000 | 99.64" in text
    assert "Effects at 3×3, seeds 0, 1;" in text
    assert len([row for row in text.splitlines() if row.startswith("| optimiser")]) == 4
    found = driver.measured(place, "slow")
    assert driver._log_odds({"correct": 75, "n": 100}) == pytest.approx(np.log(75.5 / 25.5))
    shipped = [place.card(design.cell((1, 1, 1, 1), "slow", seed).name) for seed in (0, 1)]
    muon = (
        3 * np.log(75.5 / 25.5) + np.mean([driver._log_odds(c["accuracy"]) for c in shipped])
    ) / 4
    assert found.odds[0].effect == pytest.approx(muon - np.log(25.5 / 75.5))
    assert f"| optimiser | {driver._points(found.exact[0])} |" in text
    drawn = driver.figures.three_digits(driver.cells(place, "slow"), found)
    assert {trace.y[0] for trace in drawn.data[:-1]} >= {
        "AdamW, uniform, answer",
        "Muon, lengths + simple, sums",
    }
    assert list(drawn.data[-1].x) == pytest.approx([one.effect for one in found.odds])
    assert not np.isnan(drawn.data[-1].error_x.array).any()


def test_the_four_digit_figure_has_a_row_a_run_that_ended():
    place = kept_runs.Place(driver.ROOT / "runs", driver.fixtures_root() / "design")
    runs = driver.four_digit_runs("medium")
    planned = {made.name for made in design.four_digits("medium")}
    assert set(runs.values()) == planned | {"mul4x4-sft"}
    rows = driver.four_digit_rows(place, "medium")
    (trace,) = driver.figures.four_digits(rows).data
    assert list(trace.y) == list(rows) == [k for k, name in runs.items() if place.card(name)]
    assert list(trace.x) == [*(f"c{k}" for k in range(8)), "exact"]
    card = place.card("mul4x4-published-medium")
    row = dict(zip(trace.x, trace.z[0], strict=True))
    wide = card["design"]["full_width"]  # P is trained and judged without leading zeros
    assert row["exact"] == 100 * wide["accuracy"]["share"] != 100 * card["accuracy"]["share"]
    assert row["c4"] == 100 * wide["by_digit"]["c4"]["share"]
    last = dict(zip(trace.x, trace.z[-1], strict=True))
    assert last["exact"] == 100 * place.card("mul4x4-sft")["accuracy"]["share"]
    assert trace.text[0][4].endswith(">–</span>")  # c4 is never learnt
    assert ">10,000</span>" in trace.text[-1][2]


def test_a_leg_counts_its_steps_on_from_the_run_that_it_began_from():
    place = kept_runs.Place(driver.ROOT / "runs", driver.fixtures_root() / "design")
    leg = "mul4x4-published-medium-leg2"
    log = pd.read_parquet(place.kept / leg / LOG)
    c2 = log[(log["split"] == "train") & (log["group"] == "c2") & (log["step"] >= 0)]
    first = int(c2.loc[c2["loss"] < 1, "step"].min())
    assert driver.steps_learnt(place, leg) == [*"==", f"{20_000 + first:,}", *"––==="]
    (row,) = [line for line in driver.legs_table(place).splitlines() if "| 40,000 |" in line]
    part = driver.asked_of(place.card(leg))["by_digit"]["c4"]
    last = c2.assign(group="c4")["step"].nlargest(100)
    c4 = log[(log["split"] == "train") & (log["group"] == "c4") & log["step"].isin(last)]
    assert f"{100 * part['share']:.1f} [" in row and f"; {c4['loss'].mean():.3f} ±" in row


def test_the_page_is_what_the_cards_and_records_say():
    page = driver.PAGE.read_text(encoding="utf-8")
    place = kept_runs.Place(driver.ROOT / "runs", driver.fixtures_root() / "design")
    assert driver.filled(page, driver.parts(place)) == page
    with pytest.raises(InputError, match="no place"):
        driver.filled(page, {"nothing": ""})

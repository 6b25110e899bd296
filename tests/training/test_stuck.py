"""What tells failing from working, and the repairs of a stuck multiplier, on small cases."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import interp
from bench.proofs import failing_and_working as contrast
from bench.proofs import repairs
from interp.models.fixtures import fixture_folder, read_card
from interp.models.weights import weight_hash
from interp.training import Recipe
from interp.training.catalogue import known_recipe
from interp.training.logs import find_log
from interp.training.run_state import TrainingRun


def test_middle_digits_are_those_the_paper_calls_so():
    assert contrast.middle(interp.task("mul:4x4")) == (3, 4, 5)
    assert contrast.middle(interp.task("mul:3x3")) == (2, 3)


def test_a_contrast_separates_only_without_overlap_and_on_its_side():
    working = pd.Series([False, False, True, True, True])
    above, below = pd.Series([0.1, 0.2, 0.9, 0.8, 0.7]), pd.Series([0.9, 0.8, 0.1, 0.2, 0.3])
    # 10 ways to choose three of five; without a stated side both ends count
    assert contrast.separation(above, working, 1) == ("separates", 1 / 10)
    assert contrast.separation(above, working) == ("separates", 2 / 10)
    assert contrast.separation(below, working, -1) == ("separates", 1 / 10)
    assert contrast.separation(below, working, 1) == ("the other way", 1 / 10)
    assert contrast.separation(pd.Series([0.1, 0.75, 0.9, 0.8, 0.7]), working, 1)[0] == "overlaps"
    assert contrast.separation(pd.Series([0.1, np.nan, 0.9, 0.8, 0.7]), working)[0] == "not known"
    kind, chance = contrast.separation(pd.Series([0.1, 0.2]), pd.Series([True, True]))
    assert kind == "not known" and math.isnan(chance)


def test_digits_in_between_are_not_counted_and_each_digit_has_its_own_rows():
    rows = [
        {"right": right, "digit": digit, "objective": kind,
         **dict.fromkeys(contrast.CONTRASTS, value)}
        for right, digit, kind, value in (
            (0.1, "c3", "answer", 0.1), (0.6, "c3", "answer", 0.95), (0.96, "c3", "answer", 0.9),
            (1.0, "c3", "running_sum", 0.8), (1.0, "c4", "answer", 0.0),
        )
    ]  # fmt: skip
    found = contrast.verdicts(pd.DataFrame(rows)).set_index(["digit", "contrast"])
    assert set(found.loc["c4", "failing | working"]) == {"not known"}
    own = found.loc["c3"]
    assert (own["failing"] == 1).all() and (own["working"] == 2).all()
    assert own.loc["tree", "failing | working"] == own.loc["gradient", "failing | working"]
    assert own.loc["tree", "failing | working"] == "separates"
    assert own.loc["loss", "failing | working"] == "the other way"
    assert (own["answer | other objectives, working"] == "separates").all()
    assert own.loc["tree", "chance"] == pytest.approx(1 / 3)
    assert own.loc["gradient", "chance"] == pytest.approx(2 / 3)


def test_problems_without_leading_zeros_are_held_out_and_distinct():
    model = interp.load("mul3x3-stuck-s1")
    asked = model.held_out(300, full_width=True)
    assert asked.n_distinct == len(asked) > 250
    assert all((digits[:, -1] > 0).all() for digits in asked.operands)  # the highest digit
    assert model.split.keeps(asked, "test").all()


def test_a_digit_that_is_learnt_later_is_compared_before_it_is():
    """Of the stuck model c4 never falls below 1 nat, c5 does; gradients are of steps above."""
    log = find_log("mul4x4-stuck").frame
    batches = log[(log["split"] == "train") & log["grad_norm"].notna()]
    found = contrast._log("mul4x4-stuck", (4, 5))
    c4 = batches[batches["group"] == "c4"]
    assert (c4["loss"] > 1).all()
    assert found[4]["gradient"] == pytest.approx(c4["grad_norm"].mean())
    c5 = batches[(batches["group"] == "c5")]
    assert found[5]["gradient"] == pytest.approx(c5.loc[c5["loss"] > 1, "grad_norm"].mean())
    assert 0 < (c5["loss"] > 1).sum() < len(c5)
    assert found[5]["loss"] < 0.2 < 2 < found[4]["loss"]  # on batches without leading zeros


def test_a_graft_has_the_donors_attention_and_nothing_else_of_it(tmp_path):
    stuck, donor = fixture_folder("mul3x3-sft"), fixture_folder("mul3x3-aux")
    out = repairs.grafted(stuck, donor, tmp_path / "graft")
    made, own, other = (load_file(x / Recipe.weights_file) for x in (out, stuck, donor))
    for name, tensor in made.items():
        assert tensor.equal((other if ".attn." in name else own)[name])
    card = read_card(out)
    assert card["weight_hash"] == weight_hash(made)
    assert interp.load(str(out)).hash == card["weight_hash"]


def test_repairs_start_from_the_stuck_weights_and_differ_in_one_thing(tmp_path):
    stuck, other = fixture_folder("mul3x3-sft"), fixture_folder("mul3x3-sft-s1")
    freed = fixture_folder("mul3x3-aux")
    found = dict(repairs.arms(stuck, other, freed, 50, tmp_path))
    assert list(found)[:2] == list(repairs.CONTROLS)
    own = found["as it is"]
    assert (own.steps, own.decay, own.base) == (50, "constant", str(stuck))
    for name, recipe in found.items():
        same = replace(recipe, name=own.name, base=own.base, objective=own.objective)
        assert same == own
        assert (recipe.objective != own.objective) == (name == "running sums")


def test_the_attention_that_training_began_from_is_not_the_trained_one(tmp_path):
    stuck = fixture_folder("mul3x3-stuck")
    donor = repairs.begun(stuck, tmp_path / repairs.BEGUN)
    started = TrainingRun.start(known_recipe("mul3x3-stuck")).model.state_dict()
    first, trained = (load_file(x / Recipe.weights_file) for x in (donor, stuck))
    for name, tensor in first.items():
        assert tensor.equal(started[name])
        assert not tensor.equal(trained[name])
    assert interp.load(str(donor)).hash == read_card(donor)["weight_hash"]
    out = repairs.grafted(stuck, donor, tmp_path / "graft")
    made = load_file(out / Recipe.weights_file)
    for name, tensor in made.items():
        assert tensor.equal((first if ".attn." in name else trained)[name])


def test_models_of_one_seed_begin_from_the_same_weights():
    """What the attention of a donor of the same seed fits, and that of another seed does not."""
    stuck = known_recipe("mul3x3-stuck")
    first, donor, other = (
        TrainingRun.start(recipe).model.state_dict()
        for recipe in (stuck, known_recipe("mul3x3-aux"), replace(stuck, seed=stuck.seed + 1))
    )
    assert all(tensor.equal(donor[name]) for name, tensor in first.items())
    drawn = [name for name, tensor in first.items() if ".attn." in name and tensor.ndim > 1]
    assert drawn and not any(first[name].equal(other[name]) for name in drawn)


def test_an_edit_that_changes_nothing_leaves_the_answer_and_a_random_one_does_not():
    model = interp.load("mul3x3-aux")
    fitted = repairs.reader(model, 2, 400, 0)
    asked = fitted.held_out.distinct()
    batch = model.prompts(asked)
    X = fitted.activations(model, batch).astype(float)
    drawn = np.random.default_rng(0).normal(size=X.shape)
    edits = [(), (repairs._add(fitted, 2, 0 * X),), (repairs._add(fitted, 2, 30 * drawn),)]
    plain, nothing, large = repairs._right(model, batch, 2, edits)
    assert plain.mean() > 0.95
    assert (plain == nothing).all()
    assert large.mean() < 0.5


def test_the_tables_of_repairs_say_what_was_found():
    emits = [0.5, 0.4, 0.6, 100]
    knows = {"r2": 0.9, "one_hot_r2": 0.8, "mae": 1.0, "emits": emits}
    exact = [0.1, 0.05, 0.2]
    edited = {
        "no edit": emits, "probe": [1.0, 0.9, 1.0, 100], "probe, random": 0.25,
        "probe, best random": [0.25, 0.2, 0.3, 100], "same sum": emits, "same sum, random": 0.125,
        "same sum, best random": [0.125, 0.1, 0.2, 100],
        "moved": {"probe_predicted": 0.75, "random_predicted": 0.1},
    }  # fmt: skip
    found = {
        "stuck": "s", "freed": "f", "trained": {"as it is": {"exact": exact, "c2": knows}},
        "untrained": {"c2": edited}, repairs.FREED: {"c2": edited},
    }  # fmt: skip
    head, rule, row = repairs.trained_table(found).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row == "| as it is | 10.0 [5.0, 20.0] | 0.900 (0.800) | 50.0 [40.0, 60.0] |"
    donor = {
        "donor": "d", "same_seed": True, "donor_exact": [0.25], "row": {"exact": exact, "c2": knows}
    }  # fmt: skip
    *before, last = repairs.trained_table(found, [donor]).splitlines()
    assert before == [head, rule, row]
    assert last == row.replace("as it is", "attention of `d` (its own seed, 25.0 % exact)")
    head, rule, of_stuck, of_freed = repairs.untrained_table(found).splitlines()
    assert head.count("|") == rule.count("|") == of_stuck.count("|")
    assert of_stuck.startswith("| `s` | c2 | 50.0 [40.0, 60.0] | 100.0 [90.0, 100.0] | 25.0 [")
    assert of_freed.startswith("| `f` |") and of_freed.endswith("12.5 [10.0, 20.0] | 75.0 (10.0) |")


def test_a_repair_works_by_the_rule_beyond_both_controls_in_every_model():
    def of(name, freed_attention, sums, leaves):
        digit = {
            "no edit": [0.9, 0.85, 0.95], "probe": [0.6, 0.5, 0.7],
            "probe, best random": [0.3, 0.2, 0.4], "same sum": [0.6, 0.5, 0.7],
            "same sum, best random": [0.5, 0.4, 0.55],
        }  # fmt: skip
        kept = digit | {"probe": [0.9, 0.8, 0.95] if leaves else [0.6, 0.5, 0.7]}
        trained = {
            "stuck": [0.1, 0.0, 0.2], "as it is": [0.2, 0.15, 0.25],
            "other's attention": [0.3, 0.25, 0.35], "freed attention": freed_attention,
            "running sums": sums,
        }  # fmt: skip
        return {
            "stuck": name, "trained": {arm: {"exact": share} for arm, share in trained.items()},
            "untrained": {"c2": digit, "c3": digit}, repairs.FREED: {"c2": kept, "c3": kept},
        }  # fmt: skip

    high, meets = [0.9, 0.85, 0.95], [0.4, 0.34, 0.5]  # the second meets a control's interval
    lines = repairs.by_the_rule([of("s0", high, high, True), of("s1", high, meets, False)])
    assert lines.splitlines() == [
        "- **freed attention** works: beyond its controls in `s0`, `s1`",
        "- **running sums** does not work: beyond its controls in `s0`",
        "- **probe** does not work: beyond its controls in `s0`",  # s1's takes a digit away
        "- **same sum** does not work: beyond its controls in none",  # as in both freed models
    ]
    assert repairs.by_the_rule([]) == "Not run yet."

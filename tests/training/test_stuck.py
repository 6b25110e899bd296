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


def test_middle_digits_are_those_the_paper_calls_so():
    assert contrast.middle(interp.task("mul:4x4")) == (3, 4, 5)
    assert contrast.middle(interp.task("mul:3x3")) == (2, 3)


def test_a_contrast_separates_only_without_overlap():
    working = pd.Series([False, False, True, True, True])
    apart = contrast.separation(pd.Series([0.1, 0.2, 0.9, 0.8, 0.7]), working)
    assert apart == ("separates", 2 / 10)  # 2 of the 10 ways to choose three of five
    assert contrast.separation(pd.Series([0.9, 0.8, 0.1, 0.2, 0.3]), working)[0] == "separates"
    assert contrast.separation(pd.Series([0.1, 0.75, 0.9, 0.8, 0.7]), working)[0] == "overlaps"
    assert contrast.separation(pd.Series([0.1, np.nan, 0.9, 0.8, 0.7]), working)[0] == "not known"
    kind, chance = contrast.separation(pd.Series([0.1, 0.2]), pd.Series([True, True]))
    assert kind == "not known" and math.isnan(chance)


def test_models_in_between_are_not_counted():
    rows = [
        {"exact": exact, "objective": kind, **dict.fromkeys(contrast.CONTRASTS, value)}
        for exact, kind, value in (
            (0.1, "answer", 0.1), (0.6, "answer", 0.95), (0.96, "answer", 0.9),
            (1.0, "running_sum", 0.8),
        )
    ]  # fmt: skip
    found = contrast.verdicts(pd.DataFrame(rows)).set_index("contrast")
    assert (found["failing | working"] == "separates").all()
    assert (found["answer | other objectives, working"] == "separates").all()
    assert found.loc["tree", "chance"] == pytest.approx(2 / 3)


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

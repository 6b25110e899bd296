import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import InputError
from interp.training import Recipe, draw, recipe, recipe_names
from interp.training.objectives import RunningSumLoss


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_survives_json(name):
    original = recipe(name)
    text = json.dumps(original.to_json())
    assert type(original).from_json(json.loads(text)) == original
    assert original.name == name


@given(
    steps=st.integers(1, 10**6),
    rate=st.floats(1e-6, 1.0),
    weight=st.floats(0.1, 1.0),
    share=st.floats(0.0, 1.0),
    betas=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
    seed=st.integers(0, 2**32),
)
def test_any_numbers_survive_json(steps, rate, weight, share, betas, seed):
    mix = (draw("uniform", weight), draw("cascades", share=share))
    original = recipe("add5", steps=steps, learning_rate=rate, mix=mix, betas=betas, seed=seed)
    assert Recipe.from_json(json.loads(json.dumps(original.to_json()))) == original


def test_overrides_leave_the_catalogue_alone(tiny):
    assert recipe("add5", d_model=64).d_model == 64
    assert recipe("add5").d_model != 64
    with pytest.raises(FrozenInstanceError):
        tiny.steps = 3


def test_overrides_may_be_json():
    """As the command line gives them: what comes out is equal after JSON, so a run resumes."""
    mix = [{"sampler": "uniform"}, {"sampler": "cascades", "options": {"share": 1.0}}]
    alone = {"heads": [[0, 1]], "weight_decay": 0.0, "muon_rate": None}
    changed = recipe("add5", **alone, series=[5], mix=mix, seed=3)
    assert isinstance(changed, Recipe)
    assert changed.heads == ((0, 1),)
    assert changed.mix == (draw("uniform"), draw("cascades", share=1.0))
    assert Recipe.from_json(json.loads(json.dumps(changed.to_json()))) == changed
    helped = recipe("mul3x3-sft", objective={"kind": "running-sum", "heads": [1]})
    assert isinstance(helped, Recipe)
    assert helped.objective == RunningSumLoss(heads=(1,))
    styles = recipe("smollm2-arith", styles=[["plain", 1.0]])
    assert styles.styles == (("plain", 1.0),)
    with pytest.raises(InputError, match="must be different pairs"):
        recipe("add5", **alone | {"heads": [[7, 1]]})


def test_unknown_names_say_what_there_is():
    with pytest.raises(InputError, match=r"no recipe 'add6'; there are .*add5"):
        recipe("add6")
    with pytest.raises(InputError, match=r"no recipe has \['width'\]; the fields are .*d_model"):
        recipe("add5", width=64)
    with pytest.raises(InputError, match=r"no recipe has \['width'\]"):
        Recipe.from_json({"width": 64})
    with pytest.raises(InputError, match=r"no objective 'magic'; there are .*answer"):
        Recipe.from_json({"name": "x", "task": "add:2", "objective": {"kind": "magic"}})
    with pytest.raises(InputError, match=r"'answer' has no \['spice'\]; it has double"):
        Recipe.from_json(
            {"name": "x", "task": "add:2", "objective": {"kind": "answer", "spice": 1}}
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "add:five"}, "cannot read task 'add:five'"),
        ({"format": "modular"}, r"format 'modular' cannot write add:2; these can: .*padded"),
        ({"format": "icot"}, "format 'icot' cannot write add:2"),
        (
            {"format": "{a}+{b}={c:whole}"},
            r"'\{a\}.*one token a number \(whole\).*leave 'whole' out",
        ),
        ({"format": "{a:whole}+{b}={c}@2:0"}, r"one token a number \(whole\)"),
        ({"mix": (draw("simple"),)}, "'simple' needs a multiplier"),
        ({"mix": (draw("cascades", share=2.0),)}, "share"),
        ({"mix": (draw("spicy"),)}, "unknown sampler 'spicy'"),
        ({"mix": (draw("uniform", stop=0.5),)}, "no draw of the mix is active at 50%"),
        ({"mix": ()}, "no draw of the mix is active at 0%"),
        ({"mix": (draw("uniform", -1.0),)}, "a weight is not negative"),
        ({"batch": 0}, "batch=0: at least 1"),
        ({"batch": None, "task": "add:9"}, "add:9 has .* problems, and a grid holds at most"),
        ({"steps": 0}, "steps=0: at least 1"),
        ({"stop_after": 0}, "cannot stop after 0"),
        ({"steps": 5, "stop_after": 6}, "cannot stop after 6"),
        ({"series": (9,), "stop_after": 8}, "between 0 and the last, 8"),
        ({"shrink": 0.5}, "goes on from a base="),
        ({"shrink": -0.5, "base": "add5"}, "shrink=-0.5 is the share of the base"),
        ({"shrink": float("nan"), "base": "add5"}, "shrink=nan is the share of the base"),
        ({"shrink": 0.5, "base": "add5", "heads": ((0, 0),), "weight_decay": 0.0}, "as a whole"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be above 0"),
        ({"final_rate": 1.5}, "final_rate=1.5 is a share"),
        ({"weight_decay": -1.0}, "cannot be negative"),
        ({"n_heads": 3}, "d_model=16 is not divisible by n_heads=3"),
        ({"family": "bert"}, "family='bert' must be one of gpt2, llama"),
        ({"family": "llama"}, "positions='learned' does not go with family='llama'"),
        ({"positions": "rotary"}, "does not go with family='gpt2'"),
        ({"family": "llama", "positions": "rotary"}, "activation='silu'"),
        ({"n_kv_heads": 1}, "no n_kv_heads: use family='llama'"),
        ({"positions": "random-offset"}, "needs n_ctx"),
        ({"test_share": 0.0}, "must be above 0"),
        ({"test_share": 0.9, "validation_share": 0.2}, "together below 1"),
        ({"target": 1.1}, "target=1.1 is an accuracy"),
        ({"series": (13,)}, "series must lie between 0 and the last, 12"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(tiny, change, message):
    with pytest.raises(InputError, match=message):
        replace(tiny, **change)


def test_chain_of_thought_is_not_given_away():
    with pytest.raises(InputError, match=r"use the objective 'icot'"):
        Recipe(name="x", task="mul:2x2", format="icot")

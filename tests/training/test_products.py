from dataclasses import fields

import pytest

from interp.training import recipe
from interp.training.objectives import ImplicitChain, Step
from interp.training.objectives.icot import chain_length
from interp.training.run_state import TrainingRun

NAMES = [f"mul{size}-{way}" for size in ("3x3", "4x4") for way in ("sft", "aux", "icot")]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_taken_and_its_terms_are_logged(name):
    small = recipe(name, d_model=16, batch=8, evaluate_n=4, steps=20_000, base=None, shrink=1.0)
    run = TrainingRun.start(small)
    run.take_step()
    groups = {row["group"] for row in run.log}
    assert {f"c{k}" for k in range(run.stream.task.answer_digits)} <= groups
    assert ("term:running_sum" in groups) == name.endswith("aux")
    assert run.final_encoder.format.name == ("icot-no-cot" if "icot" in name else "reversed")


def test_supervised_and_auxiliary_models_differ_in_their_objective_alone():
    for size in ("3x3", "4x4"):
        plain, helped = recipe(f"mul{size}-sft"), recipe(f"mul{size}-aux")
        differing = {
            f.name for f in fields(plain) if getattr(plain, f.name) != getattr(helped, f.name)
        }
        assert differing == {"name", "objective"}


def test_by_the_clock_the_chain_is_gone_well_before_the_end():
    chain = recipe("mul3x3-icot")
    assert isinstance(chain.objective, ImplicitChain)
    length, late = chain_length(chain), int(0.7 * chain.steps)
    assert chain.objective.scheduled(Step(0, chain.steps, 0)) == 0
    assert chain.objective.scheduled(Step(late, chain.steps, 0)) >= length


def test_by_what_is_learnt_the_chain_can_be_gone_well_before_the_end():
    chain = recipe("mul4x4-icot-start")
    fastest = [(at, 0.0) for at in range(0, chain.steps // 2, chain.log_every)]
    assert isinstance(chain.objective, ImplicitChain)
    gone = chain.objective.scheduled(Step(chain.steps // 2, chain.steps, 0, fastest))
    assert gone >= chain_length(chain)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("mul4x4-icot", "mul4x4-icot-late"),
        ("mul4x4-icot-late", "mul4x4-icot-middle"),
        ("mul4x4-icot-middle", "mul4x4-icot-start"),
    ],
)
def test_what_goes_on_from_there_has_no_chain(name, before):
    chain = recipe(name)
    assert chain.base == f"runs/{before}"
    assert isinstance(chain.objective, ImplicitChain)
    assert chain.objective.scheduled(Step(1, chain.steps, 0)) >= chain_length(chain)


def test_the_last_stage_differs_in_start_data_and_rate_alone():
    last, before = recipe("mul4x4-icot"), recipe("mul4x4-icot-late")
    assert {f.name for f in fields(last) if getattr(last, f.name) != getattr(before, f.name)} == {
        "name", "base", "shrink", "mix", "learning_rate", "stop_after",
    }  # fmt: skip
    plain = recipe("mul4x4-sft")
    shape = ("task", "n_layers", "n_heads", "d_model", "batch", "muon_rate", "weight_decay", "seed")
    assert all(getattr(last, name) == getattr(plain, name) for name in shape)


def test_a_sibling_has_the_same_method_data_and_optimiser():
    smaller = {"name", "task", "d_model", "steps", "learning_rate", "target", "evaluate_every"}
    for way in ("sft", "aux"):
        small, large = recipe(f"mul3x3-{way}"), recipe(f"mul4x4-{way}")
        differing = {
            f.name for f in fields(small) if getattr(small, f.name) != getattr(large, f.name)
        }
        assert differing == smaller
        assert small.steps < large.steps
    assert recipe("mul3x3-aux-s2").seed == 2

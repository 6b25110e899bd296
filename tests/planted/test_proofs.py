"""Every analysis of the package, on planted models that nobody has seen before."""

from __future__ import annotations

import pytest

from tests.planted import (
    ablation_proofs,
    asking_proofs,
    attribution_proofs,
    behaviour_proofs,
    carry_proofs,
    engine_proof,
    heads_proofs,
    speaking_proofs,
    tree_proofs,
)
from tests.planted.subjects import SEEDS, Subject, subject


def test_engine(planted: Subject) -> None:
    engine_proof.prove(planted)


def test_counterfactual(planted: Subject) -> None:
    turn = planted.key.program.seed % len(attribution_proofs.POLICIES)
    attribution_proofs.prove_counterfactual(planted, attribution_proofs.POLICIES[turn:][:1])


def test_logit_lens(planted: Subject) -> None:
    attribution_proofs.prove_logit_lens(planted)


def test_accuracy(planted: Subject) -> None:
    behaviour_proofs.prove_accuracy(planted)


def test_tokenisation(planted: Subject) -> None:
    asking_proofs.prove_tokenisation(planted)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_careless_adder(seed: int) -> None:
    about = subject("careless", seed, digits=3)
    engine_proof.prove_activations(about)
    behaviour_proofs.prove_accuracy(about)
    behaviour_proofs.prove_explanation(about)
    behaviour_proofs.prove_noisy_prefix(about)
    asking_proofs.prove_error_taxonomy(about)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wrong_prefix(seed: int) -> None:
    behaviour_proofs.prove_noisy_prefix(subject("addition", seed, digits=3))


@pytest.mark.parametrize("seed", SEEDS)
def test_how_an_adder_is_asked(seed: int) -> None:
    about = subject("addition", seed, digits=2)
    asking_proofs.prove_prompt_search(about)
    asking_proofs.prove_doctor(about)
    asking_proofs.prove_swap_example(about)


@pytest.mark.parametrize("seed", SEEDS)
def test_free_text(seed: int) -> None:
    speaking_proofs.prove_cookbook(seed)
    speaking_proofs.prove_approximation(seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["waiting", "early"])
def test_all_for_one(kind: str, seed: int) -> None:
    ablation_proofs.prove_all_for_one(subject(kind, seed))


def test_heads_that_act_together() -> None:
    """The relay's heads are proved in `test_mutations`; here some that neurons stand between."""
    heads_proofs.prove_patching(subject("addition", SEEDS[0], digits=2, layers=3))


def test_no_head_writes_directly_where_neurons_stand_between() -> None:
    about = subject("addition", SEEDS[0], digits=2, layers=3)
    assert heads_proofs.direct_heads(about, "all") == set()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["addition", "lookahead", "careless"])
def test_carry(kind: str, seed: int) -> None:
    carry_proofs.prove_carry(subject(kind, seed, digits=3))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_carry_from_the_operands(seed: int) -> None:
    carry_proofs.prove_lookahead(subject("lookahead", seed, digits=3))


@pytest.mark.parametrize("seed", SEEDS)
def test_attention(seed: int) -> None:
    tree_proofs.prove_attention(subject("addition", seed, digits=3))


@pytest.mark.parametrize("seed", SEEDS)
def test_tree(seed: int) -> None:
    tree_proofs.prove_tree(subject("column", seed, layers=3))

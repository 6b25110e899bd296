"""A wrong analysis fails its planted proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from interp.errors import InputError
from tests.planted import (
    ablation_proofs,
    asking_proofs,
    attribution_proofs,
    behaviour_proofs,
    carry_proofs,
    engine_proof,
    heads_proofs,
    neuron_proofs,
    speaking_proofs,
    tree_proofs,
)
from tests.planted.asking_mutations import ASKING
from tests.planted.heads_mutations import HEADS
from tests.planted.mutations import MUTATIONS, Mutation
from tests.planted.subjects import FIRST_SEED, subject
from tests.planted.tree_mutations import TREES

PROOFS: dict[str, Callable[[Any], None]] = {
    "engine": engine_proof.prove,
    "counterfactual": attribution_proofs.prove_counterfactual,
    "logit_lens": attribution_proofs.prove_logit_lens,
    "swap_example": asking_proofs.prove_swap_example,
    "tokenisation": asking_proofs.prove_tokenisation,
    "all_for_one": ablation_proofs.prove_all_for_one,
    "circuit": heads_proofs.prove_circuit,
    "edges": heads_proofs.prove_edges,
    "edge_circuit": heads_proofs.prove_edge_circuit,
    "interchange": heads_proofs.prove_interchange,
    "subspace": heads_proofs.prove_subspace,
    "knockout": heads_proofs.prove_knockout,
    "patching": heads_proofs.prove_patching,
    "neurons": neuron_proofs.prove_neurons,
    "paths": heads_proofs.prove_paths,
    "screen": heads_proofs.prove_screen,
    "accuracy": behaviour_proofs.prove_accuracy,
    "explanation": behaviour_proofs.prove_explanation,
    "noisy_prefix": behaviour_proofs.prove_noisy_prefix,
    "error_taxonomy": asking_proofs.prove_error_taxonomy,
    "prompt_search": asking_proofs.prove_prompt_search,
    "doctor": asking_proofs.prove_doctor,
    "cookbook": speaking_proofs.prove_cookbook,
    "approximation": speaking_proofs.prove_approximation,
    "carry": carry_proofs.prove_carry,
    "attention": tree_proofs.prove_attention,
    "tree": tree_proofs.prove_tree,
}
SPEAKING = ("cookbook", "approximation")
# On heads that write to the logits and into one another.
RELAYED = (
    "circuit", "edge_circuit", "edges", "interchange", "knockout", "patching", "paths", "screen",
    "subspace",
)  # fmt: skip
EVERY = (*MUTATIONS, *ASKING, *HEADS, *TREES)


def specimen(analysis: str) -> Any:
    """A fresh model with several layers and answer digits; for gradients one without saturation,
    for errors one that makes them, for tokens one with several digits in each. What speaks is made
    by its proof, from a seed."""
    if analysis in SPEAKING:
        return FIRST_SEED
    if analysis in ("gradient", "neurons"):
        return subject("modular", FIRST_SEED, layers=3)
    if analysis in ("accuracy", "explanation", "error_taxonomy"):
        return subject("careless", FIRST_SEED, layers=2, digits=3)
    if analysis in RELAYED:
        # A head in the last layer, or the stream before that layer is the stream after it.
        # What is learned by gradients needs a model that does not decide by steps: a Llama.
        smooth = {"family": "llama"} if analysis == "subspace" else {}
        relays = (subject("relay", FIRST_SEED + i, layers=3, **smooth) for i in range(100))
        return next(x for x in relays if max(mover.layer for mover in x.key.movers) == 2)
    if analysis == "tokenisation":
        return subject("waiting", FIRST_SEED, layers=3, digits=2)
    if analysis == "tree":
        return subject("column", FIRST_SEED, layers=3)
    if analysis in ("attention", "carry"):
        return subject("addition", FIRST_SEED, layers=3, digits=3)
    if analysis == "all_for_one":
        # A layer must be left behind the transfer, or there is no later one to mistake for it; and
        # a head that does not look, or all heads of a layer may look in each other's place.
        every = (subject("waiting", FIRST_SEED + i, layers=5, digits=1) for i in range(100))
        return next(
            about
            for about in every
            if about.key.transfer_layers[-1] < 4 and about.model.shape.n_heads > 2
        )
    return subject("addition", FIRST_SEED, layers=3, digits=2, family="gpt2")


@pytest.mark.parametrize("analysis", list(PROOFS))
def test_the_unchanged_analysis_passes(analysis: str) -> None:
    PROOFS[analysis](specimen(analysis))


@pytest.mark.parametrize("mutation", EVERY, ids=lambda m: f"{m.analysis}: {m.mistake}")
def test_the_mutated_analysis_fails(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    about = specimen("gradient" if "gradient" in mutation.mistake else mutation.analysis)
    mutation.apply(monkeypatch)
    # With its own activations every prompt gives one value of the metric: refused at once.
    refused = mutation.mistake == "a prompt's own activations"
    with pytest.raises(InputError if refused else AssertionError):
        PROOFS[mutation.analysis](about)


def test_every_analysis_has_its_mutations() -> None:
    for analysis in PROOFS:
        assert sum(mutation.analysis == analysis for mutation in EVERY) >= 2

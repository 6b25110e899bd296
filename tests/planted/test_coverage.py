"""Each analysis of the catalogue is proved on planted models, or tested elsewhere with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from interp.catalogue import CATALOGUE
from tests.planted.test_mutations import EVERY, PROOFS

TESTS = Path(__file__).resolve().parents[1]
ASKING = {one.name for one in CATALOGUE if one.asks in ("prompts", "problems")}

PROVED = {
    "attribution.counterfactual": "counterfactual",
    "attribution.logit_lens": "logit_lens",
    "attribution.swap_example": "swap_example",
    "ablation.af1": "all_for_one",
    "behaviour.accuracy": "accuracy",
    "behaviour.doctor": "doctor",
    "behaviour.error_taxonomy": "error_taxonomy",
    "behaviour.explain_errors": "explanation",
    "behaviour.search_prompts": "prompt_search",
    "heads.attention": "attention",
    "heads.carry": "carry",
    "heads.tree": "tree",
    "models.tokenisation_report": "tokenisation",
    "heads.circuit": "circuit",
    "heads.edges": "edges",
    "heads.interchange": "interchange",
    "heads.knockout": "knockout",
    "heads.neurons": "neurons",
    "heads.patch": "patching",
    "heads.paths": "paths",
    "heads.screen": "screen",
    "suites.approximation": "approximation",
    "suites.cookbook": "cookbook",
    "suites.noisy_prefix": "noisy_prefix",
}
"""Analysis → its proof and mutations in `PROOFS`."""

ELSEWHERE = {
    "attribution.direct": (
        "attribution",
        "sums to the logits, and is the key's on a planted relay",
    ),
    "ablation.cama": ("ablation", "equals means taken over enumerated prompts"),
    "ablation.compare": ("ablation", "a table of searches or scores"),
    "ablation.evaluate": ("ablation", "equals plain hooks; the search that uses it is proved"),
    "ablation.grid": ("ablation", "a grid of scores, each equal to `ablation.evaluate`"),
    "ablation.removal": ("ablation", "a row of scores, each equal to `ablation.evaluate`"),
    "geometry.figure": ("geometry", "planted circles, and a move along them that is followed"),
    "geometry.fourier": ("geometry", "planted waves, and noise that has none"),
    "geometry.grid": ("geometry", "planted heuristics; a shipped model's neurons"),
    "geometry.helix": ("geometry", "a planted helix; a shipped model's operand"),
    "geometry.minkowski": ("geometry", "a planted sum of two circles"),
    "heads.digit_circuits": ("heads", "equals the Hugging Face module, head by head"),
    "intervene": ("stack", "equals plain hooks; a planted mover flips its digit"),
    "probes.near_multiples": ("probes", "planted states; states equal Hugging Face's"),
    "probes.intervene": ("planted/probe_proofs.py", "an edit flips the digit that the key names"),
    "probes.probe": ("planted/probe_proofs.py", "R² at every site is that of the key"),
}
"""Analysis → where below `tests` it is tested instead, and why."""


def test_every_analysis_that_asks_a_model_is_covered() -> None:
    named = {*PROVED, *ELSEWHERE}
    assert ASKING - named == set(), "add a planted proof with mutations, or say where it is tested"
    assert named - {one.name for one in CATALOGUE} == set(), "not in the catalogue any more"
    assert PROVED.keys() & ELSEWHERE.keys() == set()


def test_every_proof_is_of_an_analysis() -> None:
    # `heads.circuit` is proved of nodes and of edges, `heads.interchange` also of what it learns.
    also = {"engine", "edge_circuit", "subspace"}
    assert set(PROVED.values()) | also == set(PROOFS)
    assert {mutation.analysis for mutation in EVERY} <= set(PROOFS)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_tested_elsewhere_calls_the_analysis(name: str) -> None:
    place, why = ELSEWHERE[name]
    path = TESTS / place
    files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    function = name.rpartition(".")[2]
    assert why
    assert any(f"{function}(" in file.read_text(encoding="utf-8") for file in files)

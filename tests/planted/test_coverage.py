"""Which proof covers which analysis: each has one here, or it is said where else and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import interp.results  # noqa: F401  (makes every Result type known)
from interp.results.result import Result
from tests.planted.test_mutations import EVERY, PROOFS

TESTS = Path(__file__).resolve().parents[1]

PROVED = {
    "counterfactual_attribution": "counterfactual",
    "swap_example": "swap_example",
    "logit_lens": "logit_lens",
    "tokenisation": "tokenisation",
    "behaviour": "accuracy",
    "error_explanation": "explanation",
    "error_taxonomy": "error_taxonomy",
    "noisy_prefix": "noisy_prefix",
    "prompt_search": "prompt_search",
    "doctor": "doctor",
    "cookbook": "cookbook",
    "approximation": "approximation",
    "all_for_one": "all_for_one",
}
"""Result.analysis → the proof and its mutations."""

ELSEWHERE = {
    "selfcheck": ("engine", "asks whether a model can be trusted; tests break models on purpose"),
    "training_dynamics": ("training", "reads the log of a training, where no model is run"),
    "digit_losses": ("training", "reads the logs of trainings, where no model is run"),
    "over_series": ("series", "runs another analysis once a checkpoint, and computes nothing"),
    "agreement": ("series", "compares finished Results of replicas"),
    "ablation_score": (
        "ablation",
        "held to plain hooks; what the search is made of",
    ),
    "ablation_grid": ("ablation", "many scores, held to the same reference"),
    "layer_removal": ("ablation", "many scores, held to the same reference"),
    "ablation_comparison": ("ablation", "many searches or scores in a table"),
    "ablation_transfer": ("ablation", "many scores in a table"),
    "cama_table": ("ablation", "held to means taken over enumerated prompts"),
    "probe_sweep": ("planted/probe_proofs.py", "R² at every site is the key's"),
    "probe_use": ("planted/probe_proofs.py", "an edit along a probe flips the digit the key names"),
    "one_hot_baseline": ("probes", "knows the problems alone; no model is run"),
    "running_sums": ("probes", "many probes of several models in a table"),
}
"""Result.analysis → where below `tests` it is tested instead, and why."""


def _types(base: type[Result]) -> Iterator[type[Result]]:
    for found in base.__subclasses__():
        yield found
        yield from _types(found)


def test_every_analysis_has_its_proof() -> None:
    known = {
        found.analysis
        for found in _types(Result)
        if found.__module__.startswith("interp.") and getattr(found, "analysis", "")
    }
    told = {*PROVED, *ELSEWHERE}
    assert known - told == set(), "give it a planted proof and mutations, or say where it is tested"
    assert told - known == set(), "no such analysis any more"
    assert set(PROVED.values()) | {"engine"} <= set(PROOFS)
    assert {mutation.analysis for mutation in EVERY} <= set(PROOFS)


def test_what_is_tested_elsewhere_is_there() -> None:
    for analysis, (place, why) in ELSEWHERE.items():
        path = TESTS / place
        files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
        assert files and why, analysis

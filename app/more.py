"""Catalogue entries that no page of their own shows: the page "More analyses" shows them."""

from __future__ import annotations

from inspect import Parameter, signature

from interp import catalogue

ASKED = 2  # arguments before an analysis' own: the model and what it is asked
SHOWN = {  # by the pages Model, Behaviour, Attribution, Ablation and Probes
    "models.tokenisation_report",
    "behaviour.accuracy",
    "behaviour.error_taxonomy",
    "behaviour.explain_errors",
    "behaviour.search_prompts",
    "behaviour.doctor",
    "suites.noisy_prefix",
    "attribution.counterfactual",
    "attribution.logit_lens",
    "attribution.swap_example",
    "ablation.evaluate",
    "ablation.grid",
    "ablation.removal",
    "ablation.af1",
    "ablation.compare",
    "ablation.cama",
    "probes.probe",
}


def entries() -> list[catalogue.Entry]:
    """Those that ask prompts or problems, and that need no further argument."""
    return [
        entry
        for entry in catalogue.CATALOGUE
        if entry.asks in ("prompts", "problems") and entry.name not in SHOWN and _complete(entry)
    ]


def _complete(entry: catalogue.Entry) -> bool:
    own = list(signature(entry.load()).parameters.values())[ASKED:]
    return all(
        one.default is not Parameter.empty or one.kind is Parameter.VAR_KEYWORD for one in own
    )

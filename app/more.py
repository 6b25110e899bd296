"""Catalogue entries without a page of their own, for the page "More analyses"."""

from __future__ import annotations

from inspect import Parameter, signature

from interp import catalogue

ASKED = 2  # leading arguments of an analysis: the model and the prompts
SHOWN = {  # by the pages named Model to Geometry in the navigation
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
    "attribution.direct",
    "heads.patch",
    "heads.paths",
    "heads.knockout",
    "heads.attention",
    "heads.tree",
    "heads.carry",
    "ablation.evaluate",
    "ablation.grid",
    "ablation.removal",
    "ablation.af1",
    "ablation.compare",
    "ablation.cama",
    "probes.probe",
    "geometry.figure",
    "geometry.fourier",
    "geometry.grid",
    "geometry.helix",
    "geometry.minkowski",
    "intervene",
}


def entries() -> list[catalogue.Entry]:
    """Entries that take prompts or problems and need no other argument."""
    return [
        entry
        for entry in catalogue.CATALOGUE
        if entry.asks in ("prompts", "problems") and entry.name not in SHOWN and complete(entry)
    ]


def complete(entry: catalogue.Entry) -> bool:
    """Whether the function needs nothing beside model and prompts."""
    own = list(signature(entry.load()).parameters.values())[ASKED:]
    return all(
        one.default is not Parameter.empty or one.kind is Parameter.VAR_KEYWORD for one in own
    )

"""Probes on planted models that nobody has seen before, and mistakes that must fail there.

One kind a seed, the next at the next: the R² of every layer is over the whole population, which
takes up to half a minute a model.
"""

from __future__ import annotations

from typing import Any

import pytest

from interp.planted.linear import SITES
from tests.planted.mutations import Mutation
from tests.planted.probe_mutations import PROBES
from tests.planted.probe_proofs import prove_r2, prove_use
from tests.planted.subjects import FIRST_SEED, SEEDS, Subject, subject

_LARGE: dict[str, dict[str, Any]] = {
    "addition": {"digits": 3},
    "modular": {"modulus": 113},
    "waiting": {"digits": 2},
    "early": {"digits": 2},
    "column": {},
}
"""Sizes whose population is large enough for a held-out R² to come within 0.01."""

_SITES = (("resid_pre", "attn_out"), ("resid_mid", "z"), ("resid_post", "mlp_out"))
"""Two sites a seed: over fifteen seeds each kind at each; all of one kind in a test of its own."""


def _sites_of(seed: int) -> tuple[str, ...]:
    """Those that the kind of that seed is proved at."""
    return _SITES[seed % len(_SITES)]


def _prove_r2(about: Subject) -> None:
    prove_r2(about, ("resid_mid",))


PROOFS = {"probe_r2": _prove_r2, "probe_use": prove_use}


def _specimen() -> Subject:
    return subject("addition", FIRST_SEED, layers=3, digits=2, family="gpt2")


@pytest.mark.parametrize("seed", SEEDS)
def test_r2_is_what_a_linear_map_can_reach(seed: int) -> None:
    kind = list(_LARGE)[seed % len(_LARGE)]
    prove_r2(subject(kind, seed, **_LARGE[kind]), _sites_of(seed))


def test_over_fifteen_seeds_every_kind_is_proved_at_every_site() -> None:
    seeds = range(FIRST_SEED, FIRST_SEED + len(_LARGE) * len(_SITES))
    kinds = [list(_LARGE)[seed % len(_LARGE)] for seed in seeds]
    proved = {(kind, site) for kind, seed in zip(kinds, seeds, strict=True)
              for site in _sites_of(seed)}  # fmt: skip
    assert proved == {(kind, site) for kind in _LARGE for site in SITES}


def test_r2_is_the_keys_at_every_site_and_head() -> None:
    prove_r2(_specimen())


@pytest.mark.parametrize("seed", SEEDS)
def test_use_is_told_from_presence(seed: int) -> None:
    prove_use(subject("addition", seed, digits=3))


@pytest.mark.parametrize("analysis", list(PROOFS))
def test_the_unchanged_analysis_passes(analysis: str) -> None:
    PROOFS[analysis](_specimen())


@pytest.mark.parametrize("mutation", PROBES, ids=lambda m: f"{m.analysis}: {m.mistake}")
def test_the_mutated_analysis_fails(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    about = _specimen()
    mutation.apply(monkeypatch)
    with pytest.raises(AssertionError):
        PROOFS[mutation.analysis](about)

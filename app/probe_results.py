"""The Probes page's library calls, cached as those in `app.results` are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import streamlit as st

import probes
from app import jobs, results
from app.sample import problems
from app.study import Study

if TYPE_CHECKING:
    from probes.results.causal_test import ProbeUse
    from probes.results.sweep import ProbeSweep

Mode = Literal["move", "remove"]


@dataclass(frozen=True)
class Asked:
    """What the page was asked to look for, and where; layers None means all."""

    target: str
    sites: tuple[str, ...]
    layers: tuple[int, ...] | None
    split: str
    turns: int = 1


@dataclass(frozen=True)
class Place:
    """One cell of the sweep; head -1 where the site has none."""

    site: str
    layer: int
    head: int
    role: str


def sweep(study: Study, asked: Asked) -> ProbeSweep:
    """Probes of one target at every layer of the sites asked for, and every default role."""
    label = f"Looking for {asked.target} in {study.n:,} prompts of {study.task}"
    return jobs.run(("probes", study, asked), label, lambda: _sweep(study, asked))


def use(study: Study, asked: Asked, place: Place, mode: Mode) -> ProbeUse:
    """What the answer does when what the probe of one cell reads is changed: of several turns, the
    probe of the first."""
    label = f"Editing {asked.target} at {place.site} of layer {place.layer}, {place.role}"
    key = ("probe use", study, asked.target, asked.split, place, mode)
    return jobs.run(key, label, lambda: _use(study, asked.target, asked.split, place, mode))


@st.cache_data(max_entries=32, show_spinner=False)
def _sweep(study: Study, asked: Asked) -> ProbeSweep:
    job = jobs.current()
    return probes.probe(
        results.loaded(study),
        problems(study.task, study.n, seed=study.seed),
        targets=(asked.target,),
        sites=asked.sites,
        layers=asked.layers,
        seed=study.seed,
        format=study.format,
        split=asked.split,
        turns=asked.turns,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=32, show_spinner=False)
def _use(study: Study, target: str, split: str, place: Place, mode: Mode) -> ProbeUse:
    job = jobs.current()
    model = results.loaded(study)
    fitted = probes.fit(
        model,
        problems(study.task, study.n, seed=study.seed),
        target,
        site=place.site,
        layer=place.layer,
        role=place.role,
        head=None if place.head < 0 else place.head,
        seed=study.seed,
        format=study.format,
        split=split,
        cancel=job.cancel,
    )
    return probes.intervene(
        model, fitted, mode=mode, seed=study.seed, progress=job.progress, cancel=job.cancel
    )

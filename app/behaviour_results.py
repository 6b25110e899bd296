"""The Behaviour page's library calls beyond accuracy, cached as those in `app.results` are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

import interp
from app import jobs, results
from app.study import Study

if TYPE_CHECKING:
    from interp.behaviour.results.doctor import Diagnosis
    from interp.behaviour.results.errors import ErrorTaxonomy
    from interp.behaviour.results.explain import ErrorExplanation
    from interp.suites.results.approximation import Approximation
    from interp.suites.results.cookbook import CookbookScores
    from interp.suites.results.noisy_prefix import NoisyPrefix


def errors(study: Study) -> ErrorTaxonomy:
    """What the wrong answers look like."""
    label = f"Sorting the wrong answers to problems of {study.task}"
    return jobs.run(("errors", study), label, lambda: _errors(study))


def explanation(study: Study) -> ErrorExplanation:
    """Which fault predicts the wrong answers."""
    label = f"Comparing the wrong answers to problems of {study.task} with each fault"
    return jobs.run(("explain", study), label, lambda: _explanation(study))


def noisy_prefix(study: Study) -> NoisyPrefix:
    """What wrong digits do to those after them."""
    label = f"Forcing wrong digits into the answers to problems of {study.task}"
    return jobs.run(("noisy prefix", study), label, lambda: _noisy_prefix(study))


def diagnosis(study: Study) -> Diagnosis:
    """How the model wants to be asked, whatever the study's own format and sample."""
    bare = replace(study, format="", n=0)
    label = f"Asking {study.task} in every format"
    return jobs.run(("doctor", bare), label, lambda: _diagnosis(bare))


def cookbook(
    study: Study, tasks: tuple[str, ...], lengths: tuple[int, ...], n: int, seconds: int
) -> CookbookScores:
    """The Number Cookbook's scores by digit length, whatever the study's own task."""
    bare = replace(study, task="", format="", n=0)
    label = f"Asking {len(tasks)} tasks of the Number Cookbook at {len(lengths)} lengths"
    key = ("cookbook", bare, tasks, lengths, n, seconds)
    return jobs.run(key, label, lambda: _cookbook(bare, tasks, lengths, n, seconds))


def approximation(study: Study, n: int) -> Approximation:
    """How good rough answers are, whatever the study's own task."""
    bare = replace(study, task="", format="", n=0)
    label = f"Asking {n} everyday questions in two wordings"
    return jobs.run(("approximation", bare, n), label, lambda: _approximation(bare, n))


def published(path: str, part: str, seed: int) -> ErrorTaxonomy | ErrorExplanation:
    """The errors of a published result file; an empty path is the one that ships.

    `part` is "errors" or "explain".
    """
    stamp = Path(path).stat().st_mtime if path and Path(path).is_file() else 0.0
    key = ("published", path, stamp, part, seed)
    return jobs.run(key, "Sorting published answers", lambda: _published(path, stamp, part, seed))


@st.cache_data(max_entries=16, show_spinner=False)
def _errors(study: Study) -> ErrorTaxonomy:
    job = jobs.current()
    return interp.behaviour.error_taxonomy(
        results.loaded(study),
        study.task,
        n=study.n,
        seed=study.seed,
        format=study.format,
        strict=False,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _explanation(study: Study) -> ErrorExplanation:
    job = jobs.current()
    return interp.behaviour.explain_errors(
        results.loaded(study),
        study.task,
        n=study.n,
        seed=study.seed,
        format=study.format,
        strict=False,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _noisy_prefix(study: Study) -> NoisyPrefix:
    job = jobs.current()
    return interp.suites.noisy_prefix(
        results.loaded(study),
        study.task,
        n=study.n,
        seed=study.seed,
        format=study.format,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _diagnosis(study: Study) -> Diagnosis:
    job = jobs.current()
    return interp.behaviour.doctor(
        results.loaded(study),
        study.task,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _cookbook(
    study: Study, tasks: tuple[str, ...], lengths: tuple[int, ...], n: int, seconds: int
) -> CookbookScores:
    job = jobs.current()
    return interp.suites.cookbook(
        results.loaded(study),
        tasks,
        lengths=lengths,
        n=n,
        seed=study.seed,
        seconds=seconds,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _approximation(study: Study, n: int) -> Approximation:
    job = jobs.current()
    return interp.suites.approximation(
        results.loaded(study), n=n, seed=study.seed, progress=job.progress, cancel=job.cancel
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _published(path: str, stamp: float, part: str, seed: int) -> ErrorTaxonomy | ErrorExplanation:
    file = path or None
    if part == "explain":
        return interp.behaviour.explain_published(file, seed=seed)
    return interp.behaviour.published_errors(file, seed=seed)

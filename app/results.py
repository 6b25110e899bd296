"""Cached library calls of the explorer; keys hold the weights' hash, the sample and all options.

Progress and cancellation come from the running job (`app.jobs`), so keys contain every argument.
"""

from __future__ import annotations

import gc
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import cache
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

import interp
from app import calls, jobs, refine
from app.study import Study
from interp import catalogue
from interp.arithmetic.scoring import score
from interp.behaviour.breakdowns import carry_classes
from interp.behaviour.explain import faults_behind
from interp.models.asking import sample as asked_sample

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems
    from interp.behaviour.results.accuracy import Behaviour
    from interp.behaviour.results.doctor import Diagnosis
    from interp.catalogue import Entry
    from interp.models.model import Model

Key = tuple[Study, str, float, tuple[tuple[str, Hashable], ...]]

_finished: set[Key] = set()  # computed before, though perhaps dropped from the cache since


@cache
def settle() -> None:
    """Take what the imports made out of garbage collection, once a server.

    Streamlit collects garbage after every run of a script, and half a million objects of torch and
    transformers make that a quarter of a second. They live as long as the server.
    """
    from interp.models import adapter  # noqa: F401  (brings in what the first model needs)

    gc.collect()
    gc.freeze()


def result(study: Study, name: str, stamp: float = 0.0, **options: Hashable) -> Any:
    """The Result of a catalogue entry for the study; `options` are arguments of its function.

    `n`, `seed` and `format` among the options replace the study's. `stamp` is the time at which a
    file among them was last written.
    """
    of = key(study, name, stamp, **options)
    entry = catalogue.entry(name)
    if of in _finished or not _takes_long(study, entry, options):
        return _run(entry, of)
    refine.later(name, entry.n, lambda: _run(entry, of))
    return _run(entry, key(study, name, stamp, **{**options, "n": refine.FIRST}))


def _run(entry: Entry, of: Key) -> Any:
    n = dict(of[3]).get("n")
    found = jobs.run(of, label(entry, of[0], n), lambda: _result(*of), _size(entry, of[0], n))
    _finished.add(of)
    return found


def _size(entry: Entry, study: Study, n: object) -> int | None:
    """Problems that the sidebar's number of problems decides on; None where it does not."""
    if study.problem or not study.task or n is not None or not entry.n:
        return None
    return min(study.n or entry.n, interp.task(study.task).n_problems)


def _takes_long(study: Study, entry: Entry, options: Mapping[str, Hashable]) -> bool:
    """Whether a first answer of fewer problems comes sooner: a language model, and nobody said how
    many."""
    if study.n is not None or study.problem or "n" in options or not study.model:
        return False
    return (entry.n or 0) > refine.FIRST and calls.language_model(loaded(study))


def key(study: Study, name: str, stamp: float = 0.0, **options: Hashable) -> Key:
    """Cache key of a Result: all values that it depends on."""
    analysis = catalogue.entry(name)
    if "strict" in signature(analysis.load()).parameters:
        options = {"strict": False, **options}  # show answers in another format, with their text
    return _of(study, analysis), name, stamp, tuple(sorted(options.items()))


def label(analysis: Entry, study: Study, n: object = None) -> str:
    """Text that describes the computation."""
    what = analysis.kind.replace("_", " ")
    if not study.task:
        return f"Computing {what}"
    asked = n if isinstance(n, int) else study.n or analysis.n or 0
    if study.problem:
        return f"Computing {what} of {study.problem}"
    count = min(asked, interp.task(study.task).n_problems)
    return f"Computing {what} of {count:,} problems of {study.task}"


def wrong_answers(
    study: Study, behaviour: Behaviour, digit: str | None = None, kind: str | None = None
) -> pd.DataFrame:
    """The wrong answers, with the faults that predict each; only those with an error in the answer
    digit and in a column of the carry class, where these are given.

    `answer` and `given` are numbers, `wrote` is the model's text as it stands, which a format may
    begin with the least significant digit; `given` is empty where no number can be read.
    """
    listed, wrong = _wrong_answers(study, _drawn(behaviour), behaviour)
    columns = range(wrong.shape[1]) if digit is None else [int(digit.removeprefix("c"))]
    if digit is not None or kind is not None:
        classes = carry_classes(_answered(study, _drawn(behaviour)))
        here = wrong if kind is None else wrong & (classes == kind)
        listed = listed[here[:, columns].any(axis=1)]
    listed = listed.loc[~listed["exact"], ["problem", "answer", "given", "wrote", "fault"]]
    return listed.reset_index(drop=True)


def _drawn(behaviour: Behaviour) -> int:
    """How many problems it was asked to draw."""
    return int(behaviour.settings.get("wanted") or behaviour.drawn)


@st.cache_data(max_entries=16, show_spinner=False)
def _wrong_answers(study: Study, n: int, _behaviour: Behaviour) -> tuple[pd.DataFrame, Any]:
    """Every answer with its fault, and [n, answer digits] True where a digit is wrong."""
    answers, asked = _behaviour.answers, _answered(study, n)
    given = list(answers["given"])
    scores = score(asked, given, study.format)
    faults = faults_behind(asked, given, study.format, seed=study.seed)
    read = ["" if number is None else str(number) for number in scores["answer"]]
    width = asked.task.answer_digits
    wrong = np.stack([np.asarray(scores[f"correct[{k}]"]) == 0 for k in range(width)], axis=1)
    return answers.assign(given=read, wrote=answers["given"], fault=faults), wrong


@st.cache_data(max_entries=1, show_spinner=False, ttl=60)
def models() -> pd.DataFrame:
    """The shipped models, as `interp.list_models` lists them."""
    return interp.list_models()


def model(name: str) -> Model:
    """Load a model by name, once for all sessions."""
    stamp = _stamp(name)
    return jobs.run(("load", name, stamp), f"Loading {name}", lambda: _load(name, stamp))


def loaded(study: Study) -> Model:
    """The model of the study."""
    model = _load(study.model, _stamp(study.model))
    return model if study.start is None else model.starting_with(study.start)


def suggested(name: str, hash: str) -> Diagnosis:
    """What `interp.suggest` finds for a model, once for all sessions."""
    return jobs.run(
        ("suggest", name, hash),
        f"Looking for a task and a prompt of {name}, which no card tells",
        lambda: _suggested(name, hash, _stamp(name)),
    )


def _of(study: Study, analysis: Entry) -> Study:
    """The study without fields that the analysis ignores: changing them recomputes nothing."""
    if analysis.asks in ("log", "file"):
        return Study("", "", "", "", 0, study.seed)
    if analysis.asks == "model":
        return replace(study, task="", format="", n=0)
    takes = signature(analysis.load()).parameters
    writes = analysis.asks == "prompts" or "format" in takes
    return study if writes else replace(study, format="")


def _stamp(name: str) -> float:
    """Modification time of a local model, so that a retrained folder is reloaded."""
    path = Path(name).expanduser()
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path] * path.is_file()
    return max((file.stat().st_mtime for file in files), default=0.0)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(name: str, stamp: float) -> Model:
    return interp.load(name)


@st.cache_data(max_entries=8, show_spinner=False)
def _suggested(name: str, hash: str, stamp: float) -> Diagnosis:
    job = jobs.current()
    return interp.suggest(_load(name, stamp), progress=job.progress, cancel=job.cancel)


@st.cache_resource(max_entries=64, show_spinner=False)
def _result(study: Study, name: str, stamp: float, options: tuple[tuple[str, Any], ...]) -> Any:
    job, given = jobs.current(), dict(options)
    sample = calls.Sample(
        study.task or None,
        given.pop("n", study.n or None),
        given.pop("seed", study.seed),
        given.pop("format", study.format or None),
        problem=study.problem,
    )
    loaded_model = loaded(study) if study.model else None
    analysis = catalogue.entry(name)
    return calls.run(
        analysis, loaded_model, sample, given, progress=job.progress, cancel=job.cancel
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _answered(study: Study, n: int) -> Problems:
    """The problems of `behaviour.accuracy`."""
    model = loaded(study)
    if study.problem:
        return calls.problems_of(model, calls.Sample(study.task, problem=study.problem))
    return asked_sample(model, study.task, n=n, seed=study.seed).problems

"""Cached library calls of the explorer; keys hold the weights' hash, the sample and all options.

Progress and cancellation come from the running job (`app.jobs`), so keys contain every argument.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

import interp
from app import calls, jobs
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


def result(study: Study, name: str, stamp: float = 0.0, **options: Hashable) -> Any:
    """The Result of a catalogue entry for the study; `options` are arguments of its function.

    `n`, `seed` and `format` among the options replace the study's. `stamp` is the time at which a
    file among them was last written.
    """
    of = key(study, name, stamp, **options)
    return jobs.run(of, label(catalogue.entry(name), of[0]), lambda: _result(*of))


def key(study: Study, name: str, stamp: float = 0.0, **options: Hashable) -> Key:
    """Cache key of a Result: all values that it depends on."""
    analysis = catalogue.entry(name)
    if "strict" in signature(analysis.load()).parameters:
        options = {"strict": False, **options}  # show answers in another format, with their text
    return _of(study, analysis), name, stamp, tuple(sorted(options.items()))


def label(analysis: Entry, study: Study) -> str:
    """Text that describes the computation."""
    what = analysis.kind.replace("_", " ")
    if not study.task:
        return f"Computing {what}"
    count = min(study.n or analysis.n or 0, interp.task(study.task).n_problems)
    return f"Computing {what} of {count:,} problems of {study.task}"


def wrong_answers(study: Study, behaviour: Behaviour, cell: tuple[str, str] | None) -> pd.DataFrame:
    """The wrong answers, with the faults that predict each; of a cell (answer digit, carry class),
    only those with an error in that digit.

    `answer` and `given` are numbers, `wrote` is the model's text as it stands, which a format may
    begin with the least significant digit; `given` is empty where no number can be read.
    """
    answers = behaviour.answers
    asked = _answered(study)
    wrong = ~answers["exact"]
    scores = score(asked, list(answers["given"]), study.format)
    if cell is not None:
        k = int(cell[0].removeprefix("c"))
        wrong = (scores[f"correct[{k}]"] == 0) & (carry_classes(asked)[:, k] == cell[1])
    faults = faults_behind(asked, list(answers["given"]), study.format, seed=study.seed)
    read = ["" if number is None else str(number) for number in scores["answer"]]
    listed = answers.assign(given=read, wrote=answers["given"], fault=faults)
    listed = listed.loc[wrong, ["problem", "answer", "given", "wrote", "fault"]]
    return listed.reset_index(drop=True)


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


@st.cache_data(max_entries=64, show_spinner=False)
def _result(study: Study, name: str, stamp: float, options: tuple[tuple[str, Any], ...]) -> Any:
    job, given = jobs.current(), dict(options)
    sample = calls.Sample(
        study.task or None,
        given.pop("n", study.n or None),
        given.pop("seed", study.seed),
        given.pop("format", study.format or None),
    )
    loaded_model = loaded(study) if study.model else None
    analysis = catalogue.entry(name)
    return calls.run(
        analysis, loaded_model, sample, given, progress=job.progress, cancel=job.cancel
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _answered(study: Study) -> Problems:
    """The problems of `behaviour.accuracy`."""
    n = study.n or catalogue.entry("behaviour.accuracy").n or 0
    return asked_sample(loaded(study), study.task, n=n, seed=study.seed).problems

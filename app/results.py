"""The explorer's library calls, cached: one function a Result, keyed by values alone.

A key holds the weights' hash, the task, the sample and the settings, all of them; progress and
cancellation come from the job that computes (`app.jobs`), not through arguments that a key would
have to leave out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
import streamlit as st

import interp
from app import jobs
from app.sample import problems
from app.study import Study
from interp.arithmetic.scoring import score
from interp.behaviour.breakdowns import carry_classes
from interp.behaviour.explain import faults_behind
from interp.models.asking import sample as asked_sample

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems
    from interp.attribution.results.counterfactual import CounterfactualAttribution, SwapExample
    from interp.attribution.results.logit_lens import LogitLens
    from interp.behaviour.results.accuracy import Behaviour, PromptSearch
    from interp.engine.results.selfcheck import SelfCheck
    from interp.models.model import Model
    from interp.models.prompts import PromptBatch
    from interp.models.results.tokenisation import TokenisationReport

Prefix = Literal["keep", "recompute"]
Target = Literal["argmax", "true", "difference"]


@st.cache_data(max_entries=1, show_spinner=False, ttl=60)
def models() -> pd.DataFrame:
    """The shipped models, as `interp.list_models` lists them."""
    return interp.list_models()


def model(name: str) -> Model:
    """The model that `name` stands for, loaded once for all sessions."""
    stamp = _stamp(name)
    return jobs.run(("load", name, stamp), f"Loading {name}", lambda: _load(name, stamp))


def tokenisation(study: Study) -> TokenisationReport:
    """How the prompts of the study are cut into tokens."""
    return _tokenisation(study)


def selfcheck(study: Study) -> SelfCheck:
    """Whether the engine equals the plain module, and where an edit takes effect."""
    return jobs.run(("check", study), "Checking every site", lambda: _selfcheck(study))


def behaviour(study: Study) -> Behaviour:
    """What the model gets right."""
    label = f"Answering problems of {study.task}"
    return jobs.run(("behaviour", study), label, lambda: _behaviour(study))


def wrong_answers(study: Study, behaviour: Behaviour, cell: tuple[str, str] | None) -> pd.DataFrame:
    """The wrong answers, with the faults that predict each; of a cell (answer digit, carry class),
    those that are wrong there.

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


def prompt_search(study: Study, shots: tuple[int, ...]) -> PromptSearch:
    """Which prompt the model answers best, whatever the study's own."""
    bare = replace(study, format="")
    label = f"Trying every prompt style on {study.task}"
    return jobs.run(("search", bare, shots), label, lambda: _prompt_search(bare, shots))


def attribution(study: Study, prefix: Prefix, target: Target) -> CounterfactualAttribution:
    """Which operand digits each answer digit depends on."""
    key = ("attribution", study, prefix, target)
    label = f"Swapping each operand digit of {_asked(study)}"
    return jobs.run(key, label, lambda: _attribution(study, prefix, target))


def logit_lens(study: Study) -> LogitLens:
    """What each layer would answer if it were the last."""
    label = f"Reading {_asked(study)} off every layer"
    return jobs.run(("lens", study), label, lambda: _logit_lens(study))


def example(study: Study, operand_digit: str, prefix: Prefix, row: int) -> SwapExample:
    """One prompt before and after one operand digit is replaced."""
    return _example(study, operand_digit, prefix, row)


@st.cache_data(max_entries=8, show_spinner=False)
def _answered(study: Study) -> Problems:
    """What `_behaviour` asks."""
    drawn = asked_sample(loaded(study), study.task, n=study.n, seed=study.seed)
    return drawn.problems


def _asked(study: Study) -> str:
    count = min(study.n, interp.task(study.task).n_problems)
    return f"{count:,} problems of {study.task}"


def _stamp(name: str) -> float:
    """When a local model was last written, so that a folder trained again is loaded again."""
    path = Path(name).expanduser()
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path] * path.is_file()
    return max((file.stat().st_mtime for file in files), default=0.0)


def batch(study: Study) -> PromptBatch:
    """The prompts of the study."""
    sample = problems(study.task, study.n, seed=study.seed)
    return loaded(study).prompts(sample, format=study.format)


def loaded(study: Study) -> Model:
    """The model of the study."""
    return _load(study.model, _stamp(study.model))


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(name: str, stamp: float) -> Model:
    return interp.load(name)


@st.cache_data(max_entries=16, show_spinner=False)
def _tokenisation(study: Study) -> TokenisationReport:
    sample = problems(study.task, study.n, seed=study.seed)
    return loaded(study).tokenisation(sample, format=study.format)


@st.cache_data(max_entries=16, show_spinner=False)
def _selfcheck(study: Study) -> SelfCheck:
    return interp.engine.selfcheck(loaded(study))


@st.cache_data(max_entries=32, show_spinner=False)
def _behaviour(study: Study) -> Behaviour:
    job = jobs.current()
    return interp.behaviour.accuracy(
        loaded(study),
        study.task,
        n=study.n,
        seed=study.seed,
        format=study.format,
        strict=False,  # the page shows answers in another format instead of refusing them
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _prompt_search(study: Study, shots: tuple[int, ...]) -> PromptSearch:
    job = jobs.current()
    return interp.behaviour.search_prompts(
        loaded(study),
        study.task,
        shots=shots,
        n=study.n,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=32, show_spinner=False)
def _attribution(study: Study, prefix: Prefix, target: Target) -> CounterfactualAttribution:
    job = jobs.current()
    return interp.attribution.counterfactual(
        loaded(study),
        batch(study),
        prefix=prefix,
        target=target,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=32, show_spinner=False)
def _logit_lens(study: Study) -> LogitLens:
    job = jobs.current()
    return interp.attribution.logit_lens(
        loaded(study),
        batch(study),
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _example(study: Study, operand_digit: str, prefix: Prefix, row: int) -> SwapExample:
    return interp.attribution.swap_example(
        loaded(study), batch(study), operand_digit, row=row, prefix=prefix
    )

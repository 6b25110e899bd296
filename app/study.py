"""The study: values that key every page and every cached result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import streamlit as st

import interp
from interp.errors import ModelError


@dataclass(frozen=True)
class Study:
    """A model, a task and a sample of problems, as plain values.

    `model` is what `interp.load` takes, `model_hash` the hash of the weights that it loaded. `n` is
    None where each analysis takes its own number (`interp.catalogue`); `start` is what
    `Model.starting_with` puts in front of its prompts, None for its own. `problem` is one typed in,
    "37*48", which is asked alone instead of a sample.
    """

    model: str
    model_hash: str
    task: str
    format: str
    n: int | None
    seed: int
    start: str | None = None
    problem: str | None = None


def keep(study: Study) -> None:
    """Make `study` the current study of all pages."""
    st.session_state["study"] = study


def current() -> Study:
    """The study chosen in the sidebar."""
    return cast(Study, st.session_state["study"])


def step_of(model: str) -> int | None:
    """The training step of a checkpoint, "mod113@1250" or a folder `…/series/step-00000500`; None
    for a model."""
    step = model.rpartition("@")[2] if "@" in model else Path(model).name.removeprefix("step-")
    of_series = "@" in model or Path(model).parent.name == "series"
    return int(step) if of_series and step.isdecimal() else None


def trained(model: str) -> str:
    """The model of a checkpoint; any other name unchanged."""
    if step_of(model) is None:
        return model
    return model.rpartition("@")[0] or str(Path(model).parent.parent)


def checkpoints(model: str) -> tuple[int, ...]:
    """Training steps of the kept checkpoints; empty for most models."""
    try:
        return interp.checkpoints(model).steps
    except ModelError:  # it has none
        return ()

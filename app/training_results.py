"""What the page Training asks of the library, cached: logs and checkpoints beside a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

import interp
from app.study import step_of
from interp.errors import ModelError
from interp.training.logs import has_log, log_place

if TYPE_CHECKING:
    from interp.training.learning import Measure
    from interp.training.results.learning import TrainingDynamics


def trained(name: str) -> str:
    """The model that a checkpoint belongs to; any other name as it is."""
    return name if step_of(name) is None else str(Path(name).parent.parent)


def logged(source: str) -> bool:
    """Whether a training log lies beside the model."""
    return has_log(source)


def steps(source: str) -> tuple[int, ...]:
    """The steps at which checkpoints were kept; none for most models."""
    try:
        return interp.checkpoints(source).steps
    except ModelError:  # it has none
        return ()


def dynamics(source: str, threshold: float, measure: Measure, smoothing: int) -> TrainingDynamics:
    """Curves and order of learning; read again when the log has been written to."""
    return _dynamics(source, log_place(source).stat().st_mtime, threshold, measure, smoothing)


@st.cache_data(max_entries=32, show_spinner=False)
def _dynamics(
    source: str, stamp: float, threshold: float, measure: Measure, smoothing: int
) -> TrainingDynamics:
    return interp.training.dynamics(
        source, threshold=threshold, measure=measure, smoothing=smoothing
    )

"""How did it learn?"""

from __future__ import annotations

import streamlit as st

from app import link, parts, results, study
from interp.training.logs import has_log, log_place

MEASURES = {"loss": "Loss below", "accuracy": "Accuracy from"}
SLIDERS = {"loss": (0.01, 2.3, 1.0), "accuracy": (0.5, 1.0, 0.9)}  # least, most, at first


def page() -> None:
    """Gradient norms and losses over the steps, and when each digit counts as learnt."""
    chosen = study.current()
    parts.heading("Training", "How did it learn?")
    source = study.trained(chosen.model)
    if not has_log(source):
        st.info(
            "No training log came with these weights, so nothing is known of how they were learnt. "
            "Models that `arithmoscope train` makes bring theirs.",
            icon=":material/info:",
        )
        return
    measure, threshold, smoothing = _how()
    result = results.result(
        chosen,
        "training.dynamics",
        log_place(source).stat().st_mtime,
        source=source,
        threshold=threshold,
        measure=measure,
        smoothing=smoothing,
    )
    parts.chart(result, "dynamics")
    parts.below(result)
    _order(result.order)
    _checkpoints(chosen.model, source)
    parts.take_away(result)


def _how() -> tuple[str, float, int]:
    left, middle, right = st.columns(3)
    measure = link.segments(
        "A digit counts as learnt by", list(MEASURES), key="learnt-by", first="loss", place=left,
        format_func=MEASURES.__getitem__,
    )  # fmt: skip
    threshold = link.slider(
        "Threshold", *SLIDERS[measure], 0.01, key=f"{measure}-limit", place=middle
    )
    smoothing = link.slider("Logged steps in each mean", 1, 10, 1, 1, key="smoothing", place=right)
    return measure, threshold, smoothing


def _order(order: object) -> None:
    with st.expander("The order of learning, as a table"):
        st.dataframe(order, hide_index=True, width="content")
        st.caption(
            "Steps. *learnt_at*: the first logged step past the threshold; *kept_from*: from when "
            "on it stayed so."
        )


def _checkpoints(name: str, source: str) -> None:
    steps = study.checkpoints(source)
    if not steps:
        st.caption("This model ships no checkpoints: the other pages show it as it was at the end.")
        return
    now = study.step_of(name)
    shown = "at the end" if now is None else f"after step {now:,}"
    st.caption(
        f"The slider *Checkpoint* on the left has {len(steps)} places, from step {steps[0]:,} to "
        f"step {steps[-1]:,}. All pages show the model {shown}."
    )


page()

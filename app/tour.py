"""The tour, "how does this model add?": a page a step, each with what to look at in plain words.

The step is in the address (`tour=2`), so a link continues it.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import glossary
from app.plain import plain

KEY = "tour"


@dataclass(frozen=True)
class Step:
    """A page of the tour, its words, and what the page is opened with."""

    page: str
    title: str
    words: str
    opens: tuple[tuple[str, str], ...] = ()


MODEL = (("model", "add5"), ("n", "256"))
STEPS = (
    Step(
        "behaviour",
        "What does it get right?",
        "add5 was trained on sums of two five-digit numbers. A row is a kind of column, by its "
        "carry; a square tells how often that digit of the answer is right. It is yellow all over: "
        "this model adds. So the question is not whether, but how.",
    ),
    Step(
        "attribution",
        "Which digits does each answer digit depend on?",
        "One digit of the problem is replaced, and the model is asked again. Blue: its preference "
        "for the old answer digit (the logit) falls. By arithmetic the tens must depend on the "
        "tens, and on the digits to their right through carries. The right panel is what "
        "arithmetic says; the left one is what the model does.",
    ),
    Step(
        "heads",
        "Which heads carry it?",
        "An attention head is where one position may read another. The output of each head is put "
        "from one problem into another. If much of the answer moves with it, the head carried it. "
        "Click a head to see which positions it reads.",
    ),
    Step(
        "probes",
        "What does it know, and where?",
        "A probe is a simple reader, trained on the numbers inside the model (its residual "
        "stream). The question is whether the carry can be read there, better than from the digits "
        "themselves. Then *Does the model use it?* changes what the probe reads, and looks whether "
        "the answer follows.",
    ),
    Step(
        "geometry",
        "What shape have the digits?",
        "Ten digits, ten points: the mean of the model's inner state for each digit. If they lie "
        "on a circle, counting up is turning. The null says how round ten shuffled points would "
        "look.",
    ),
)  # fmt: skip


def begin_link(label: str) -> None:
    """A link to the first step."""
    _link(1, label)


def banner(page: str) -> None:
    """On a page of the tour: which step this is, in words, and the way on. Nothing elsewhere."""
    step = _step()
    if step is None or STEPS[step - 1].page != page:
        return
    here = STEPS[step - 1]
    with st.container(border=True):
        text, onward = st.columns([5, 1], vertical_alignment="center")
        words = glossary.explained(plain(here.words))
        text.markdown(
            f"**Step {step} of {len(STEPS)}: {here.title}** {words}", unsafe_allow_html=True
        )
        with onward:
            if step < len(STEPS):
                _link(step + 1, f"Next: {STEPS[step].page}")
            else:
                st.page_link("views/start.py", label="Back to the start")


def _link(step: int, label: str) -> None:
    to = STEPS[step - 1]
    st.page_link(
        f"views/{to.page}.py",
        label=label,
        icon=":material/arrow_forward:",
        query_params=[*MODEL, *to.opens, (KEY, str(step))],
    )


def _step() -> int | None:
    asked = st.query_params.get(KEY, "")
    return int(asked) if asked.isdigit() and 1 <= int(asked) <= len(STEPS) else None

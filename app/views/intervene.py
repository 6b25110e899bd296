"""What does a change inside the model do to one answer?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import answers, drawings, jobs, parts, results, sidebar, stack_rows, study
from app.cells import TYPEFACE, in_dark
from app.plain import plain
from interp.arithmetic.typed import read_problem
from interp.catalogue import entry
from interp.errors import ArithmoscopeError
from interp.figures.theme import TEMPLATE
from interp.stack._intervene import intervened
from interp.stack.figures.intervene import drawing, height
from interp.stack.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interp.arithmetic.tasks import Task
    from interp.stack.edits import Edit
    from interp.stack.results.intervene import Intervened

HEAD, FOOT = 66, 56  # pixels: legend and the upper panel's title; the axis title


def page() -> None:
    """A problem and a stack of interventions; the answer, digits and logits before and after."""
    parts.heading("Intervene", "What does a change inside the model do to one answer?")
    chosen = study.current()
    sample = jobs.run(
        ("sample for intervene", chosen),
        f"Asking {chosen.model} a sample of {chosen.task}",
        lambda: _prepared(chosen),
    )
    _bench(sample, chosen)


@st.fragment
def _bench(sample: Prepared, chosen: study.Study) -> None:
    """Everything that a change of the stack redraws."""
    task = sample.batch.problems.task
    typed = sidebar.typed_problem()
    problem = typed or _usual(task)
    if not typed:
        st.caption(plain(f"Until one is typed in: {problem}"))
    answer = st.container(width="content")
    edits = stack_rows.rows(sample, f"{chosen.model_hash} {chosen.task} {chosen.format}")
    try:
        read_problem(task, problem)
        result = _result(sample, edits, problem, chosen)
    except ArithmoscopeError as error:
        parts.problem(error)
        return
    with answer:
        st.html(answers.table(result))
    _say(result)
    st.plotly_chart(_picture(result), theme=None, key="intervened", config=parts.CHART)
    st.caption(plain(result.caption))
    parts.limits(result)
    parts.take_away(result)


def _usual(task: Task) -> str:
    """The problem at first sight: a carry through all digits, where the task adds two numbers."""
    if task.arithmetic == "sum" and task.operators == (("+",),):
        return f"{'9' * task.operand_digits[0]}+1"
    return task.sample(1, seed=0).text(0)


@st.cache_resource(max_entries=4, show_spinner=False)
def _prepared(chosen: study.Study) -> Prepared:
    n = entry("intervene").n if chosen.n is None else chosen.n
    assert n is not None
    return Prepared.of(
        results.loaded(chosen), chosen.task, n=n, seed=chosen.seed, format=chosen.format,
        held_out=True, memory=2**30,
    )  # fmt: skip


def _result(
    sample: Prepared, edits: Sequence[Edit], problem: str, chosen: study.Study
) -> Intervened:
    """The library's Result. Means, waves and probes are made on first use, with progress."""

    def call() -> Intervened:
        job = jobs.current()
        sample.make(edits, progress=job.progress, cancel=job.cancel)
        return intervened(sample, edits, problem=problem)

    key = ("intervene", chosen, tuple(edits), problem)
    return jobs.run(key, f"Preparing means, waves and probes of {chosen.task}", call)


def _say(result: Intervened) -> None:
    """The conclusion, as a warning where nothing changed; and what each edit rests on."""
    if result.stack and not result.changed:
        st.warning(plain(result.conclusion()), icon=":material/do_not_disturb_on:")
    else:
        st.markdown(f"**{plain(result.conclusion())}**")
    rests = [f"{edit}: {told}" for edit, told in zip(result.stack, result.details, strict=True)]
    if rests:
        st.caption(plain(" · ".join(rests)))


def _picture(result: Intervened) -> Any:
    """The figure in the page's typeface, without the text that stands around it here."""
    figure = drawing(result)
    figure.update_layout(
        template=TEMPLATE,
        height=height(result) + HEAD + FOOT,
        margin={"t": HEAD, "b": FOOT, "l": 60, "r": 20},
        legend={"orientation": "h", "x": 0, "y": 1, "yref": "container", "yanchor": "top"},
        font={"family": TYPEFACE, "size": 13},
        dragmode=False,
    )
    return in_dark(figure) if drawings.dark() else figure


page()

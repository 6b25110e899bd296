"""Where one begins: a problem to type, a tour, and examples that show something."""

from __future__ import annotations

import streamlit as st

import interp
from app import answers, parts, results, sidebar, study, tour
from app.plain import counted, plain
from interp.arithmetic.typed import read_problem
from interp.errors import InputError

PLACEHOLDER = {"add": "99999+1", "mul": "37*48"}
GUIDES = (
    (
        "A multiplier that errs",
        "mul3x3-sft-s2 multiplies three digits by three, often wrongly: which digit, and how?",
        "behaviour",
        (("model", "mul3x3-sft-s2"), ("n", "256")),
    ),
    (
        "Products that wait in a cache",
        "mul4x4-icot never writes a product down, and is right: heads fetch what others stored.",
        "tree",
        (("model", "mul4x4-icot"), ("n", "64")),
    ),
    (
        "Addition on a circle",
        "mod113 adds on a clock of 113 hours: its numbers lie on circles, and that is how it adds.",
        "geometry",
        (("model", "mod113"),),
    ),
    (
        "Where a language model adds",
        "SmolLM2, fine-tuned on arithmetic, has 270 heads. Which of them write the digits?",
        "heads",
        (("model", "smollm2-arith"), ("task", "add:1")),
    ),
)


def page() -> None:
    """Ask the model one problem, follow the tour, or open an example."""
    chosen = study.current()
    parts.heading("arithmoscope", "How does this model do arithmetic? Ask it, then look inside.")
    _ask(chosen)
    st.subheader("Guided", anchor=False)
    with st.container(border=True):
        text, link = st.columns([4, 1], vertical_alignment="center")
        text.markdown(
            f"**How does this model add?** {counted(len(tour.STEPS), 'page')} of add5, one click "
            "each, in plain words. Nothing needs to be known beforehand."
        )
        with link:
            tour.begin_link("Take the tour")
    for column, (title, words, view, opens) in zip(st.columns(len(GUIDES)), GUIDES, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**  \n{words}")
            st.page_link(
                f"views/{view}.py", label="Open", icon=":material/arrow_forward:",
                query_params=opens,
            )  # fmt: skip


def _ask(chosen: study.Study) -> None:
    """The answer to the problem typed in, token by token, with the right one beside it."""
    typed = sidebar.typed_problem()
    task = interp.task(chosen.task)
    if not typed:
        example = task.sample(1, seed=0).text(0)
        asked = f"{chosen.model} is asked {chosen.task}: type one such as {example}."
        st.caption(plain(asked))
        return
    try:
        read_problem(task, typed)
    except InputError as error:
        parts.problem(error)
        return
    result = results.result(chosen, "intervene", problem=typed, controls=0)
    st.html(answers.table(result, {"before": "the model"}))
    right = bool(result.metrics["right_before"])
    said = "".join(result.answer["before"])
    wanted = "".join(result.answer["right"])
    st.markdown(
        f"It writes **{plain(said)}**, which is right." if right
        else f"It writes **{plain(said)}**; right is **{plain(wanted)}**."
    )  # fmt: skip
    st.caption("Switch on *Show it alone on every page* on the left to look inside this prompt.")
    parts.below(result, drawn=False)
    parts.take_away(result, drawn=False)


page()

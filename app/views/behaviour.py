"""What does it get right, and how is it wrong?"""

from __future__ import annotations

import streamlit as st

from app import behaviour_parts, parts, results, sidebar, study
from app.plain import plain

SHOTS = (0, 1, 2, 4, 8)
ANSWERS, SEARCH = "This prompt", "Search for a better prompt"
DOCTOR = "How it wants to be asked"
OF_ANY = {
    "Kinds of errors": behaviour_parts.errors,
    "The fault behind them": behaviour_parts.explanation,
    "Wrong digits forced in": behaviour_parts.noisy_prefix,
}
OF_LANGUAGE_MODELS = {
    "Number Cookbook": behaviour_parts.cookbook,
    "Everyday estimates": behaviour_parts.approximation,
}
OF_OTHERS = {"Published answers": behaviour_parts.published}


def page() -> None:
    """Accuracy by answer digit and carry class with the wrong answers, or another analysis."""
    chosen = study.current()
    parts.heading("Behaviour", "What does it get right, and how is it wrong?")
    speaks = results.model(chosen.model).card is None
    views = {ANSWERS: _answers, DOCTOR: _doctor, **OF_ANY}
    views |= {SEARCH: _search, **OF_LANGUAGE_MODELS} if speaks else {}
    views |= OF_OTHERS
    if st.session_state.get("asked") not in views:  # kept from a model with more analyses
        st.session_state["asked"] = ANSWERS
    shown = st.segmented_control(
        "What to ask",
        list(views),
        required=True,
        label_visibility="collapsed",
        key="asked",
        persist_state="session",
    )
    views[str(shown)](chosen)


def _answers(chosen: study.Study) -> None:
    result = results.result(chosen, "behaviour.accuracy")
    clicked = parts.chart(result, "behaviour")
    parts.below(result)
    cell = (clicked[1], clicked[0]) if clicked else None
    wrong = results.wrong_answers(chosen, result, cell)
    with st.container(border=True):
        where = f"whose {cell[0]} is wrong in class {cell[1]}" if cell else "in the whole sample"
        hint = "" if cell or not len(wrong) else " Click a cell to see only its own."
        st.markdown(f"**{len(wrong):,} wrong answers** {where}.{hint}")
        if len(wrong):
            st.dataframe(wrong, hide_index=True, height=min(320, 38 + 35 * len(wrong)))
    parts.take_away(result)


def _search(chosen: study.Study) -> None:
    shots = st.pills(
        "Solved examples before the question",
        SHOTS,
        selection_mode="multi",
        default=(0, 1, 2),
        key="shots",
        persist_state="session",
    )
    result = results.result(chosen, "behaviour.search_prompts", shots=tuple(sorted(shots)))
    parts.chart(result, "search")
    parts.below(result)
    _offer(chosen, result.best)
    parts.take_away(result)


def _doctor(chosen: study.Study) -> None:
    _offer(chosen, behaviour_parts.doctor(chosen))


def _offer(chosen: study.Study, best: str) -> None:
    key = sidebar.format_key(results.model(chosen.model), chosen.task)
    st.button(
        f"Study it with {plain(best)}",
        on_click=_use,
        args=(key, best),
        disabled=chosen.format == best,
    )


def _use(key: str, best: str) -> None:
    st.session_state[key] = best
    st.session_state["asked"] = ANSWERS


page()

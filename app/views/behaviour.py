"""What does it get right, and how is it wrong?"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import behaviour_parts, link, parts, results, sidebar, study
from app.plain import counted, plain
from interp.arithmetic.subtasks import CLASS_MEANINGS

SHOTS = (0, 1, 2, 4, 8)
ANSWERS, SEARCH = "This prompt", "Search for a better prompt"
EVERY = "every one"
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
    shown = link.segments(
        "What to ask", list(views), key="asked", first=ANSWERS, label_visibility="collapsed"
    )
    views[shown](chosen)


def _answers(chosen: study.Study) -> None:
    result = results.result(chosen, "behaviour.accuracy")
    clicked = parts.chart(result, "behaviour")
    with st.container(border=True):
        _wrong(chosen, result, clicked)
    parts.below(result)
    parts.take_away(result)


def _wrong(chosen: study.Study, result: Any, clicked: tuple[str, ...] | None) -> None:
    """The wrong answers: all, or of the class and the answer digit that are chosen."""
    cells = result.breakdown("carry class")
    kinds, digits = (
        [EVERY, *dict.fromkeys(cells[name].astype(str))] for name in ("group", "answer_digit")
    )
    kind, digit = parts.pick(
        ("class", "Carry class", kinds), ("wrong", "Answer digit", digits), clicked, (EVERY, EVERY)
    )
    wrong = results.wrong_answers(chosen, result, *(
        None if one == EVERY else one for one in (digit, kind)
    ))  # fmt: skip
    place = [f"in which {digit} is wrong"] if digit != EVERY else []
    place += [f"with a wrong digit in a column of class {kind}"] if kind != EVERY else []
    where = " ".join(place) or "in the whole sample"
    st.markdown(f"**{counted(len(wrong), 'wrong answer')}** {where}.")
    if (what := CLASS_MEANINGS.get(kind)) is not None:
        st.caption(f"{kind}: {what}.")
    if len(wrong):
        st.dataframe(wrong, hide_index=True, height=min(320, 38 + 35 * len(wrong)))


def _search(chosen: study.Study) -> None:
    shots = link.several("Solved examples before the question", SHOTS, key="shots", first=(0, 1, 2))
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

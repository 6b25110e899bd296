"""Which heads carry the answer?"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import head_parts, link, parts, results, study
from app.head_parts import Measure

PATTERN, DIGITS, REMOVED = "Attention by role", "Effect by answer digit", "Knock-out from here"


def page() -> None:
    """A number for every head by layer; the pattern, digits and knock-out of the one chosen."""
    chosen = study.current()
    parts.heading("Heads", "Which heads carry the answer?")
    model = results.loaded(chosen)
    measure = head_parts.choose_measure(model)
    result = results.result(chosen, measure.name, **head_parts.sample(chosen, model, measure))
    clicked = parts.chart(result, f"heads {measure.name}", measure.figure)
    with st.container(border=True):
        node = head_parts.choose_head(model, measure, result, clicked)
        _follow(chosen, model, measure, result, node)
    parts.below(result, name=measure.figure)
    parts.take_away(result, name=measure.figure)


def _follow(chosen: study.Study, model: Any, measure: Measure, result: Any, node: str) -> None:
    is_head = "H" in node
    shown = link.segments(
        "Look closer",
        [PATTERN, DIGITS, REMOVED] if is_head else [DIGITS],
        key="closer-look" if is_head else "closer-look-at-mlp",
        first=PATTERN if is_head else DIGITS,
        label_visibility="collapsed",
    )
    if shown == PATTERN:
        head_parts.attention(chosen, node)
    elif shown == DIGITS:
        head_parts.by_digit(measure, result, node)
    else:
        head_parts.knockout(chosen, model, head_parts.strongest(measure, result), node)


page()

"""Any analysis of prompts or problems that no other page shows, by its catalogue entry."""

from __future__ import annotations

import streamlit as st

from app import link, more, parts, results, study


def page() -> None:
    """Question, figure, verdict, caveat and take-away of the analysis chosen."""
    known = {entry.name: entry for entry in more.entries()}
    title = st.container()
    name = link.select("Analysis", list(known), key="more", first=next(iter(known)))
    with title:
        parts.heading("More analyses", known[name].question)
    result = results.result(study.current(), name)
    drawn = bool(known[name].figures)
    if drawn:
        parts.chart(result, f"more {name}")
    else:
        st.dataframe(result.frame, hide_index=True)
    parts.below(result, drawn=drawn)
    parts.take_away(result, drawn=drawn)


page()

"""What is represented, where, beyond what the digits give for free?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import link, parts, probe_parts, study
from app.plain import plain
from probes.figures.sweep import cells_of

if TYPE_CHECKING:
    from probes.results.sweep import ProbeSweep

ONE, LAYERS, CAUSAL = "This cell", "Layer by layer", "Does the model use it?"


def page() -> None:
    """Gain over the reference by layer and role; one cell with its controls and causal test."""
    chosen = study.current()
    parts.heading("Probes", "What is represented, where, beyond what the digits give for free?")
    asked = probe_parts.ask(chosen)
    result = probe_parts.sweep(chosen, asked)
    clicked = parts.chart(result, "probes")
    with st.container(border=True):
        _follow(chosen, asked, result, clicked)
    parts.below(result)
    parts.take_away(result)


def _follow(
    chosen: study.Study,
    asked: probe_parts.Asked,
    result: ProbeSweep,
    clicked: tuple[str, ...] | None,
) -> None:
    """Show the chosen analysis of the clicked cell."""
    cells = cells_of(result, asked.target)
    best = cells.loc[int(result.best(asked.target).name)]
    places, roles = (list(dict.fromkeys(cells[name])) for name in ("row", "role"))
    first = (str(best["row"]), str(best["role"]))
    label, role = parts.pick(("place", "Place", places), ("role", "Role", roles), clicked, first)
    here = cells[(cells["row"] == label) & (cells["role"] == role)]
    if here.empty:
        st.info(f"{plain(role)} was not probed at {plain(label)}.", icon=":material/info:")
        return
    row = here.iloc[0]
    shown = link.segments(
        "Look closer", [ONE, LAYERS, CAUSAL], key="probe-closer", first=ONE,
        label_visibility="collapsed",
    )  # fmt: skip
    if shown == ONE:
        probe_parts.cell(result, row)
    elif shown == LAYERS:
        probe_parts.layers(result, row)
    else:
        probe_parts.causal(chosen, asked, row)


page()

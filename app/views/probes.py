"""What is represented, where, beyond what the digits give for free?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import parts, probe_parts, study
from probes.figures.sweep import cells_of

if TYPE_CHECKING:
    import pandas as pd

    from probes.results.sweep import ProbeSweep

CELL = "probe cell chosen"
ONE, LAYERS, CAUSAL = "This cell", "Layer by layer", "Does the model use it?"


def page() -> None:
    """Gain over the reference by layer and role; one cell with its controls and causal test."""
    chosen = study.current()
    parts.heading("Probes", "What is represented, where, beyond what the digits give for free?")
    asked = probe_parts.ask(chosen)
    result = probe_parts.sweep(chosen, asked)
    clicked = parts.chart(result, "probes")
    parts.below(result)
    with st.container(border=True):
        _follow(chosen, asked, result, clicked)
    parts.take_away(result)


def _follow(
    chosen: study.Study,
    asked: probe_parts.Asked,
    result: ProbeSweep,
    clicked: tuple[str, ...] | None,
) -> None:
    """Show the chosen analysis of the clicked cell."""
    row = _cell(result, asked.target, clicked)
    if row is None:
        text, button = st.columns([4, 1], vertical_alignment="center")
        text.markdown("Click a cell to see true against predicted, the controls, the causal test.")
        best = _label(result, asked.target, int(result.best(asked.target).name))
        button.button("Show me one", on_click=_keep, args=(best,), width="stretch")
        return
    shown = st.segmented_control(
        "Look closer",
        [ONE, LAYERS, CAUSAL],
        default=ONE,
        required=True,
        label_visibility="collapsed",
        key="probe closer",
        persist_state="session",
    )
    if shown == ONE:
        probe_parts.cell(result, row)
    elif shown == LAYERS:
        probe_parts.layers(result, row)
    else:
        probe_parts.causal(chosen, asked, row)


def _cell(result: ProbeSweep, target: str, clicked: tuple[str, ...] | None) -> pd.Series | None:
    """The row of the cell clicked last, or None if this sweep lacks it."""
    if clicked is not None:
        _keep((clicked[0], clicked[1]))
    if CELL not in st.session_state:
        return None
    label, role = st.session_state[CELL]
    cells = cells_of(result, target)
    here = cells[(cells["row"] == label) & (cells["role"] == role)]
    return None if here.empty else here.iloc[0]


def _label(result: ProbeSweep, target: str, cell: int) -> tuple[str, str]:
    """Row and column of a cell in the heat map."""
    row = cells_of(result, target).loc[cell]
    return str(row["row"]), str(row["role"])


def _keep(cell: tuple[str, str]) -> None:
    st.session_state[CELL] = cell


page()

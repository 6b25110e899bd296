"""Parts of the Ablation page below the schedule, one function each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

import interp
from app import ablation_sliders as sliders
from app import calls, drawings, jobs, link, parts
from app.ablation_sliders import Drawn
from app.results import loaded
from app.results import model as model_of
from app.results import result as computed
from app.study import Study
from interp.ablation.replacements import GIVEN
from interp.ablation.results.af1 import AllForOne
from interp.ablation.results.evaluate import AblationScore
from interp.ablation.results.grid import AblationGrid
from interp.ablation.results.transfer import AblationTransfer
from interp.ablation.schedule import Schedule
from interp.arithmetic.formats import format_names
from interp.catalogue import entry

CLICKED = "ablation cell"  # of the grid, the one that the sliders were last sent to
GRID, NOTHING = "Every wait and width", "Nothing more"
SHALLOW = 8  # layers of a model whose grid takes seconds
STYLES = 3  # formats that a schedule is tried in until others are chosen


def score(chosen: Study, drawn: Drawn) -> AblationScore:
    """Score the schedule of the sliders: the share of answers that it keeps."""
    result: AblationScore = computed(
        chosen, "ablation.evaluate", schedule=_schedule(chosen, drawn), **_filled(drawn)
    )
    return result


def _filled(drawn: Drawn) -> dict[str, Any]:
    return {"replacement": drawn.replacement, "sink": drawn.sink}


def _schedule(chosen: Study, drawn: Drawn) -> Schedule:
    return drawn.schedule(loaded(chosen).shape.n_layers)


def transfer(study: Study, drawn: Drawn, formats: tuple[str, ...]) -> AblationTransfer:
    """Score the schedule of the sliders on the same problems in other formats."""
    key = ("ablation transfer", study, drawn, formats)
    text = f"Computing the schedule in {len(formats)} formats"
    return jobs.run(key, text, lambda: _transfer(study, drawn, formats))


@st.cache_resource(max_entries=16, show_spinner=False)
def _transfer(study: Study, drawn: Drawn, formats: tuple[str, ...]) -> AblationTransfer:
    job, model = jobs.current(), loaded(study)
    n = study.n or entry("ablation.transfer").n
    asked = calls.Sample(study.task, n, study.seed, problem=study.problem)
    sample = calls.problems_of(model, asked)
    return interp.ablation.transfer(
        model,
        drawn.schedule(model.shape.n_layers),
        {name: model.prompts(sample, format=name) for name in formats},
        replacement=drawn.replacement,
        sink=drawn.sink,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


def grid(chosen: Study, drawn: Drawn) -> None:
    """Show the grid of waits × widths; a click on a cell moves the sliders to its schedule."""
    result = computed(chosen, "ablation.grid", transfer_mask=drawn.mask, **_filled(drawn))
    st.caption("Click a cell to draw its schedule above: transfer begins where waiting ends.")
    cell = cell_of(result, parts.chart(result, "ablation grid"))
    parts.below(result)
    _each_digit(result)
    parts.take_away(result)
    if cell != st.session_state.get(CLICKED):  # a click stays selected over the following reruns
        st.session_state[CLICKED] = cell
        if cell is not None:
            wait, width = cell
            sliders.move(wait, wait, width)
            st.rerun()


def alternatives(chosen: Study, drawn: Drawn) -> None:
    """Score the schedule, or search, under each replacement and mask."""
    left, right = st.columns(2)
    replacements = link.several(
        "Replacements, each with the first mask",
        [*sliders.KEYED, *sliders.UNKEYED],
        key="replacements",
        first=("cama", *sliders.UNKEYED),
        place=left,
    )
    masks = link.several(
        "Masks, each with the first replacement",
        sliders.MASKS,
        key="masks",
        first=("full-peek", "operands"),
        place=right,
    )
    anew = link.toggle("Search anew under each, instead of the schedule above", key="anew")
    if not replacements or not masks:
        st.info("Choose at least one replacement and one mask.")
        return
    result = computed(
        chosen,
        "ablation.compare",
        schedule=None if anew else _schedule(chosen, drawn),
        sink=drawn.sink,
        replacements=replacements,
        masks=masks,
    )
    _shown(result, "ablation comparison")
    listed = result.table.drop(columns="reason")
    st.dataframe(listed, hide_index=True)
    parts.take_away(result)


def removal(chosen: Study, drawn: Drawn) -> None:
    """Test whether each layer's transfer is necessary."""
    result = computed(
        chosen, "ablation.removal", schedule=_schedule(chosen, drawn), **_filled(drawn)
    )
    _shown(result, "ablation removal")
    parts.take_away(result)


def search(chosen: Study, drawn: Drawn) -> None:
    """Search the sparsest schedule that keeps the target; a button moves the sliders to it."""
    percent = link.slider(
        "Keep at least this share of the right answers (%)", 10, 100, 90, 5, key="keep"
    )
    result = computed(
        chosen,
        "ablation.af1",
        target=percent / 100,
        transfer_mask=drawn.mask,
        **_filled(drawn),
    )
    _shown(result, "ablation search")
    if result.status == "found" and result.transfer:
        _offer(result)
    parts.take_away(result)


def other_prompts(chosen: Study, drawn: Drawn) -> None:
    """Show the schedule's scores on the same problems in other formats."""
    model = model_of(chosen.model)
    read = model.formats if model.card else format_names(interp.task(chosen.task))
    known = [name for name in read if name != chosen.format]
    formats = link.several(
        "The same problems written as", known, key="formats", first=known[:STYLES],
        accept_new_options=True,
    )  # fmt: skip
    if not formats:
        st.info("Choose at least one other format.")
        return
    result = transfer(chosen, drawn, (chosen.format, *formats))
    _shown(result, "ablation transfer")
    parts.take_away(result)


def table(chosen: Study, drawn: Drawn) -> None:
    """Show, by layer, how much of a token's state its identity explains."""
    given = link.segments("Given its own", GIVEN, key="given-its-own", first="token")
    result = computed(chosen, "ablation.cama", given=given)
    _shown(result, "ablation table")
    parts.take_away(result)


def _each_digit(result: AblationGrid) -> None:
    """Show the grid of each answer token if an answer has several."""
    figures = drawings.further(result)
    for name, figure in figures.items():
        with st.expander(figure.layout.title.text, icon=":material/grid_view:"):
            parts.picture(result, f"ablation grid {name}", name, partial(figures.__getitem__, name))


def _offer(result: AllForOne) -> None:
    """Show a button that moves the sliders to the schedule found."""
    first, width = result.transfer[0], len(result.transfer)
    st.button(
        "Draw it above",
        on_click=sliders.move,
        args=(result.wait, first, width),
        help="With all heads of these layers: the sliders draw layers.",
    )


def cell_of(result: AblationGrid, clicked: Sequence[str] | None) -> tuple[int, int] | None:
    """The clicked wait and width; None if no such schedule exists."""
    if clicked is None:
        return None
    width, wait = (int(label) for label in clicked)
    return (wait, width) if wait + width <= result.n_layers else None


def _shown(result: Any, key: str) -> None:
    parts.chart(result, key)
    parts.below(result)


PARTS = {
    GRID: grid,
    "Alternatives": alternatives,
    "One layer at a time": removal,
    "Search": search,
    "Other prompts": other_prompts,
    "What tokens know": table,
}


def closer(chosen: Study, drawn: Drawn, n_layers: int) -> None:
    """Show the chosen follow-up analysis: first the grid, unless it has very many cells."""
    with st.container(border=True):
        shown = link.segments(
            "Look closer", [*PARTS, NOTHING], key="ablation-closer",
            first=GRID if n_layers <= SHALLOW else NOTHING, label_visibility="collapsed",
        )  # fmt: skip
        if shown in PARTS:
            PARTS[shown](chosen, drawn)

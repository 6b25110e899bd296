"""Parts of the Ablation page below the schedule, one function each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

import interp
from app import ablation_sliders as sliders
from app import calls, jobs, parts
from app.ablation_sliders import Drawn
from app.cells import caption, embedded
from app.plain import plain
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
from interp.figures.registry import gallery

CLICKED = "ablation cell"  # of the grid, the one that the sliders were last sent to
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


@st.cache_data(max_entries=16, show_spinner=False)
def _transfer(study: Study, drawn: Drawn, formats: tuple[str, ...]) -> AblationTransfer:
    job, model = jobs.current(), loaded(study)
    n = study.n or entry("ablation.transfer").n
    sample = calls.problems_of(model, calls.Sample(study.task, n, study.seed))
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
    replacements = left.multiselect(
        "Replacements, each with the first mask",
        [*sliders.KEYED, *sliders.UNKEYED],
        default=("cama", *sliders.UNKEYED),
        key="ablation replacements",
    )
    masks = right.multiselect(
        "Masks, each with the first replacement",
        sliders.MASKS,
        default=("full-peek", "operands"),
        key="ablation masks",
    )
    anew = st.toggle("Search anew under each, instead of the schedule above", key="ablation anew")
    if not replacements or not masks:
        st.info("Choose at least one replacement and one mask.")
        return
    result = computed(
        chosen,
        "ablation.compare",
        schedule=None if anew else _schedule(chosen, drawn),
        sink=drawn.sink,
        replacements=tuple(replacements),
        masks=tuple(masks),
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
    percent = st.slider(
        "Keep at least this share of the right answers (%)",
        min_value=10,
        max_value=100,
        value=90,
        step=5,
        key="ablation target",
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
    formats = st.multiselect(
        "The same problems written as",
        known,
        default=known[:STYLES],
        accept_new_options=True,
        key=f"ablation formats {chosen.task}",
    )
    if not formats:
        st.info("Choose at least one other format.")
        return
    result = transfer(chosen, drawn, (chosen.format, *formats))
    _shown(result, "ablation transfer")
    parts.take_away(result)


def table(chosen: Study, drawn: Drawn) -> None:
    """Show, by layer, how much of a token's state its identity explains."""
    given = st.segmented_control(
        "Given its own", GIVEN, default="token", required=True, key="ablation key"
    )
    result = computed(chosen, "ablation.cama", given=str(given))
    _shown(result, "ablation table")
    parts.take_away(result)


def _each_digit(result: AblationGrid) -> None:
    """Show the grid of each answer token if an answer has several."""
    for name, figure in list(gallery(result).items())[1:]:
        with st.expander(figure.layout.title.text, icon=":material/grid_view:"):
            st.plotly_chart(
                embedded(figure), theme=None, key=f"ablation grid {name}", config=parts.CHART
            )
            st.caption(plain(caption(figure)))


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
    "Every wait and width": grid,
    "Alternatives": alternatives,
    "One layer at a time": removal,
    "Search": search,
    "Other prompts": other_prompts,
    "What tokens know": table,
}


def closer(chosen: Study, drawn: Drawn) -> None:
    """Show the chosen follow-up analysis; empty until one is chosen."""
    with st.container(border=True):
        shown = st.segmented_control(
            "Look closer", list(PARTS), key="ablation closer", persist_state="session"
        )
        if shown is None:
            st.markdown(
                "Open **Every wait and width** to see the faithfulness of all schedules at once, "
                "or compare this one with other replacements and masks."
            )
            return
        PARTS[str(shown)](chosen, drawn)

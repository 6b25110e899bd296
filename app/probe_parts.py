"""Parts of the Probes page: target choice, one cell, scores by layer, the causal test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

import interp
import probes
from app import jobs, link, parts, results
from app.plain import plain
from app.study import Study
from interp.arithmetic.answers_if import answer_follows
from interp.catalogue import entry
from probes.figures.cell import measured, probe_cell
from probes.figures.layers import score_by_layer
from probes.figures.sweep import FLOW
from probes.results.sweep import REFERENCES

if TYPE_CHECKING:
    import pandas as pd

    from interp.models.model import Model
    from probes.results.causal_test import ProbeUse
    from probes.results.sweep import ProbeSweep

FIRST = ("carry[1]", "running_sum[1]", "carry[0]", "c_value", "c[0]")  # default targets
HELD_OUT = {  # the split, and in how many turns
    "Values of an operand": ("operand", 1),
    "Each operand value once": ("operand", 4),
    "Problems": ("problem", 1),
}
MODES = {"move": "Move it to another value", "remove": "Take it out"}
FEW_LAYERS = 12  # default number of probed layers of a deeper model
EDITED = "probe edited"


@dataclass(frozen=True)
class Asked:
    """Target and places of a sweep; layers None means all."""

    target: str
    sites: tuple[str, ...]
    layers: tuple[int, ...] | None
    split: str
    turns: int = 1


@dataclass(frozen=True)
class Place:
    """One cell of the sweep; head -1 where the site has none."""

    site: str
    layer: int
    head: int
    role: str


def sweep(study: Study, asked: Asked) -> ProbeSweep:
    """Probe one target at every layer of the sites and every default role."""
    result: ProbeSweep = results.result(
        study,
        "probes.probe",
        targets=(asked.target,),
        sites=asked.sites,
        layers=asked.layers,
        split=asked.split,
        turns=asked.turns,
    )
    return result


def use(study: Study, asked: Asked, place: Place, mode: str) -> ProbeUse:
    """Causal test of one cell's probe; with several turns, of the first turn's probe."""
    text = f"Editing {asked.target} at {place.site} of layer {place.layer}, {place.role}"
    key = ("probe use", study, asked.target, asked.split, place, mode)
    return jobs.run(key, text, lambda: _use(study, asked.target, asked.split, place, mode))


@st.cache_resource(max_entries=32, show_spinner=False)
def _use(study: Study, target: str, split: str, place: Place, mode: str) -> ProbeUse:
    job, model = jobs.current(), results.loaded(study)
    fitted = probes.fit(
        model,
        study.task,
        target,
        site=place.site,
        layer=place.layer,
        role=place.role,
        head=None if place.head < 0 else place.head,
        n=study.n or entry("probes.probe").n or 512,
        seed=study.seed,
        format=study.format,
        split=split,
        cancel=job.cancel,
    )
    chosen: Any = mode
    return probes.intervene(
        model, fitted, mode=chosen, seed=study.seed, progress=job.progress, cancel=job.cancel
    )


def ask(chosen: Study) -> Asked:
    """Choose target, sites, layers and split; end the page's run while a choice is missing."""
    model = results.model(chosen.model)
    names = probes.target_names(interp.task(chosen.task))
    wanted = next((name for name in FIRST if name in names), names[0])
    first, second, third = st.columns([3, 4, 2])
    target = link.select(
        "Look for",
        names,
        key="target-of-probe",
        first=wanted,
        place=first,
        help="Columns of the schoolbook algorithm, index 0 least significant, and facts about "
        "whole numbers: magnitude(a), parity(a), near(b,5).",
    )
    sites = link.several(
        "Sites",
        [site for site in FLOW if site in model.usable_sites],
        key="sites",
        first=["resid_post"],
        place=second,
        help="The stream before, between and after attention and MLP, their outputs, and each "
        "head's own (z).",
    )
    held_out = link.select(
        "Held out",
        list(HELD_OUT),
        key="held-out",
        first=next(iter(HELD_OUT)),
        place=third,
        help="Probes are scored on prompts whose operand values, or whose problems, they were "
        "never fitted on: a quarter, or each value once in four turns, which takes four times the "
        "fitting and narrows the intervals.",
    )
    layers = _layers(model)
    if not sites or layers == ():
        st.info("Choose at least one site and one layer.", icon=":material/info:")
        st.stop()
    return Asked(target, sites, layers, *HELD_OUT[held_out])


def _layers(model: Model) -> tuple[int, ...] | None:
    """Layers to probe, None for all; a deep model has an input field with evenly spaced layers."""
    first = default_layers(model.shape.n_layers)
    if first is None:
        return None
    every = list(range(model.shape.n_layers))
    return tuple(sorted(link.several("Layers", every, key="layers", first=first)))


def default_layers(depth: int) -> tuple[int, ...] | None:
    """Evenly spaced layers of a deep model, first and last included; None (all) otherwise."""
    if depth <= FEW_LAYERS:
        return None
    step = -(-depth // (FEW_LAYERS - 1))
    return tuple(sorted({*range(0, depth, step), depth - 1}))


def cell(result: ProbeSweep, row: pd.Series) -> None:
    """Show true against predicted in one cell, and its controls."""
    place = place_of(row)
    head = f" head {place.head}" if place.head >= 0 else ""
    reference = REFERENCES[str(row["reference"])]
    target = plain(str(row["target"]))
    verdict = "**Represented**" if row["represented"] else f"Not more than {reference} tells"
    st.markdown(
        f"{verdict}: **{target}** at {place.site} of layer {place.layer}{head}, role "
        f"{place.role}, has {measured(row.to_dict())}; "
        f"gain {row['gain']:.3g} [{row['gain_low']:.3g}, {row['gain_high']:.3g}], "
        f"q = {row['q']:.2g}."
    )
    cell = int(row.name)
    parts.picture(result, "probe cell", ("cell", cell), lambda: probe_cell(result, cell))


def layers(result: ProbeSweep, row: pd.Series) -> None:
    """Show the score by layer at the cell's site, one panel per role."""
    place = place_of(row)
    asked = (str(row["target"]), place.site, place.head)
    parts.picture(result, "probe layers", asked, lambda: score_by_layer(result, *asked))


def causal(chosen: Study, asked: Asked, row: pd.Series) -> None:
    """Show a button, since the model runs again, then the causal test."""
    place, modes = place_of(row), modes_of(chosen.task, asked.target)
    if asked.turns > 1:
        st.caption("The probe that is edited is that of the first turn.")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    mode = left.segmented_control(
        "What the probe reads",
        modes,
        default=modes[0],
        required=True,
        format_func=MODES.__getitem__,
        key="probe mode" if len(modes) > 1 else "probe mode alone",
        persist_state="session",
    )
    if "move" not in modes:
        st.caption(
            f"No answer follows from another {plain(asked.target)}, which many problems share: it "
            "can be taken out. Of a digit, sum, carry or borrow the answer is worked out "
            "beforehand."
        )
    this = (chosen, asked, place, mode)
    right.button("Edit it, and see the answer", on_click=_edit, args=this, width="stretch")
    if st.session_state.get(EDITED) != this:
        st.markdown(
            "A readable direction may be inert. The edit moves what the probe reads, beside random "
            "steps of the same length, and the answer that arithmetic then gives was worked out "
            "beforehand."
        )
        return
    result = use(*this)
    parts.chart(result, "probe use")
    parts.below(result)
    parts.take_away(result)


def modes_of(task: str, target: str) -> list[str]:
    """Edit modes of a reading, default first; "move" only if the target determines an answer."""
    return ["move", "remove"] if answer_follows(interp.task(task), target) else ["remove"]


def place_of(row: pd.Series) -> Place:
    """Place of a row of `ProbeSweep.frame`."""
    return Place(str(row["site"]), int(row["layer"]), int(row["head"]), str(row["role"]))


def _edit(*this: object) -> None:
    st.session_state[EDITED] = this

"""What shape have the digits?"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import drawings, link, parts, results, study
from interp.geometry.classes import number_roles
from interp.models.model import Model

SHAPE, WAVES, HELIX, SUM, NEURONS, MODULAR = (
    "Figure", "Waves", "Helix", "Minkowski sum", "Operand grids", "Modular addition",
)  # fmt: skip
ANALYSES = {
    SHAPE: "geometry.figure",
    WAVES: "geometry.fourier",
    HELIX: "geometry.helix",
    SUM: "geometry.minkowski",
    NEURONS: "geometry.grid",
    MODULAR: "geometry.modular",
}
CLOSER = {
    SHAPE: ("circles", "alignment", "causal", "errors"),
    WAVES: ("spectrum", "cumulative", "layers"),
    HELIX: ("circles", "patched", "removal", "errors"),
    SUM: ("weights",),
    NEURONS: ("knockout",),
    MODULAR: ("neurons", "pairs", "correct", "losses", "published"),
}


def page() -> None:
    """One shape of the numbers, its null or control, and what follows along it."""
    chosen = study.current()
    parts.heading("Geometry", "What shape have the digits, and is it used?")
    model = results.loaded(chosen)
    modular = chosen.task.startswith("mod:")
    names = [name for name in ANALYSES if modular or name != MODULAR]
    which = link.segments(
        "Shape", names, key="shape", first=MODULAR if modular else SHAPE,
        label_visibility="collapsed",
    )  # fmt: skip
    options = _options(which, chosen, model)
    result = results.result(chosen, ANALYSES[which], **options)
    parts.chart(result, f"geometry {which}")
    _closer(which, result)
    parts.below(result)
    parts.take_away(result)


def _options(which: str, chosen: study.Study, model: Model) -> dict[str, Any]:
    """Arguments of the analysis, from the page's controls."""
    if which == MODULAR:
        return {"modulus": int(chosen.task.partition(":")[2])}
    if which == SHAPE:
        return _figure(chosen, model)
    last = model.shape.n_layers - 1
    if which == SUM:
        return {"layer": _layer(0, last)}
    if which == NEURONS:
        return {"layer": _layer(last, last), "units": 24, "knocked": 8}
    return {"pairs": 0} if which == HELIX else {}


def _layer(first: int, last: int) -> int:
    return link.slider("Layer", 0, last, first, 1, key=f"layer-from-{first}") if last else 0


def _figure(chosen: study.Study, model: Model) -> dict[str, Any]:
    """Role, layer, waves, and whether to move along the figure."""
    batch = model.prompts(_few(chosen), format=chosen.format)
    roles = number_roles(batch)
    left, middle, right = st.columns([2, 1, 2], vertical_alignment="bottom")
    answers = [role for role in roles if role.startswith("predicts(")]
    first = roles.index(answers[len(answers) // 2]) if answers else 0
    role = link.select("Numbers at", roles, key="numbers-at", first=roles[first], place=left)
    last = model.shape.n_layers - 1
    layer = link.number("Layer", 0, last, last, key="at-layer", place=middle)
    waves = link.several(
        "Waves (frequency k)", list(range(1, 6)), key="waves", first=[1, 2, 5], place=right,
        help="Period 10/k. They are removed, kept and moved along in the causal test.",
    )  # fmt: skip
    causal = link.toggle("Move along the figure, and remove it", key="move-along")
    named = waves if waves and not chosen.task.startswith("mod:") else None
    return {"role": role, "layer": int(layer or 0), "frequencies": named, "causal": causal}


def _few(chosen: study.Study) -> Any:
    import interp

    return interp.task(chosen.task).sample(2, seed=chosen.seed)


def _closer(which: str, result: Any) -> None:
    """A further figure of the Result: its null, its planes, its causal test."""
    figures = drawings.further(result)
    known = [name for name in CLOSER[which] if name in figures]
    if not known:
        return
    with st.container(border=True):
        key = f"closer-{which.split()[0].lower()}"
        name = link.segments(
            "Look closer", known, key=key, first=known[0], label_visibility="collapsed"
        )
        parts.picture(result, f"geometry {which} {name}", name, lambda: figures[name])


page()

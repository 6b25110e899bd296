"""Parts of the Heads page: its measures, the choice of a head, and the panels of that head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app import link, parts, results
from app.plain import plain
from app.study import Study
from interp.attribution.figures.direct import component_effects
from interp.figures.matrix import node_at
from interp.heads.figures.attention import one_head
from interp.heads.figures.knockout import head_losses
from interp.heads.figures.patch import head_effects
from interp.heads.figures.paths import sender_effects

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from interp.models.model import Model
    from interp.results.result import Result

FEW = 64  # heads that a sweep over all of them takes seconds for
SWEEPS = ("heads.patch", "heads.knockout")


@dataclass(frozen=True)
class Measure:
    """A number for each head and answer digit.

    name       in the catalogue
    asks       what the number says
    figure     name of the figure by layer and head, None for the main one
    by_digit   draws one head's numbers with their intervals
    values     [nodes, answer digits] of a Result, and the names of its nodes
    """

    name: str
    asks: str
    figure: str | None
    by_digit: Callable[[Any, str], Figure]
    values: Callable[[Any], tuple[tuple[str, ...], np.ndarray[Any, Any]]]


def _patched(result: Any) -> tuple[tuple[str, ...], np.ndarray[Any, Any]]:
    layers, heads = (result.main.axis(name).labels for name in ("layer", "head"))
    names = tuple(node_at(layer, head) for layer in layers for head in heads)
    return names, result.main.values.reshape(len(names), -1)


MEASURES = {
    "Patching": Measure(
        "heads.patch", "Its output of one prompt put into another: how much of the answer moves?",
        None, head_effects, _patched,
    ),
    "Path to the logits": Measure(
        "heads.paths", "The same, along its direct path to the logits alone.",
        None, sender_effects, lambda r: (r.main.axis("sender").labels, r.main.values[:, 0]),
    ),
    "Direct attribution": Measure(
        "attribution.direct", "What it writes towards the right token, beyond another prompt's.",
        "heads", component_effects, lambda r: (r.effect.axis("component").labels, r.beyond),
    ),
    "Knock-out": Measure(
        "heads.knockout", "Its output replaced by its mean: how many answers are lost?",
        "heads", head_losses, lambda r: (r.digits.axis("head").labels, r.digits.values),
    ),
}  # fmt: skip


def choose_measure(model: Model) -> Measure:
    """The measure chosen; of a model with many heads one that needs no sweep is offered first."""
    many = _many(model)
    name = link.segments(
        "Measure",
        list(MEASURES),
        key="measure-of-many" if many else "measure",
        first="Direct attribution" if many else "Patching",
        label_visibility="collapsed",
    )
    measure = MEASURES[name]
    heads = model.shape.n_layers * model.shape.n_heads
    sweeps = many and measure.name in SWEEPS
    more = f" A run for each of {heads} heads: minutes; *Stop* ends it." if sweeps else ""
    st.caption(measure.asks + more)
    return measure


def choose_head(model: Model, measure: Measure, result: Result, clicked: Any) -> str:
    """The head clicked or selected: first the strongest over all answer digits. "L0.mlp" where an
    MLP was chosen."""
    names, values = measure.values(result)
    known = [name for name in names if "H" in name or name.endswith(".mlp")]
    first = strongest(measure, result)[0].removeprefix("L").split("H")
    heads = [str(head) for head in range(model.shape.n_heads)]
    columns = [*heads, "MLP"] if any(name.endswith(".mlp") for name in known) else heads
    layers = [str(layer) for layer in range(model.shape.n_layers)]
    text, places = st.columns([3, 2], vertical_alignment="center")
    with places:
        layer, head = parts.pick(
            ("layer", "Layer", layers), ("head", "Head", columns), clicked, (first[0], first[1])
        )
    node = node_at(str(layer), str(head))
    place = [f"{node}: {np.nanmean(values[list(names).index(node)]):.3g}"] if node in names else []
    text.markdown(
        f"Click a cell, or choose one here. **{plain(place[0] if place else node)}**"
        + (" on average over the answer digits." if place else ", which was not measured.")
    )
    return node


def strongest(measure: Measure, result: Result) -> list[str]:
    """Heads by their mean over the answer digits, largest first."""
    names, values = measure.values(result)
    mean = np.nanmean(values, axis=1)
    order = np.argsort(-mean, kind="stable")
    return [names[i] for i in order if "H" in names[i]]


def attention(chosen: Study, node: str) -> None:
    """Show the head's pattern by role, plain and weighted."""
    layer, head = node.removeprefix("L").split("H")
    result = results.result(chosen, "heads.attention", layers=(int(layer),), **few(chosen, 64))
    parts.picture(result, "head pattern", node, lambda: one_head(result, layer, head))
    parts.limits(result)
    parts.take_away(result)


def by_digit(measure: Measure, result: Result, node: str) -> None:
    """Show the head's number for each answer digit, beside its control."""
    draw = partial(measure.by_digit, result, node)
    parts.picture(result, "head digits", ("digits", node), draw)
    parts.limits(result)


def knockout(chosen: Study, model: Model, ranked: list[str], node: str) -> None:
    """Show accuracy as heads are removed, this one first, beside random orders."""
    many = _many(model)
    order = [node, *(name for name in ranked if name != node)][: 8 if many else None]
    sizes = {"random_orders": 5 if many else 20, **few(chosen, 64 if many else 128)}
    result = results.result(chosen, "heads.knockout", order=tuple(order), **sizes)
    parts.chart(result, "head knockout")
    parts.below(result)
    parts.take_away(result, key="knock-out from a head")


def sample(chosen: Study, model: Model, measure: Measure) -> dict[str, int]:
    """Fewer problems for sweeps, where the sidebar asks for no number."""
    if measure.name in SWEEPS and _many(model):
        return few(chosen, 32)
    return few(chosen, 128) if measure.name == "heads.knockout" else {}


def few(chosen: Study, n: int) -> dict[str, int]:
    """`n` problems where the sidebar asks for no number."""
    return {} if chosen.n else {"n": n}


def _many(model: Model) -> bool:
    return model.shape.n_layers * model.shape.n_heads > FEW

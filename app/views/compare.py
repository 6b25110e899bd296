"""What differs between these two?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

import interp
from app import link, more, parts, results, study
from app.plain import plain
from app.sidebar import OTHER, TASKS
from interp import catalogue, faces
from interp.arithmetic.formats import format_names
from interp.catalogue import Entry
from interp.errors import ArithmoscopeError, InputError
from interp.many._compare import comparable, compare
from interp.many._over_seeds import grids
from interp.results.result import Result

FIRST = "attribution.counterfactual"
END = "end"


def page() -> None:
    """One analysis of two models, checkpoints, seeds or tasks, and the difference."""
    chosen = study.current()
    parts.heading("Compare", "What differs between these two?")
    analysis = _analysis()
    st.markdown(f"**First**, as on the left: {plain(_described(chosen))}. **Second**:")
    try:
        other = _second(chosen)
        st.caption(plain(f"Second: {_described(other)}. Asked of both: {analysis.question}"))
        found = [results.result(one, analysis.name) for one in (chosen, other)]
        result = compare(*found, **_which(found[0]))
    except ArithmoscopeError as error:
        parts.problem(error)
        return
    parts.chart(result, f"compare {analysis.name}")
    if result.verdict is None:
        st.markdown(f"**{plain(result.conclusion())}**")
    parts.below(result, drawn=False)
    parts.take_away(result)


def entries() -> list[Entry]:
    """Analyses whose Result holds a Grid and that need no further argument."""
    return [
        one
        for one in catalogue.CATALOGUE
        if one.asks in ("prompts", "problems")
        and more.complete(one)
        and one.name != "intervene"
        and comparable(faces.found(one.result))
    ]


def _analysis() -> Entry:
    known = {one.name: one for one in entries()}
    return known[link.select("Analysis", list(known), key="analysis", first=FIRST)]


def _second(first: study.Study) -> study.Study:
    """The study to compare with: another model, checkpoint, task or seed, each as the first's
    until it is chosen."""
    left, middle, right = st.columns(3)
    own = study.trained(first.model)
    names = [name for name in results.models().query("installed")["name"] if name != own]
    names = [own, *names]
    name = left.selectbox(
        "Model",
        names,
        index=names.index(_sibling(own, names)),
        key="other-model",
        bind="query-params",
        accept_new_options=True,
        help="A shipped one, or type a folder, a .gguf file or a Hub id.",
    )
    if str(name) == OTHER or not str(name).strip():
        raise InputError("name the second model: a shipped one, a folder or a Hub id")
    model_name = _checkpoint(str(name).strip())
    model = results.model(model_name)
    usual = first.task if model.task is None or _takes(model, first.task) else model.task.name
    tasks = list(dict.fromkeys([usual, first.task, *TASKS]))
    task = middle.selectbox(
        "Task", tasks, key="other-task", bind="query-params", accept_new_options=True
    )
    seed = link.number("Seed", 0, 2**31 - 1, first.seed, key="other-seed", place=right)
    accepted = format_names(interp.task(str(task)))
    known = [form for form in model.formats if form in accepted]
    form = first.format if first.format in known or not known else known[0]
    return replace(
        first, model=model_name, model_hash=model.hash, task=str(task), seed=seed or 0, format=form,
        start=first.start if model.hash == first.model_hash else None,
    )  # fmt: skip


def _takes(model: Any, task: str) -> bool:
    """Whether the task is of the model's own kind, add:3 of a model of add:5."""
    return model.task is not None and model.task.name.split(":")[0] == task.split(":")[0]


def _sibling(own: str, names: list[str]) -> str:
    """Another seed of the same model where one is shipped, else the model itself."""
    return next((name for name in names if name.startswith(f"{own}-s")), own)


def _checkpoint(name: str) -> str:
    """The final model or a checkpoint of its training, chosen by a slider."""
    steps = study.checkpoints(name)
    if not steps:
        return name
    options = [*(str(step) for step in steps), END]
    link.asked("other-checkpoint")
    at = st.select_slider(
        "Checkpoint of the second", options, value=END, key="other-checkpoint", bind="query-params"
    )
    link.say_refused("checkpoint", "other-checkpoint", str(at), options, place=st)
    return name if at == END else interp.checkpoints(name).named(int(at))


def _which(result: Result) -> dict[str, Any]:
    """The Grid, and where its axes beyond two are held."""
    known = grids(result)
    with st.container(horizontal=True):
        first = next(iter(known))
        name = link.select(
            "Shown", list(known), key=f"grid-{result.analysis}", first=first, width=200
        )
        held = {
            axis.name: link.select(
                axis.name.replace("_", " ").capitalize(), axis.labels, first=axis.labels[0],
                key=f"{axis.name}-{name}-{result.analysis}", width=160,
            )
            for axis in known[name].axes[:-2]
        }  # fmt: skip
    return {"grid": None if name == first else name, "at": held or None}


def _described(one: study.Study) -> str:
    step = study.step_of(one.model)
    told = [study.trained(one.model), *([] if step is None else [f"step {step:,}"])]
    return ", ".join([*told, one.task, one.format, f"seed {one.seed}"])


page()

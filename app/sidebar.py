"""The sidebar of every page: model, task and sample."""

from __future__ import annotations

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

import interp
from app import calls, link, results
from app.limits import Limits
from app.plain import plain
from app.study import Study, checkpoints
from interp.arithmetic.formats import format as written
from interp.arithmetic.formats import format_names
from interp.errors import ArithmoscopeError

if TYPE_CHECKING:
    from interp.behaviour.results.doctor import Diagnosis
    from interp.models.model import Model

OTHER = "Another model …"
TASKS = ("add:1", "add:2", "add:5", "sub:2", "addsub:2", "mul:1x1", "mul:2x2", "expr:A+B-C:1")
EACH = "as many as each analysis takes"
SHOTS = 2  # more make SmolLM2 worse


def choose_model() -> str | None:
    """Model name for `interp.load`; None until one is typed in."""
    wished = _started_with().model
    link.asked("model")
    names = list(results.models().query("installed")["name"])
    options = [*names, *([wished] if wished and wished not in names else []), OTHER]
    name = st.sidebar.selectbox(
        "Model",
        options,
        index=options.index(wished) if wished else 0,
        key="model",
        bind="query-params",
    )
    hint = f"A folder, .gguf file or Hub id goes with {OTHER!r}."
    link.say_refused("model", "model", str(name), options[:-1], hint)
    if name != OTHER:
        return str(name)
    typed = st.sidebar.text_input(
        "Folder, .gguf file or Hub id",
        key="path",
        bind="query-params",
        placeholder="/path/to/folder or owner/name",
    )
    return typed.strip() or None


def check(name: str) -> None:
    """Raise InputError for a model or file that this explorer may not read (`app.limits`)."""
    limits().check(name, shipped=name in set(results.models()["name"]))


@cache
def limits() -> Limits:
    """The limits that the explorer was started with."""
    path = _started_with().limits
    return Limits() if path is None else Limits.read(path)


def choose_checkpoint(name: str) -> str:
    """Argument of `interp.load` for the final model or, if it has a series, one of its checkpoints.
    The choice applies to all pages."""
    steps = checkpoints(name)
    end = "end"
    if not steps:
        link.say_refused("checkpoint", "checkpoint", end)
        link.put("checkpoint", None)
        return name
    options: list[int | str] = [*steps, end]
    linked = next((step for step in steps if str(step) == link.asked("checkpoint")), end)
    st.session_state.setdefault(f"checkpoint {name}", linked)
    at = st.sidebar.select_slider(
        "Checkpoint",
        options,
        format_func=lambda step: step if step == end else f"{step:,}",
        key=f"checkpoint {name}",
        help="How many steps it had been trained for.",
    )
    link.say_refused("checkpoint", "checkpoint", str(at), [str(step) for step in options])
    link.put("checkpoint", None if at == end else str(at))
    return name if at == end else interp.checkpoints(name).named(int(str(at)))


def choose_study(name: str, model: Model, field: Any) -> Study:
    """Choose task, format and sample for a loaded model. `field` is where a
    problem of one's own is typed in.

    Raises:
        InputError: for a task typed in that does not exist.
    """
    wished = _started_with()
    link.asked("n"), link.asked("seed")
    found = proposal(name, model)
    own = [model.task.name] if model.task else [found.task, *TASKS] if found and found.fits else []
    tasks = list(dict.fromkeys([*([wished.task] if wished.task else []), *(own or TASKS)]))
    _follow(own[0] if own else TASKS[0])
    task = st.sidebar.selectbox(
        "Task",
        tasks,
        key="task",
        bind="query-params",
        accept_new_options=True,
        help="Choose one or type its name: add:5, sub:3, addsub:5, mul:4x4, mod:113, expr:A+B-C:2",
    )
    form = _choose_format(model, str(task), found)
    left, right = st.sidebar.columns(2)
    n = left.number_input(
        "Problems",
        min_value=1,
        max_value=limits().problems,
        value=wished.n,
        placeholder="each its own",
        step=64,
        key="n",
        bind="query-params",
        help="How many to draw; left empty, as many as each analysis takes by itself, in the "
        "library and on the command line too. Where the task has no more than these, each is "
        "asked once. Behaviour asks only what was held out from training, where the model's card "
        "tells.",
    )
    seed = right.number_input(
        "Seed", min_value=0, value=wished.seed, key="seed", bind="query-params"
    )
    link.say_refused("sample of size", "n", EACH if n is None else str(int(n)))
    link.say_refused("seed", "seed", str(int(seed)))
    start = None
    if (
        found
        and found.fits
        and form == found.format
        and found.start != found.trials["start"].iloc[0]
    ):
        start = found.start
    count = None if n is None else int(n)
    return Study(name, model.hash, str(task), form, count, int(seed), start, _choose_problem(field))


def _choose_problem(place: Any) -> str | None:
    """The problem typed in, where every page is to show it alone."""
    typed = _problem_field(place)
    if not typed:
        return None
    alone = st.sidebar.toggle(
        "Show it alone on every page",
        key="alone",
        bind="query-params",
        persist_state="session",
        help="Instead of a sample. What needs many problems, such as a probe, says so.",
    )
    return typed if alone else None


def _problem_field(place: Any) -> str:
    """A field for one problem, "37*48", which the pages can show alone."""
    typed = place.text_input(
        "One problem of your own",
        key="problem",
        bind="query-params",
        persist_state="session",
        placeholder="99999+1 or 37*48",
    )
    return str(typed or "").strip()


def typed_problem() -> str:
    """The problem typed in; "" without one."""
    return str(st.session_state.get("problem") or "").strip()


def proposal(name: str, model: Model) -> Diagnosis | None:
    """What `interp.suggest` finds for a model of arithmetic whose card tells no format, with its
    evidence shown; None for any other model."""
    if not calls.untold(model):
        return None
    found = results.suggested(name, model.hash)
    with st.sidebar.expander("No card tells how it is asked: what was found by trial"):
        st.markdown(plain(f"{found.task}: {found.conclusion()}"))
        st.caption("Every prompt that was tried: page *Behaviour*, *How it wants to be asked*.")
    return found


def _follow(own: str) -> None:
    """Set the task to the model's own once another model is chosen, whose task is another."""
    before = st.session_state.get("task of the model")
    st.session_state["task of the model"] = own
    if before is not None and before != own:
        st.session_state["task"] = own


def about(model: Model) -> None:
    """Show name, size, accuracy and hash of the loaded model, and the source of these numbers."""
    shape = model.shape
    lines = [
        f"{model.n_parameters:,} parameters · {model.family}",
        f"{shape.n_layers} layers × {shape.n_heads} heads · d = {shape.d_model}",
        f"weights `{model.hash[:12]}`",
    ]
    if model.card and "base" in model.card:  # the card counts the adapter alone
        lines.insert(1, f"adapter of {model.card['parameters']:,} on {model.card['base']}")
    if model.card and "accuracy" in model.card:  # measured where it was trained
        lines.insert(0, f"**{model.card['accuracy']['share']:.2%}** exact on held-out problems")
    st.sidebar.caption("  \n".join(lines))
    with st.sidebar.popover("Where do these numbers come from?", width="stretch"):
        st.markdown(
            "Sizes and the hash are read off the loaded weights; parameters are the "
            "numbers learnt, tied ones counted once, and of an adapter those of its base, which it "
            "changes. The accuracy is the one that the trainer measured on held-out problems and "
            "wrote into the model's card; a model "
            "without a card has none until the page *Behaviour* measures it. Every other number "
            "is computed here, on this machine, from the problems that task, count and seed "
            "give, and the drawer *Take it away* holds the call that computes it again."
        )


def format_key(model: Model, task: str) -> str:
    """Session key of the format chosen for a model and a task."""
    return f"format {model.name} {task}"


def _choose_format(model: Model, task: str, found: Diagnosis | None) -> str:
    """The format of the card, or the one found by trial; for a language model any, with examples in
    front."""
    accepted = format_names(interp.task(task))
    known = [name for name in model.formats if name in accepted]
    options = known or list(model.formats)
    if not model.card:
        options = [f"{options[0]}@{SHOTS}:0", *known, *(x for x in accepted if x not in known)]
    if found is not None and found.fits:
        options = [found.format] * (task == found.task) + list(accepted)
    own, key = options[0], format_key(model, task)
    asked = link.asked("format")
    if asked is not None and (asked in options or _is_format(asked)):
        st.session_state.setdefault(key, asked)
    typed = st.session_state.get(key, own)
    options += [typed] if typed not in options else []
    form = st.sidebar.selectbox(
        "Format",
        options,
        key=key,
        accept_new_options=True,
        help="How a problem is written for the model. NAME@2:0 puts two solved examples in front, "
        "drawn with seed 0 and never the problem itself; any number of them can be typed in. "
        "A template can be typed in too: {a}+{b}={c:reversed}.",
    )
    link.say_refused("format", "format", str(form), options)
    link.put("format", None if form == own else str(form))
    return str(form)


def _is_format(name: str) -> bool:
    try:
        written(name)
    except ArithmoscopeError:
        return False
    return True


@cache
def _started_with() -> argparse.Namespace:
    """The study that `arithmoscope explore` was started with."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--task")
    parser.add_argument("--limits")
    parser.add_argument("--n", type=int)
    parser.add_argument("--seed", type=int, default=0)
    explorer = Path(sys.argv[0]).name == "Explorer.py"
    return parser.parse_known_args(sys.argv[1:] if explorer else [])[0]

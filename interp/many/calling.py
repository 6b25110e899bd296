"""One analysis on several models: how it is called, what it is called, and what it must return.

An analysis here is a function whose first argument is a model and that returns a Result: those of
this package (`interp.attribution.counterfactual`, `interp.behaviour.accuracy`, …), `probes.probe`,
or one's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from interp.arithmetic.problems import Problems
from interp.errors import InputError
from interp.models.asking import drawn_by
from interp.results.calls import model_call
from interp.results.result import Result

if TYPE_CHECKING:
    from interp.engine.requests import Cancel
    from interp.models.model import Model

Analysis = Callable[..., Result]

_ASKED = ("batch", "problems")  # what the second parameter is called where it is what is asked


def apply(
    analysis: Analysis,
    model: Model,
    problems: Problems | str | None,
    options: Mapping[str, Any],
    cancel: Cancel | None = None,
) -> Result:
    """The analysis of one model.

    Where its second argument is called `batch`, the problems are written for this model
    (`model.prompts`, with `format=` of the options); otherwise they are handed on as they are, and
    left out where there are none.

    Raises:
        InputError: for a function that takes no such arguments, or that returns no Result.
    """
    names = list(inspect.signature(analysis).parameters)
    keywords = dict(options)
    given: list[Any] = [model]
    if problems is not None:
        if len(names) > 1 and names[1] == "batch":
            if not isinstance(problems, Problems):
                raise InputError(
                    f"{title(analysis)} takes prompts: give problems to write, such as "
                    f"interp.task({problems!r}).sample(512, seed=0)"
                )
            given.append(model.prompts(problems, format=keywords.pop("format", None)))
        else:
            given.append(problems)
    if cancel is not None and "cancel" in names:
        keywords["cancel"] = cancel
    try:
        inspect.signature(analysis).bind(*given, **keywords)
    except TypeError as error:
        raise InputError(f"{title(analysis)} cannot be called so: {error}") from error
    result = analysis(*given, **keywords)
    if not isinstance(result, Result):
        raise InputError(
            f"{title(analysis)} returned a {type(result).__name__}; an analysis returns a Result"
        )
    return result


def takes_problems(analysis: Analysis) -> bool:
    """Whether its second argument is what the model is asked: `batch` or `problems`."""
    return list(inspect.signature(analysis).parameters)[1:2] in [[name] for name in _ASKED]


def asks_unseen(analysis: Analysis) -> bool:
    """Whether of a task it asks only what was held out from training: those of `interp.behaviour`
    do (`interp.models.asking`)."""
    return str(getattr(analysis, "__module__", "")).startswith("interp.behaviour.")


def check_asked_alike(
    problems: Problems | str | None, models: Sequence[Model], results: Sequence[Result]
) -> None:
    """Refuse results of a task's name of which not all models were asked the same: what was held
    out from their trainings differs.

    Raises InputError with what to give instead.
    """
    if not isinstance(problems, str):
        return
    asked = [
        model.split if result.settings.get("held_out") else None
        for model, result in zip(models, results, strict=True)
    ]
    if len(set(asked)) > 1:
        raise InputError(
            f"of {problems} these models are asked what was held out from their training, which is "
            "not the same for all. Give them the same problems: "
            f"interp.task({problems!r}).sample(512, seed=0), or what one of them never saw, "
            f"interp.load(...).held_out(512, task={problems!r}, seed=0)"
        )


def declares(analysis: Analysis, name: str) -> bool:
    """Whether it has an argument of that name; `format` also where its prompts are written here."""
    names = list(inspect.signature(analysis).parameters)
    return name in names or (name == "format" and names[1:2] == ["batch"])


def of_model(options: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The options for one model: a plain function among the values is called with the model."""
    return {
        name: value(model) if inspect.isfunction(value) else value
        for name, value in options.items()
    }


def named(name: str) -> Analysis:
    """The analysis of a public name, "attribution.counterfactual" of `interp` or "probes.probe".

    Raises InputError for a name that is no function of a room.
    """
    room, _, function = name.removeprefix("interp.").rpartition(".")
    try:
        # `probes` stands beside `interp` and above it, and so is looked up only when asked for.
        found = getattr(import_module(room if room == "probes" else f"interp.{room}"), function)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not inspect.isfunction(found):
        raise InputError(
            f"no analysis {name!r}: name a function of a room, such as attribution.counterfactual, "
            "attribution.logit_lens, behaviour.accuracy or probes.probe"
        )
    return found


def title(analysis: Analysis) -> str:
    """Its public name, `interp.attribution.counterfactual`; its own where it has none."""
    name = getattr(analysis, "__qualname__", type(analysis).__name__)
    parts = str(getattr(analysis, "__module__", "")).split(".")
    for length in range(1, len(parts)):
        room = ".".join(parts[:length])
        if getattr(import_module(room), name, None) is analysis:
            return f"{room}.{name}"
    return str(name)


def arguments(
    problems: Problems | str | None,
    options: Mapping[str, Any],
    each: Mapping[str, Mapping],
    model: Model,
    name: str,
) -> dict[str, Any]:
    """Problems and options as settings that make the call again, as text where JSON has no such
    values. `each` has the options of each model, by its name: a function is told by its values.
    The problems may be what was held out from the training of `model`, which `interp.load(name)`
    opens, or another of the same training."""
    if isinstance(problems, Problems):
        seeds = tuple(seed for seed in (options.get("seed"), 0) if isinstance(seed, int))
        written: Any = drawn_by(model, problems, seeds, name=model_call(name))
    else:
        written = None if problems is None else repr(problems)
    told = {}
    for name, value in options.items():
        told[name] = repr(value)
        if inspect.isfunction(value):
            values = {model: own[name] for model, own in each.items()}
            told[name] = f"lambda model: {values!r}[model.name]"
    return {"problems": written, "options": told}

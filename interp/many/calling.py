"""Calls of one analysis on several models: arguments, name and checks.

An analysis is a function that takes a model as its first argument and returns a Result: one of the
catalogue (`interp.attribution.counterfactual`, `probes.probe`, …) or the user's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.catalogue import CATALOGUE, entry, entry_of
from interp.errors import InputError
from interp.models.asking import expression
from interp.results.calls import model_call
from interp.results.result import Result

if TYPE_CHECKING:
    from interp.engine.requests import Cancel
    from interp.models.model import Model

Analysis = Callable[..., Result]

_OF_A_MODEL = ("prompts", "problems", "model")  # `asks` of analyses of one model


def apply(
    analysis: Analysis,
    model: Model,
    asked: Problems | Task | str | None,
    options: Mapping[str, Any],
    cancel: Cancel | None = None,
) -> Result:
    """The Result of the analysis on one model; `asked` is the second argument, omitted if None.

    Raises:
        InputError: for a function that does not take these arguments or returns no Result.
    """
    names = list(inspect.signature(analysis).parameters)
    keywords = dict(options)
    given: list[Any] = [model] if asked is None else [model, asked]
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
    """True if the analysis takes problems; for the user's own function, if it has a second
    positional argument."""
    known = entry_of(analysis)
    if known is not None:
        return known.asks in ("prompts", "problems")
    second = list(inspect.signature(analysis).parameters.values())[1:2]
    return bool(second) and second[0].kind is not inspect.Parameter.KEYWORD_ONLY


def check_same_sample(
    asked: Problems | Task | str | None, models: Sequence[Model], results: Sequence[Result]
) -> None:
    """Raise InputError if models got different problems of a task because their trainings held out
    different problems."""
    if not isinstance(asked, str | Task):
        return
    problems = asked if isinstance(asked, str) else asked.name
    splits = [
        model.split if result.settings.get("held_out") else None
        for model, result in zip(models, results, strict=True)
    ]
    if len(set(splits)) > 1:
        raise InputError(
            f"of {problems} these models are asked what was held out from their training, which is "
            "not the same for all. Give them the same problems: "
            f"interp.task({problems!r}).sample(512, seed=0), or what one of them never saw, "
            f"interp.load(...).held_out(512, task={problems!r}, seed=0)"
        )


def declares(analysis: Analysis, name: str) -> bool:
    """True if the analysis has an argument of that name."""
    return name in inspect.signature(analysis).parameters


def of_model(options: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The options for one model: a value that is a plain function is called with the model."""
    return {
        name: value(model) if inspect.isfunction(value) else value
        for name, value in options.items()
    }


def named(name: str) -> Analysis:
    """The analysis of a public name, "attribution.counterfactual" of `interp` or "probes.probe".

    Raises InputError for a name that is not an analysis of one model.
    """
    known = [one for one in CATALOGUE if one.asks in _OF_A_MODEL]
    found = entry(name, known)
    if found not in known:
        names = ", ".join(one.name for one in known)
        raise InputError(f"{name} is no analysis of one model: name one of {names}")
    return found.load()


def title(analysis: Analysis) -> str:
    """The public name of an analysis, `interp.attribution.counterfactual`, else the function's."""
    known = entry_of(analysis)
    if known is not None:
        return known.public
    name = str(getattr(analysis, "__qualname__", type(analysis).__name__))
    module = str(getattr(analysis, "__module__", "__main__"))
    return name if "<" in name or module == "__main__" else f"{module}.{name}"


def arguments(
    asked: Problems | Task | str | None,
    options: Mapping[str, Any],
    each: Mapping[str, Mapping],
    model: Model,
    name: str,
) -> dict[str, Any]:
    """`asked` and the options as settings that reproduce the call, as text for values that JSON
    lacks. `each` has the options of each model, by name: a function is written as its values.
    Problems may be those held out from the training of `model`, which `interp.load(name)` opens,
    or from another of the same training."""
    written = None
    if isinstance(asked, Problems):
        seeds = tuple(seed for seed in (options.get("seed"), 0) if isinstance(seed, int))
        written = expression(model, asked, seeds, name=model_call(name))
    elif asked is not None:
        written = repr(asked if isinstance(asked, str) else asked.name)
    values = {}
    for option, value in options.items():
        values[option] = repr(value)
        if inspect.isfunction(value):
            by_model = {model: own[option] for model, own in each.items()}
            values[option] = f"lambda model: {by_model!r}[model.name]"
    return {"problems": written, "options": values}

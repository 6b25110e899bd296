"""Build Python code that reproduces a Result: the parts of `.code`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from interp.errors import InputError
from interp.results.identity import WRAPPED, ModelId

if TYPE_CHECKING:
    from interp.arithmetic.origin import Origin
    from interp.arithmetic.problems import Problems

_KEYWORD = re.compile(r"\w+=")
_SAMPLERS = ("uniform", "carries", "cascades", "lengths")


def problems_call(problems: Problems, seeds: tuple[int, ...] = (0,)) -> str:
    """Expression that makes exactly these problems.

    The short form, `interp.task("add:5").sample(512, seed=0)` or `.grid()`, if the problems record
    how they were drawn, or if a sampler with one of the seeds gives the same ones; otherwise the
    operands in full.
    """
    prefix = f"interp.task({problems.task.name!r})"
    found = origin_of(problems, seeds)
    if found is not None and found.method == "grid":
        return f"{prefix}.grid()"
    if found is not None and found.method == "sample":
        return call(f"{prefix}.sample", str(found.n), seed=found.seed, **found.options)
    values = [list(map(int, problems.values(i))) for i in range(len(problems.operands))]
    operators = ""
    if any(len(choices) > 1 for choices in problems.task.operators):
        operators = f", operators={problems.operators.tolist()}"
    return f"{prefix}.problems({', '.join(map(str, values))}{operators})"


def origin_of(problems: Problems, seeds: tuple[int, ...] = (0,)) -> Origin | None:
    """How the problems were drawn from their whole task: as recorded, or found by drawing with each
    of the seeds; None if unknown."""
    task, n = problems.task, len(problems)
    if problems.origin is not None:
        return problems.origin
    for seed in dict.fromkeys(seeds):
        for sampler in _SAMPLERS:
            try:
                drawn = task.sample(n, seed=seed, sampler=sampler)
            except InputError:  # not every task has every sampler
                continue
            if drawn == problems:
                return drawn.origin
    if _grid_size(problems) == n and (grid := task.grid()) == problems:
        return grid.origin
    return None


class Expression(str):
    """Python code that `call` inserts verbatim."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def call(function: str, *positional: str, **options: Any) -> str:
    """`function(positional, name=value, …)` without the options that are None."""
    named = [f"{name}={_literal(value)}" for name, value in options.items() if value is not None]
    return f"{function}({', '.join([*positional, *named])})"


def model_code(model: ModelId | None, settings: Mapping[str, Any], last: str) -> str:
    """A script: import, load the model (with the text that `settings["starting_with"]` puts before
    its prompts), and the call `last`."""
    lines = ["import interp", ""]
    if model is not None:
        loaded = model_call(model.name, settings.get("starting_with"), settings.get("dtype"))
        lines.append(f"model = {loaded}")
    return "\n".join([*lines, f"result = {last}"])


ASKED = (
    *("problems", "held_out", "draws_from", "starting_with", "wanted"),
    *("dtype", "noise_floor"),
)
"""The settings that say what a model was asked (`interp.models.asking`)."""


def asked_of(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The prompts argument of an analysis as Python, and the options that draw it: the task's name
    if the analysis draws these problems from it, else an expression that makes them."""
    draw = settings.get("draws_from")
    if draw is None:
        return str(settings.get("problems", "problems")), {}
    return repr(draw["task"]), {"n": draw["n"], "held_out": None if draw["held_out"] else False}


def asked_code(
    model: ModelId | None,
    settings: Mapping[str, Any],
    function: str,
    *given: str,
    format: str | None = None,
    **options: Any,
) -> str:
    """A script that loads the model and calls `function(model, asked, *given, …)`.

    `given` are further positional arguments, or keyword arguments already written; `asked` is as
    `asked_of` says.
    """
    asked, sample = asked_of(settings)
    named = [text for text in given if _KEYWORD.match(text)]
    positional = [text for text in given if not _KEYWORD.match(text)]
    last = call(function, "model", asked, *positional, *named, **sample, format=format, **options)
    return model_code(model, {k: settings.get(k) for k in ("starting_with", "dtype")}, last)


def function_code(function: str, last: str) -> str:
    """A script that imports the package of `function`, "interp.behaviour.accuracy" or
    "probes.probe", and makes the call `last`."""
    others = "import probes\n" if function.startswith("probes.") else ""
    return f"import interp\n{others}\nresult = {last}"


def model_call(name: str, starting_with: str | None = None, dtype: str | None = None) -> str:
    """Expression that loads a model, with `starting_with` if the prompts' start was changed, and
    with `dtype` if that is not the default."""
    start = "" if starting_with is None else f".starting_with({starting_with!r})"
    if not name.startswith(WRAPPED):
        return f"{call('interp.load', repr(name), dtype=dtype)}{start}"
    return f"interp.wrap(module, tokenizer, name={name.removeprefix(WRAPPED)!r}){start}"


def _literal(value: Any) -> str:
    return repr(value.plain()) if hasattr(value, "plain") else repr(value)


def _grid_size(problems: Problems) -> int:
    size = 10 ** sum(operand.shape[1] for operand in problems.operands)
    for choices in problems.task.operators:
        size *= len(choices)
    return size

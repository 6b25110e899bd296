"""The Python that makes a Result again: what `.code` is put together from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from interp.errors import InputError
from interp.results.identity import WRAPPED, ModelId

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems

_SAMPLERS = ("uniform", "carries", "cascades", "lengths")


def problems_call(problems: Problems, seeds: tuple[int, ...] = (0,)) -> str:
    """An expression that makes exactly these problems.

    The short form, `interp.task("add:5").sample(512, seed=0)`, where a sampler with one of the
    seeds gives these very problems (it is drawn and compared), or `.grid()`; the operands written
    out otherwise.
    """
    task, n = problems.task, len(problems)
    prefix = f"interp.task({task.name!r})"
    for seed in dict.fromkeys(seeds):
        for sampler in _SAMPLERS:
            try:
                drawn = task.sample(n, seed=seed, sampler=sampler)
            except InputError:  # not every task has every sampler
                continue
            if drawn == problems:
                named = "" if sampler == "uniform" else f", sampler={sampler!r}"
                return f"{prefix}.sample({n}, seed={seed}{named})"
    if _grid_size(problems) == n and task.grid() == problems:
        return f"{prefix}.grid()"
    values = [list(map(int, problems.values(i))) for i in range(len(problems.operands))]
    operators = ""
    if any(len(choices) > 1 for choices in task.operators):
        operators = f", operators={problems.operators.tolist()}"
    return f"{prefix}.problems({', '.join(map(str, values))}{operators})"


class Expression(str):
    """Python that `call` writes as it is, where an option is more than a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def call(function: str, *positional: str, **options: Any) -> str:
    """`function(positional, name=value, …)`, options that are None left out."""
    named = [f"{name}={_literal(value)}" for name, value in options.items() if value is not None]
    return f"{function}({', '.join([*positional, *named])})"


def model_code(model: ModelId | None, settings: Mapping[str, Any], last: str) -> str:
    """A script: import, load the model (with the text that `settings["starting_with"]` puts before
    its prompts), make the prompts of `settings["problems"]` in `settings["format"]`, and the call
    `last`."""
    lines = ["import interp", ""]
    if model is not None:
        lines.append(f"model = {model_call(model.name, settings.get('starting_with'))}")
    if "problems" in settings:
        prompts = call("model.prompts", settings["problems"], format=settings.get("format"))
        lines.append(f"batch = {prompts}")
    return "\n".join([*lines, f"result = {last}"])


def function_code(function: str, last: str) -> str:
    """A script that imports the package of `function`, "interp.behaviour.accuracy" or
    "probes.probe", and makes the call `last`."""
    others = "import probes\n" if function.startswith("probes.") else ""
    return f"import interp\n{others}\nresult = {last}"


def model_call(name: str, starting_with: str | None = None) -> str:
    """An expression that loads a model, its prompts begun as they were where that was changed."""
    start = "" if starting_with is None else f".starting_with({starting_with!r})"
    if not name.startswith(WRAPPED):
        return f"interp.load({name!r}){start}"
    return f"interp.wrap(module, tokenizer, name={name.removeprefix(WRAPPED)!r}){start}"


def _literal(value: Any) -> str:
    return repr(value.plain()) if hasattr(value, "plain") else repr(value)


def _grid_size(problems: Problems) -> int:
    size = 10 ** sum(operand.shape[1] for operand in problems.operands)
    for choices in problems.task.operators:
        size *= len(choices)
    return size

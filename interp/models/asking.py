"""Sampling of problems and prompts, shared by all analyses.

`asked` is a task's name, a Task, Problems or a PromptBatch. Problems and prompts are used
unchanged. From a task, `n` problems are drawn with `seed`, or all if it has at most `n`: from the
problems held out from the model's training if its card gives a split, since it may have memorised
the others; `held_out=False` draws from the whole task.

Problems record their draw (`Problems.origin`), so a Result's settings, and the call that
reproduces it, are the same for all four kinds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from interp.arithmetic.held_out import Split
from interp.arithmetic.origin import Origin
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import whole
from interp.arithmetic.tasks import Task
from interp.arithmetic.tasks import task as task_named
from interp.errors import InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.calls import call, origin_of, problems_call

Asked = str | Task | Problems | PromptBatch
"""What an analysis is asked with: a task's name, a Task, Problems or a PromptBatch."""

_FEW = 16  # times n: a smaller space is enumerated, since draws would repeat


class Sample(NamedTuple):
    """Distinct problems, the number drawn, and the settings of a Result.

    problems   distinct problems
    drawn      their number before deduplication
    settings   `problems`, the expression that makes them; `held_out`, the training that all were
               held out from: "training", "fine-tuning" (of an adapter, whose base may have read
               anything) or None; `draws_from`, the source of the draw, None without one;
               `starting_with`, the start of the prompts, if changed; `wanted`, only if fewer were
               held out than that; `dtype` and `noise_floor` of a 16-bit model only
    format     the PromptBatch's format, else the named format
    """

    problems: Problems
    drawn: int
    settings: dict[str, Any]
    format: str


def sample(
    model: Model,
    asked: Asked,
    *,
    n: int,
    seed: int,
    format: str | None = None,
    held_out: bool = True,
    mixed: bool = False,
) -> Sample:
    """The distinct problems of `asked`. `mixed` balances half of the draw by operand length.

    Raises InputError for anything but the four kinds, prompts of another model or format, and an
    empty sample.
    """
    problems = asked_problems(model, asked, n=n, seed=seed, held_out=held_out, mixed=mixed)
    name = _format(asked, format) or model.formats[0]
    told = settings_of(model, problems, seed, mixed=mixed)
    return Sample(problems.distinct(), len(problems), told, name)


def prompts(
    model: Model,
    asked: Asked,
    *,
    n: int,
    seed: int,
    format: str | None = None,
    held_out: bool = True,
) -> tuple[PromptBatch, dict[str, Any]]:
    """The prompts of `asked`, with true answers if written here, and the settings of a Result.
    Raises as `sample`, and as `Model.prompts`."""
    if isinstance(asked, PromptBatch):
        check_model(model, asked)
        _format(asked, format)
        return asked, settings_of(model, asked.problems, seed)
    problems = asked_problems(model, asked, n=n, seed=seed, held_out=held_out)
    return model.prompts(problems, format=format), settings_of(model, problems, seed)


def asked_problems(
    model: Model | None,
    asked: Asked,
    *,
    n: int,
    seed: int,
    held_out: bool = True,
    mixed: bool = False,
) -> Problems:
    """The problems of `asked`, given or drawn; without a model, drawn from the whole task. Raises
    InputError as `sample`."""
    if model is not None:
        check_loaded(model)
    if isinstance(asked, Problems):
        return asked
    if isinstance(asked, PromptBatch):
        if model is not None:
            check_model(model, asked)
        return asked.problems
    if not isinstance(asked, str | Task):
        raise InputError(
            f"a {type(asked).__name__} is nothing that a model can be asked: give a task's name "
            "such as 'add:5', a Task, Problems or a PromptBatch (model.prompts(problems))"
        )
    n, chosen, split = whole(n), task_named(asked), None
    if held_out and model is not None:
        split = model.split
    if mixed:
        return _mixed(chosen, n, seed, split)
    if split is not None:
        return split.sample(chosen, "test", n, seed)
    if 0 < chosen.n_problems <= n:
        return chosen.grid()
    return chosen.sample(n, seed=seed)


def drawn_for(
    model: Model, asked: Asked, n: int, seed: int, format: str | None, held_out: bool
) -> tuple[Problems, str | None, dict[str, Any]]:
    """The drawn problems, their format, and the settings of a Result, for an analysis that writes
    only some of them. Raises as `sample`."""
    problems = asked_problems(model, asked, n=n, seed=seed, held_out=held_out)
    return problems, _format(asked, format), settings_of(model, problems, seed)


def check_loaded(model: object) -> None:
    """Raise InputError for anything but a loaded model."""
    if not isinstance(model, Model):
        raise InputError(
            f"an analysis asks a loaded model, not a {type(model).__name__}: give "
            f"interp.load(name), or interp.wrap(module, …) for a module of your own"
        )


def check_model(model: Model, batch: PromptBatch) -> None:
    """Raise InputError for prompts of another model, and for anything but a loaded model."""
    check_loaded(model)
    if batch.model.hash != model.hash:
        raise InputError(
            f"these prompts were made for {batch.model.name}, not for {model.name}. Make them "
            f"with model.prompts(problems)."
        )


def settings_of(
    model: Model, problems: Problems, seed: int, *, mixed: bool = False
) -> dict[str, Any]:
    """Settings of a Result for its problems (`Sample`); `seed` and `mixed` are the analysis's."""
    origin = _origin(model, problems, (0, seed))
    rule = None if mixed != (origin is not None and origin.method == "mixed") else origin
    told: dict[str, Any] = {
        "problems": None if mixed and rule else expression(model, problems, (0, seed)),
        "held_out": _from_what(model, problems),
        "draws_from": _rule(model, problems, rule, seed),
        "starting_with": model.tokens.start,
    }
    if origin is not None and origin.method == "held_out" and len(problems) < origin.n:
        told["wanted"] = origin.n
    if model.noise_floor is not None:
        told["dtype"] = str(model.dtype).removeprefix("torch.")
        told["noise_floor"] = model.noise_floor
    return told


def expression(
    model: Model, problems: Problems, seeds: tuple[int, ...] = (0,), *, name: str = "model"
) -> str:
    """An expression that makes exactly these problems, with `name` for the model:
    `model.held_out(512, seed=0)` if that gives them, else as `problems_call`."""
    origin = _origin(model, problems, seeds)
    if origin is not None and origin.split is not None and origin.method == "held_out":
        other = None if problems.task == model.task else problems.task.name
        width = origin.options.get("full_width")
        return call(
            f"{name}.held_out", str(origin.n), task=other, seed=origin.seed, full_width=width
        )
    return problems_call(problems, seeds)


def _format(asked: Asked, format: str | None) -> str | None:
    """The named format, or that of the prompts; InputError if they differ."""
    if not isinstance(asked, PromptBatch):
        return format
    if format not in (None, asked.format):
        raise InputError(
            f"these prompts are written in {asked.format!r}, not {format!r}: leave format out, or "
            "give their problems (batch.problems)"
        )
    return asked.format


def _origin(model: Model, problems: Problems, seeds: tuple[int, ...]) -> Origin | None:
    """Origin of the problems, with its split only if it is the model's own."""
    origin = problems.origin
    if origin is None and _from_what(model, problems) is not None:
        assert model.split is not None
        for seed in dict.fromkeys(seeds):
            found = model.split.sample(problems.task, "test", len(problems), seed)
            if found == problems:
                return found.origin
    origin = origin or origin_of(problems, seeds)
    if origin is not None and origin.method == "held_out":
        own = origin.split == model.split and origin.options.get("part") == "test"
        return origin if own else None
    return origin


def _rule(
    model: Model, problems: Problems, origin: Origin | None, seed: int
) -> dict[str, Any] | None:
    """The task, `n` and `held_out` from which sampling with `seed` gives these problems."""
    if origin is None:
        return None
    whole = origin.method == "grid"
    if not whole and (origin.seed != seed or set(origin.options) - {"part"}):
        return None
    if origin.method == "sample" and 0 < problems.task.n_problems <= origin.n:
        return None  # so small a task is enumerated
    own = origin.split == model.split  # None without a split in the card
    return {"task": problems.task.name, "n": origin.n, "held_out": own}


def _from_what(model: Model, problems: Problems) -> str | None:
    if model.split is None or not model.split.keeps(problems, "test").all():
        return None
    return "fine-tuning" if model.card and "base" in model.card else "training"


def _mixed(chosen: Task, n: int, seed: int, split: Split | None) -> Problems:
    """`n` problems, half of them balanced by operand length if the task allows it."""
    origin = Origin("mixed", n, seed, split=split)
    if 0 < chosen.n_problems <= _FEW * n:
        every = chosen.grid()
        kept = np.arange(len(every))
        if split is not None:
            kept = kept[split.keeps(every, "test")]
        order = np.random.default_rng(seed).permutation(kept)[:n]
        return every[order].drawn_by(origin)
    half = n // 2
    try:
        if split is None:
            short = chosen.sample(half, seed=seed, sampler="lengths")
        else:
            short = split.draw(chosen, "test", half, seed, sampler="lengths")
    except InputError:  # one length alone
        half = 0
    if split is None:
        uniform = chosen.sample(n - half, seed=seed)
    else:
        uniform = split.sample(chosen, "test", n - half, seed)
    return Problems.concat([uniform, short] if half else [uniform]).drawn_by(origin)

"""Plan of a report: which analyses of the catalogue suit a model and a task, and how many problems
each takes, by its cost.

Costs are counted, not measured, so the same call always takes the same samples. The unit is one
forward pass of one prompt: `_PASSES` has the passes of each analysis for a problem, as measured on
`mul4x4-icot` and `smollm2-arith`, by what they grow with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from interp.arithmetic.tasks import ModularAddition, Task
from interp.catalogue import CATALOGUE, Entry

if TYPE_CHECKING:
    from interp.models.model import Model

SMALL = 1000  # tokens of a vocabulary; a language model has more
BUDGET, LANGUAGE_BUDGET = 270.0, 1800.0  # seconds
_SPEED = 3e10  # operations a second of one core, in float32
_SHARE = 12  # no analysis is planned with more than this part of the budget
_FEWEST = 64  # problems: halves that select and score still have 30


class Passes(NamedTuple):
    """Forward passes for a problem: `once`, and more for each layer, head and operand digit."""

    once: float = 1.0
    layer: float = 0.0
    head: float = 0.0
    digit: float = 0.0


_PASSES: dict[str, Passes] = {}

_ELSEWHERE = {
    "behaviour.published_errors": "reads a file of answers: arithmoscope behaviour --answers FILE",
    "behaviour.explain_published": "reads a file of answers: arithmoscope behaviour --answers FILE",
    "ablation.transfer": "compares formats, tasks or models: arithmoscope ablate transfer",
    "training.digit_losses": "compares several trainings: arithmoscope dynamics",
    "probes.intervene": "needs a probe of your choice: probes.fit, then probes.intervene",
    "over_seeds": "compares several models: arithmoscope agree",
    "over_checkpoints": "needs the checkpoints of a training: arithmoscope series",
}
_OF_A_LANGUAGE_MODEL = ("suites.cookbook", "suites.approximation", "behaviour.search_prompts")
_OF_A_CARD = ("suggest",)
_MODULAR = ("geometry.modular", "geometry.phases")


@dataclass(frozen=True)
class Planned:
    """An analysis with its arguments, and the seconds that it is expected to take."""

    entry: Entry
    options: Mapping[str, Any]
    seconds: float


def planned(
    model: Model, task: Task, format: str | None, seed: int, budget: float, only: Collection[str]
) -> tuple[list[Planned], dict[str, str]]:
    """The analyses of a report, cheapest first, and the reason of each that is left out."""
    entries = [one for one in CATALOGUE if not only or one.name in only]
    left_out = {one.name: why for one in entries if (why := _unsuited(one, model, task))}
    unit = seconds_per_prompt(model, task, format)
    found = [
        _planned(one, model, task, format, seed, unit, budget / _SHARE)
        for one in entries
        if one.name not in left_out
    ]
    return sorted(found, key=lambda one: one.seconds), left_out


def seconds_per_prompt(model: Model, task: Task, format: str | None) -> float:
    """Expected time of a forward pass of one prompt on one core."""
    shape = model.shape
    batch = model.prompts(task.sample(1, seed=0), format=format)
    block = 4 * shape.d_model**2 + 3 * shape.d_model * shape.d_mlp
    unembedding = len(batch.answer_roles) * shape.d_model * shape.d_vocab_out
    tokens = int(batch.lengths.max())
    return float(2 * (tokens * shape.n_layers * block + unembedding) / _SPEED)


def default_budget(model: Model) -> float:
    """Seconds: under five minutes, and half an hour for a language model."""
    return BUDGET if model.shape.d_vocab <= SMALL else LANGUAGE_BUDGET


def own_options(entry: Entry, model: Model) -> dict[str, Any]:
    """Arguments, beside the sample, of the analyses that do not run without, or not in time."""
    layers = model.shape.n_layers
    language = model.shape.d_vocab > SMALL
    every: dict[str, dict[str, Any]] = {
        "attribution.swap_example": {"operand_digit": "a0"},
        "ablation.evaluate": {"schedule": {"wait": max(layers // 2, 1)}},
        "heads.knockout": {"random_orders": 3 if language else 10},
    }
    return every.get(entry.name, {})


def _planned(
    entry: Entry,
    model: Model,
    task: Task,
    format: str | None,
    seed: int,
    unit: float,
    most: float,
) -> Planned:
    passes = _PASSES.get(entry.name, Passes())
    shape = model.shape
    digits = sum(task.operand_digits)
    heads = shape.n_layers * shape.n_heads
    each = unit * (
        passes.once + passes.layer * shape.n_layers + passes.head * heads + passes.digit * digits
    )
    options: dict[str, Any] = {"seed": seed, "format": format, **own_options(entry, model)}
    if entry.n is None:
        return Planned(entry, options, each)
    n = entry.n if each * entry.n <= most else max(int(most / each), min(_FEWEST, entry.n))
    return Planned(entry, {"n": _round(n), **options}, each * n)


def _round(n: int) -> int:
    """Two leading digits: 1,234 problems are 1,200."""
    unit = 10 ** max(len(str(n)) - 2, 0)
    return n if n <= 100 or n & (n - 1) == 0 else n // unit * unit


def _unsuited(entry: Entry, model: Model, task: Task) -> str:
    """Why an analysis does not suit a model and a task; "" if it does."""
    if entry.name in _ELSEWHERE:
        return _ELSEWHERE[entry.name]
    if entry.name in _OF_A_LANGUAGE_MODEL and model.shape.d_vocab <= SMALL:
        return "asks in words, of a language model; this model reads arithmetic alone"
    if entry.name in _OF_A_CARD and model.task is not None:
        return "is for a model whose card names no task and no format"
    if entry.name in _MODULAR and not isinstance(task, ModularAddition):
        return f"is for addition modulo p, not for {task.name}"
    return ""

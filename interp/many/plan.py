"""Plan of a report: which analyses of the catalogue suit a model and a task, and how many problems
each takes, by its cost.

Costs are counted, not measured, so the same call always takes the same samples. The unit is one
forward pass of one prompt: `_COSTS` has the passes of each analysis for a problem, as measured on
`mul4x4-icot`, by what they grow with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from interp.arithmetic.tasks import ModularAddition, Task
from interp.catalogue import CATALOGUE, Entry
from probes.targets import target_names

if TYPE_CHECKING:
    from interp.models.model import Model
    from interp.models.prompts import PromptBatch

BUDGET, LANGUAGE_BUDGET = 270.0, 1800.0  # seconds
_SPEED = 3e10  # operations a second of one core, in float32
_SHARE = 36  # no analysis is planned with more than this part of the budget
_SMALL = 1000  # tokens of a vocabulary; a language model has more
_LAYERS = 4  # of a model whose layers are all probed
_FAMILIES = ("product", "column_sum", "running_sum", "carry", "borrow", "c")
_FEWEST = 64  # problems: halves that select and score still have 30


class Cost(NamedTuple):
    """Forward passes for a problem: `once`, and more for each layer, head and operand digit; and
    the `milliseconds` for a problem that do not depend on the model."""

    once: float = 1.0
    layer: float = 0.0
    head: float = 0.0
    digit: float = 0.0
    milliseconds: float = 0.0


_COSTS: dict[str, Cost] = {
    "attribution.counterfactual": Cost(digit=0.8),
    "attribution.logit_lens": Cost(layer=0.3),
    "attribution.direct": Cost(layer=0.5),
    "attribution.swap_example": Cost(0.05),
    "heads.patch": Cost(head=2.0),
    "heads.paths": Cost(head=0.4),
    "heads.knockout": Cost(head=5.0),
    "heads.screen": Cost(head=2.4),
    "heads.edges": Cost(100.0),
    "heads.neurons": Cost(80.0),
    "heads.interchange": Cost(5.0),
    "heads.circuit": Cost(head=5.0),
    "heads.attention": Cost(3.0),
    "heads.carry": Cost(3.0),
    "heads.tree": Cost(digit=5.0),
    "behaviour.search_prompts": Cost(100.0),
    "behaviour.doctor": Cost(70.0),
    "suggest": Cost(70.0),
    "suites.noisy_prefix": Cost(digit=3.0),
    "suites.cookbook": Cost(400.0),
    "suites.approximation": Cost(20.0),
    "ablation.evaluate": Cost(3.0),
    "ablation.grid": Cost(layer=2.4),
    "ablation.removal": Cost(layer=1.0),
    "ablation.af1": Cost(layer=4.0),
    "ablation.compare": Cost(layer=24.0),
    "ablation.cama": Cost(4.0),
    "geometry.fourier": Cost(4.0, milliseconds=2.0),
    "geometry.figure": Cost(6.0, milliseconds=6.0),
    "geometry.helix": Cost(layer=8.0, milliseconds=60.0),
    "geometry.minkowski": Cost(1.0, milliseconds=4.0),
    "geometry.grid": Cost(5.0),
    "geometry.modular": Cost(20_000.0),
    "geometry.phases": Cost(100_000.0),
    "probes.probe": Cost(milliseconds=8.0),
    "probes.one_hot_baseline": Cost(0.0, milliseconds=4.0),
    "probes.near_multiples": Cost(6.0, milliseconds=20.0),
    "probes.running_sums": Cost(digit=0.1, milliseconds=4.0),
}

_ELSEWHERE = {
    "behaviour.published_errors": "reads a file of answers: arithmoscope behaviour --answers FILE",
    "behaviour.explain_published": "reads a file of answers: arithmoscope behaviour --answers FILE",
    "ablation.transfer": "compares formats, tasks or models: arithmoscope ablate transfer",
    "training.digit_losses": "compares several trainings: arithmoscope dynamics",
    "probes.intervene": "needs a probe of your choice: probes.fit, then probes.intervene",
    "intervene": "needs interventions of your choice: arithmoscope intervene",
    "over_seeds": "compares several models: arithmoscope agree",
    "compare": "compares two Results of your choice: interp.compare",
    "over_checkpoints": "needs the checkpoints of a training: arithmoscope series",
}
_OF_A_LANGUAGE_MODEL = (
    "suites.cookbook", "suites.approximation", "behaviour.search_prompts", "probes.near_multiples",
)  # fmt: skip
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
    asking = Asking(model, task, format)
    found = [
        _planned(one, asking, seed, budget / _SHARE) for one in entries if one.name not in left_out
    ]
    return sorted(found, key=lambda one: one.seconds), left_out


def default_budget(model: Model) -> float:
    """Seconds: under five minutes, and half an hour for a language model."""
    return LANGUAGE_BUDGET if _is_language(model) else BUDGET


@dataclass(frozen=True)
class Asking:
    """A model, a task and the format of its prompts: what sizes depend on."""

    model: Model
    task: Task
    format: str | None

    @cached_property
    def prompt(self) -> PromptBatch:
        """One prompt."""
        return self.model.prompts(self.task.sample(1, seed=0), format=self.format)

    def seconds(self, name: str) -> float:
        """Expected time of an analysis on one core, for a problem."""
        cost = _COSTS.get(name, Cost())
        shape = self.model.shape
        passes = (
            cost.once
            + cost.layer * shape.n_layers
            + cost.head * shape.n_layers * shape.n_heads
            + cost.digit * sum(self.task.operand_digits)
        )
        block = 4 * shape.d_model**2 + 3 * shape.d_model * shape.d_mlp
        tokens = int(self.prompt.lengths.max()) * shape.n_layers * block
        answer = len(self.prompt.answer_roles) * shape.d_model * shape.d_vocab_out
        return passes * 2 * (tokens + answer) / _SPEED + cost.milliseconds / 1000

    def own_options(self, name: str) -> dict[str, Any]:
        """Arguments, beside the sample, of an analysis that does not run without, or not in time,
        as JSON values."""
        layers = self.model.shape.n_layers
        if name == "attribution.swap_example":
            return {"operand_digit": "a0"}
        if name == "ablation.evaluate":
            return {"schedule": {"wait": max(layers // 2, 1)}}
        if name == "heads.knockout":
            return {"random_orders": 5}
        if name == "probes.probe":
            every = (
                range(layers) if layers <= _LAYERS else (layers // 3, 2 * layers // 3, layers - 1)
            )
            return {"targets": self._targets(), "layers": list(every), "roles": self._roles()}
        return {}

    def _targets(self) -> list[str]:
        """The middle column of each computed family of the task."""
        names = target_names(self.task)
        families = [[x for x in names if x.startswith(f"{family}[")] for family in _FAMILIES]
        return [family[len(family) // 2] for family in families if family]

    def _roles(self) -> list[str]:
        """The position that predicts the middle digit of the answer, and the end of the prompt."""
        digits = [role for role in self.prompt.answer_roles_least_first if role.startswith("c")]
        return [f"predicts({digits[len(digits) // 2]})", "last"]


def _planned(entry: Entry, asking: Asking, seed: int, most: float) -> Planned:
    each = asking.seconds(entry.name)
    options = {"seed": seed, "format": asking.format, **asking.own_options(entry.name)}
    if entry.n is None:
        return Planned(entry, options, each)
    n = entry.n
    if each * n > most:
        n = _round(max(int(most / each), min(_FEWEST, n)))
    return Planned(entry, {"n": n, **options}, each * n)


def _round(n: int) -> int:
    """Two leading digits: 1,234 problems are 1,200."""
    unit = 10 ** max(len(str(n)) - 2, 0)
    return n // unit * unit


def _unsuited(entry: Entry, model: Model, task: Task) -> str:
    """Why an analysis does not suit a model and a task; "" if it does."""
    if entry.name in _ELSEWHERE:
        return _ELSEWHERE[entry.name]
    if entry.name in _OF_A_LANGUAGE_MODEL and not _is_language(model):
        return "asks in words, of a language model; this model reads arithmetic alone"
    if entry.name in _OF_A_CARD and model.task is not None:
        return "is for a model whose card names no task and no format"
    if entry.name in _MODULAR and not isinstance(task, ModularAddition):
        return f"is for addition modulo p, not for {task.name}"
    return ""


def _is_language(model: Model) -> bool:
    return bool(model.shape.d_vocab > _SMALL)

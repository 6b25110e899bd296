"""A recipe: every number that decides a training run, in one frozen value.

Two runs of one recipe on one thread give the same weights to the bit; a card holds the recipe
whole, and what was changed of it on the way, so that anyone can train the model again. The recipes
themselves stand in `catalogue.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from interp.errors import InputError
from interp.training.objectives import objective_from
from interp.training.objectives.answer import AnswerLoss
from interp.training.objectives.base import Objective
from interp.training.validate_recipe import check_fit

if TYPE_CHECKING:
    from interp.training.adapters.recipe import AdapterRecipe
    from interp.training.run_state import TrainingRun


# What may be changed when a run goes on from a checkpoint, so that one whose loss became no number
# can be saved. The card lists every such change.
CHANGEABLE = ("learning_rate", "warmup", "precision", "clip")


@dataclass(frozen=True)
class Draw:
    """One part of a batch: `weight` of its rows come from `sampler`, in a window of the training.

    sampler  a sampler of `interp.arithmetic`: its `sampler_names()`
    weight   its part of the batch, relative to the other draws that are active
    options  what the sampler takes, such as (("share", 1.0),)
    start    active from this share of the steps on …
    stop     … and before this one: a curriculum is a list of draws with windows
    """

    sampler: str = "uniform"
    weight: float = 1.0
    options: tuple[tuple[str, Any], ...] = ()
    start: float = 0.0
    stop: float = 1.0

    def active(self, progress: float) -> bool:
        """Whether this draw is part of the batch at `progress` (0 at the first step, below 1)."""
        return self.start <= progress < self.stop


def draw(
    sampler: str, weight: float = 1.0, *, start: float = 0.0, stop: float = 1.0, **options: Any
) -> Draw:
    """`Draw` with the sampler's options as keywords: `draw("cascades", 0.5, share=1.0)`."""
    return Draw(sampler, weight, tuple(sorted(options.items())), start, stop)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run as a value. All counts are of optimiser steps unless they say otherwise.

    Raises InputError when the parts do not fit each other or the task.
    """

    weights_file: ClassVar[str] = "model.safetensors"

    name: str
    task: str  # `Task.name`
    format: str = "padded"

    # The model: a Hugging Face config of `family` with random weights.
    family: str = "gpt2"  # "gpt2" or "llama"
    n_layers: int = 2
    n_heads: int = 4
    n_kv_heads: int | None = None  # Llama only: fewer key/value heads than heads
    d_model: int = 128
    d_mlp: int | None = None  # None: 4 · d_model
    activation: str = "gelu_pytorch_tanh"
    positions: str = "learned"  # "learned", "none", "random-offset" (GPT-2) or "rotary" (Llama)
    n_ctx: int | None = None  # None: exactly the tokens of one written problem
    layer_norm: bool = True
    tied: bool = True  # the unembedding is the embedding
    initializer_range: float = 0.02  # standard deviation of the first weights
    bos: bool = False

    # Fine-tuning: the trained model that the weights start from, what share of its blocks' matrices
    # is kept beside what `seed` draws (shrink and perturb, 1910.08475; another seed than the base's
    # gives other matrices than it began with), and the heads (layer, head) that alone are trained,
    # with `shared_kv` as in `heads.py`.
    base: str | None = None
    shrink: float = 1.0
    heads: tuple[tuple[int, int], ...] = ()
    shared_kv: bool = False

    # The data: fresh problems at every step, with fixed_rows=N the same N in every epoch, each time
    # in another order, or with batch=None all training problems at every step.
    mix: tuple[Draw, ...] = (Draw(),)
    batch: int | None = 512
    fixed_rows: int | None = None
    test_share: float = (
        1 / 16
    )  # of all unordered operand pairs, never trained on, scored in the card
    validation_share: float = 1 / 64  # never trained on, looked at during training
    split_seed: int = 0

    objective: Objective = field(default_factory=AnswerLoss)

    # The optimiser: AdamW, or AdamW beside Muon.
    steps: int = 6000
    stop_after: int | None = None  # end there; the rate is what it would be in all of `steps`
    learning_rate: float = 1e-3
    warmup: int = 200
    decay: str = "cosine"  # "cosine", "linear" or "constant", after the warm-up
    final_rate: float = 0.001  # share of the learning rate that is left at the last step
    weight_decay: float = 0.1  # on matrices only
    betas: tuple[float, float] = (0.9, 0.98)
    # Muon for the matrices of the blocks, at this many times `learning_rate`; None: AdamW for all.
    muon_rate: float | None = None
    clip: float = 1.0  # largest norm of the gradient
    precision: str = "bfloat16"  # of matrix products: "bfloat16" (autocast) or "float32"
    seed: int = 0

    # What is looked at on the way, and what is kept.
    target: float | None = None  # stop early at this exact accuracy on the validation problems
    evaluate_every: int = 250
    evaluate_n: int = 2000
    log_every: int = 50  # loss and accuracy by digit and by subtask class, on the training batch
    gradients_every: int | None = None  # gradient norms and cosines by digit and by subtask class
    checkpoint_every: int = 500
    series: tuple[int, ...] = ()  # steps after which a loadable copy of the model is kept
    card_n: int = 100_000  # held-out problems that the card's accuracy is measured on

    def __post_init__(self) -> None:
        check_fit(self)

    @property
    def last_step(self) -> int:
        """How many steps a run takes if nothing ends it earlier."""
        return self.steps if self.stop_after is None else self.stop_after

    def start(self, *, going_on: bool = False) -> TrainingRun:
        """A run before its first step, or before a checkpoint is put in it."""
        from interp.training.run_state import TrainingRun  # built from this module's classes

        return TrainingRun.start(self, going_on=going_on)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `Recipe.from_json` gives an equal recipe back."""
        content = asdict(self) | {"objective": self.objective.to_json()}
        content["mix"] = [asdict(part) | {"options": dict(part.options)} for part in self.mix]
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Recipe:
        """Inverse of `to_json`. Raises InputError for a field that no recipe has."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(content) - known):
            raise InputError(f"no recipe has {unknown}; the fields are {sorted(known)}")
        values = dict(content)
        if "mix" in values:
            parts = (dict(part) for part in values["mix"])
            values["mix"] = tuple(Draw(**part | {"options": _pairs(part)}) for part in parts)
        if "objective" in values:
            values["objective"] = objective_from(values["objective"])
        for name in ("betas", "series"):
            if name in values:
                values[name] = tuple(values[name])
        values["heads"] = tuple((layer, head) for layer, head in values.get("heads", ()))
        return cls(**values)


def _pairs(part: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(dict(part.get("options", {})).items()))


def same_recipe(saved: Mapping[str, Any], recipe: Recipe | AdapterRecipe) -> bool:
    """Whether saved JSON is this recipe; fields that were added since then have their defaults."""
    try:
        return type(recipe).from_json(saved) == recipe
    except (InputError, TypeError):
        return False


def changes_between(
    saved: Mapping[str, Any], recipe: Recipe | AdapterRecipe, step: int
) -> list[dict[str, Any]] | None:
    """What a run does otherwise from `step` on, as a card lists it: {step, field, before, after}.
    None where saved JSON differs from the recipe in more than what is `CHANGEABLE`."""
    try:
        before = type(recipe).from_json(saved)
    except (InputError, TypeError):
        return None
    new = {name: getattr(recipe, name) for name in CHANGEABLE}
    if replace(before, **new) != recipe:
        return None
    return [
        {"step": step, "field": name, "before": getattr(before, name), "after": value}
        for name, value in new.items()
        if getattr(before, name) != value
    ]


def differing_fields(saved: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The fields, apart from name and seed, in which saved recipes are not all the same; fields
    that were added since one was saved have their defaults."""
    whole = [_with_defaults(content) for content in saved]
    names = {name for content in whole for name in content} - {"name", "seed"}
    return tuple(
        sorted(
            name
            for name in names
            if any(content.get(name) != whole[0].get(name) for content in whole)
        )
    )


def _with_defaults(content: Mapping[str, Any]) -> Mapping[str, Any]:
    from interp.training.adapters.recipe import AdapterRecipe  # it checks itself by this room's fit

    kind = Recipe if "mix" in content else AdapterRecipe
    try:
        return kind.from_json(content).to_json()
    except (InputError, TypeError):  # of another release, with fields that are unknown here
        return content


def recipe_names() -> tuple[str, ...]:
    """The recipes that `recipe` knows, in alphabetical order."""
    from interp.training.catalogue import RECIPES  # built from this module's classes

    return tuple(sorted(RECIPES))


def known_recipe(name: str) -> Recipe | AdapterRecipe | None:
    """The recipe of that name as it stands, None where there is none."""
    from interp.training.catalogue import RECIPES  # built from this module's classes
    from interp.training.design import RUNS

    return RECIPES.get(name) or RUNS.get(name)


def recipe(name: str, /, **overrides: Any) -> Recipe | AdapterRecipe:
    """The recipe of that name, with fields replaced: `recipe("add5", seed=1, name="add5-s1")`.

    Of the shipped models, and of the runs that `interp.training.design` plans.

    Lists and objects are read as in a recipe's JSON: `recipe("add5", heads=[[0, 1]])`.

    Raises:
        InputError: for an unknown recipe or field, or values that do not fit each other.
    """
    found = known_recipe(name)
    if found is None:
        raise InputError(f"no recipe {name!r}; there are {', '.join(recipe_names())}")
    known = [item.name for item in fields(found)]
    if unknown := sorted(set(overrides) - set(known)):
        raise InputError(f"no recipe has {unknown}; the fields are {', '.join(known)}")
    if not any(isinstance(value, list | dict) for value in overrides.values()):
        return replace(found, **overrides)
    # All at once, since one override may only fit together with another.
    objects: dict[str, Any] = {
        k: v for k, v in overrides.items() if isinstance(v, tuple | Objective)
    }
    content = found.to_json() | {k: v for k, v in overrides.items() if k not in objects}
    return replace(type(found).from_json(content), **objects)

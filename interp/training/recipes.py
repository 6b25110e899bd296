"""Recipe of a training run: all hyperparameters in one frozen dataclass.

Two runs of one recipe on one thread give the same weights to the bit. A card holds the whole recipe
and its changes during training, so that anyone can reproduce the model. `catalogue.py` holds the
recipes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from interp.arithmetic.formats import format, format_names
from interp.arithmetic.held_out import Split
from interp.arithmetic.tasks import task
from interp.errors import InputError
from interp.training.heads import check_heads
from interp.training.objectives.answer import AnswerLoss
from interp.training.objectives.base import Objective
from interp.training.objectives.by_kind import objective_from
from interp.training.schedule import check_choices, validate_schedule


@dataclass(frozen=True)
class Draw:
    """One component of a batch: a sampler, its weight, and its window of the training.

    sampler  a name in `interp.arithmetic.sampler_names()`
    weight   share of the batch, relative to the other active draws
    options  keyword arguments of the sampler, such as (("share", 1.0),)
    start    active from this share of the steps on …
    stop     … and before this one: a curriculum is a list of draws with windows
    """

    sampler: str = "uniform"
    weight: float = 1.0
    options: tuple[tuple[str, Any], ...] = ()
    start: float = 0.0
    stop: float = 1.0

    def active(self, progress: float) -> bool:
        """True if the draw is part of the batch at `progress` (0 at the first step, below 1)."""
        return self.start <= progress < self.stop


def draw(
    sampler: str, weight: float = 1.0, *, start: float = 0.0, stop: float = 1.0, **options: Any
) -> Draw:
    """`Draw` with the sampler's options as keywords: `draw("cascades", 0.5, share=1.0)`."""
    return Draw(sampler, weight, tuple(sorted(options.items())), start, stop)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All hyperparameters of a training run. Counts are optimiser steps unless stated otherwise.

    Raises InputError for inconsistent fields, or fields that do not suit the task.
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
    n_ctx: int | None = None  # None: the token count of one written problem
    layer_norm: bool = True
    tied: bool = True  # the unembedding is the embedding
    initializer_range: float = 0.02  # standard deviation of the initial weights
    bos: bool = False

    # Fine-tuning: the trained base model; the share of its blocks' matrices in the sum with those
    # drawn from `seed` (shrink and perturb, 1910.08475; a seed other than the base's gives other
    # matrices than the base's initial ones); and the only heads (layer, head) to train, with
    # `shared_kv` as in `heads.py`.
    base: str | None = None
    shrink: float = 1.0
    heads: tuple[tuple[int, int], ...] = ()
    shared_kv: bool = False

    # The data: fresh problems at every step; with fixed_rows=N the same N in every epoch, reordered
    # each time; with batch=None all training problems at every step.
    mix: tuple[Draw, ...] = (Draw(),)
    batch: int | None = 512
    fixed_rows: int | None = None
    test_share: float = (
        1 / 16
    )  # of all unordered operand pairs, never trained on, scored in the card
    validation_share: float = 1 / 64  # never trained on, scored during training
    split_seed: int = 0

    objective: Objective = field(default_factory=AnswerLoss)

    # The optimiser: AdamW, or AdamW beside Muon.
    steps: int = 6000
    stop_after: int | None = None  # last step; the schedule still spans `steps`
    learning_rate: float = 1e-3
    warmup: int = 200
    decay: str = "cosine"  # "cosine", "linear" or "constant", after the warm-up
    final_rate: float = 0.001  # learning rate at the last step, as a share of the peak
    weight_decay: float = 0.1  # on matrices only
    betas: tuple[float, float] = (0.9, 0.98)
    # Muon's learning rate for the blocks' matrices, as a multiple of `learning_rate`; None: AdamW.
    muon_rate: float | None = None
    clip: float = 1.0  # largest norm of the gradient
    precision: str = "bfloat16"  # of matrix products: "bfloat16" (autocast) or "float32"
    seed: int = 0

    # Validation, logging and saved copies.
    target: float | None = None  # early stopping at this exact accuracy on the validation problems
    evaluate_every: int = 250
    evaluate_n: int = 2000
    log_every: int = 50  # loss and accuracy by digit and by subtask class, on the training batch
    gradients_every: int | None = None  # gradient norms and cosines by digit and by subtask class
    checkpoint_every: int = 500
    series: tuple[int, ...] = ()  # steps after which a loadable copy of the model is saved
    card_n: int = 100_000  # held-out problems behind the card's accuracy

    def __post_init__(self) -> None:
        validate_recipe(self)

    @property
    def last_step(self) -> int:
        """Number of steps of a run without early stopping."""
        return self.steps if self.stop_after is None else self.stop_after

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON values, the inverse of `Recipe.from_json`."""
        content = asdict(self) | {"objective": self.objective.to_json()}
        content["mix"] = [asdict(part) | {"options": dict(part.options)} for part in self.mix]
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Recipe:
        """The recipe of JSON values, the inverse of `to_json`.

        Raises InputError for an unknown field.
        """
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


_CHOICES = {
    "family": ("gpt2", "llama"),
    "positions": ("learned", "none", "random-offset", "rotary"),
    "activation": ("gelu_pytorch_tanh", "gelu_new", "gelu", "relu", "silu"),
}


def validate_recipe(recipe: Recipe) -> None:
    """Validate a Recipe. Raises InputError with the remedy."""
    for name in ("n_layers", "n_heads", "d_model"):
        if getattr(recipe, name) < 1:
            raise InputError(f"{name}={getattr(recipe, name)}: at least 1 is needed")
    if not recipe.initializer_range > 0:
        raise InputError(f"initializer_range={recipe.initializer_range} must be above 0")
    check_choices(recipe, _CHOICES)
    validate_schedule(recipe)
    _check_model(recipe)
    _check_data(recipe)
    recipe.objective.check(recipe)


def _check_model(recipe: Recipe) -> None:
    if recipe.d_model % recipe.n_heads:
        raise InputError(
            f"d_model={recipe.d_model} is not divisible by n_heads={recipe.n_heads}: every head "
            "has d_model / n_heads dimensions"
        )
    llama = recipe.family == "llama"
    if (recipe.positions == "rotary") != llama:
        raise InputError(
            f"positions={recipe.positions!r} does not go with family={recipe.family!r}: Llama "
            "models have 'rotary' positions, GPT-2 models 'learned', 'none' or 'random-offset'"
        )
    if llama and not (recipe.layer_norm and recipe.activation == "silu"):
        raise InputError(
            "a Llama model has activation='silu' and keeps its norms (layer_norm=True)"
        )
    if not llama and (recipe.activation == "silu" or recipe.n_kv_heads is not None):
        raise InputError("a GPT-2 model has no 'silu' and no n_kv_heads: use family='llama'")
    if llama and recipe.n_heads % (recipe.n_kv_heads or recipe.n_heads):
        raise InputError("n_heads must be a multiple of n_kv_heads")
    if not 0 <= recipe.shrink <= 1:
        raise InputError(f"shrink={recipe.shrink} is the share of the base that is kept: 0 to 1")
    if recipe.shrink < 1 and (recipe.base is None or recipe.heads):
        raise InputError("shrink= is for a model that goes on from a base= as a whole, heads=()")
    check_heads(recipe.heads, recipe.n_layers, recipe.n_heads)
    if recipe.heads and recipe.weight_decay:
        raise InputError("heads alone are trained with weight_decay=0: decay would move the others")
    if recipe.heads and recipe.muon_rate is not None:
        raise InputError("heads alone are trained with muon_rate=None: Muon mixes a matrix' rows")
    if recipe.positions == "random-offset" and recipe.n_ctx is None:
        raise InputError(
            "positions='random-offset' needs n_ctx, longer than the text by the offsets"
        )


def _check_data(recipe: Recipe) -> None:
    the_task = task(recipe.task)
    Split(recipe.test_share, recipe.validation_share, recipe.split_seed)
    if not format(recipe.format).accepts(the_task):
        raise InputError(
            f"format {recipe.format!r} cannot write {recipe.task}; these can: "
            f"{', '.join(format_names(the_task))}"
        )
    if format(recipe.format).whole:
        raise InputError(
            f"format {recipe.format!r} writes one token a number (whole), and the tokenizer of a "
            "recipe has one a digit: leave 'whole' out, or train residues in the format 'modular'"
        )
    _check_fixed_rows(recipe)
    if recipe.batch is None:
        the_task.grid()  # raises for a task with too many problems
        return
    for part in recipe.mix:
        if part.weight < 0 or not part.start < part.stop:
            raise InputError(f"{part}: a weight is not negative, and start comes before stop")
        # Raises for a sampler that the task does not have.
        the_task.sample(1, seed=0, sampler=part.sampler, **dict(part.options))
    edges = sorted({0.0, *(part.start for part in recipe.mix), *(part.stop for part in recipe.mix)})
    for edge in edges:
        if edge < 1 and not any(part.active(edge) and part.weight > 0 for part in recipe.mix):
            raise InputError(f"no draw of the mix is active at {edge:.0%} of the training")


def _check_fixed_rows(recipe: Recipe) -> None:
    if recipe.fixed_rows is None:
        return
    if recipe.batch is None:
        raise InputError(
            f"fixed_rows={recipe.fixed_rows} needs a batch; batch=None takes all training problems "
            "at every step"
        )
    if any((part.start, part.stop) != (0.0, 1.0) for part in recipe.mix):
        raise InputError(
            f"fixed_rows={recipe.fixed_rows} are drawn once: leave start and stop of the draws out"
        )

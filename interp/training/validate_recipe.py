"""Whether the parts of a recipe fit each other, asked before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.arithmetic.formats import format, format_names
from interp.arithmetic.held_out import Split
from interp.arithmetic.tasks import task
from interp.errors import InputError
from interp.training.heads import check_heads

if TYPE_CHECKING:
    from interp.training.adapters.recipe import AdapterRecipe
    from interp.training.recipes import Recipe

_CHOICES = {
    "family": ("gpt2", "llama"),
    "positions": ("learned", "none", "random-offset", "rotary"),
    "decay": ("cosine", "linear", "constant"),
    "precision": ("bfloat16", "float32"),
    "activation": ("gelu_pytorch_tanh", "gelu_new", "gelu", "relu", "silu"),
}
_AT_LEAST_ONE = (
    "steps", "evaluate_every", "evaluate_n", "log_every",
    "checkpoint_every", "card_n",
)  # fmt: skip


def check_fit(recipe: Recipe) -> None:
    """Raise InputError, with the remedy, where a recipe contradicts itself or its task."""
    for name in ("n_layers", "n_heads", "d_model"):
        if getattr(recipe, name) < 1:
            raise InputError(f"{name}={getattr(recipe, name)}: at least 1 is needed")
    if not recipe.initializer_range > 0:
        raise InputError(f"initializer_range={recipe.initializer_range} must be above 0")
    _check_choices(recipe, ("family", "positions", "activation"))
    check_numbers(recipe)
    _check_model(recipe)
    _check_data(recipe)
    recipe.objective.check(recipe)


def _check_choices(recipe: Recipe | AdapterRecipe, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(recipe, name) not in _CHOICES[name]:
            raise InputError(
                f"{name}={getattr(recipe, name)!r} must be one of {', '.join(_CHOICES[name])}"
            )


def check_numbers(recipe: Recipe | AdapterRecipe) -> None:
    """Raise InputError for numbers of the loop or the optimiser that make no sense."""
    _check_choices(recipe, ("decay", "precision"))
    counts = ("batch", "fixed_rows", "gradients_every", "n_ctx")
    optional = [name for name in counts if getattr(recipe, name, None) is not None]
    for name in (*_AT_LEAST_ONE, *optional):
        if getattr(recipe, name) < 1:
            raise InputError(f"{name}={getattr(recipe, name)}: at least 1 is needed")
    for name in ("learning_rate", "clip"):
        if not getattr(recipe, name) > 0:
            raise InputError(f"{name}={getattr(recipe, name)} must be above 0")
    if recipe.muon_rate is not None and not recipe.muon_rate > 0:
        raise InputError(f"muon_rate={recipe.muon_rate} must be above 0, or None for AdamW alone")
    if recipe.weight_decay < 0 or recipe.warmup < 0:
        raise InputError("weight_decay and warmup cannot be negative")
    if not 0 <= recipe.final_rate <= 1:
        raise InputError(f"final_rate={recipe.final_rate} is a share of the rate: 0 to 1")
    if not 1 <= recipe.last_step <= recipe.steps:
        raise InputError(f"a run of steps={recipe.steps} cannot stop after {recipe.last_step}")
    if recipe.target is not None and not 0 < recipe.target <= 1:
        raise InputError(f"target={recipe.target} is an accuracy: above 0, at most 1")
    if any(not 0 <= step <= recipe.last_step for step in recipe.series):
        raise InputError(
            f"every step of the series must lie between 0 and the last, {recipe.last_step}"
        )


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
    _check_fixed_rows(recipe)
    if recipe.batch is None:
        the_task.grid()  # refuses a task with too many problems
        return
    for part in recipe.mix:
        if part.weight < 0 or not part.start < part.stop:
            raise InputError(f"{part}: a weight is not negative, and start comes before stop")
        # A sampler that the task does not have says so here.
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

"""The schedule of a recipe of either kind, and its validation."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from interp.errors import InputError

DECAYS = ("cosine", "linear", "constant")
_AT_LEAST_ONE = (
    *("steps", "evaluate_every", "evaluate_n", "log_every"),
    *("checkpoint_every", "card_n"),
)


class Schedule(Protocol):
    """The optimiser's settings in a Recipe or an AdapterRecipe."""

    @property
    def steps(self) -> int: ...
    @property
    def last_step(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup(self) -> int: ...
    @property
    def decay(self) -> str: ...
    @property
    def final_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def betas(self) -> tuple[float, float]: ...
    @property
    def muon_rate(self) -> float | None: ...
    @property
    def precision(self) -> str: ...
    @property
    def target(self) -> float | None: ...
    @property
    def series(self) -> tuple[int, ...]: ...


def multiplies_in_bfloat16(recipe: Schedule) -> bool:
    """Whether a step has such products: Muon's are in bfloat16 whatever the precision."""
    return recipe.precision == "bfloat16" or recipe.muon_rate is not None


def validate_schedule(recipe: Schedule) -> None:
    """Validate the numbers of the loop and the optimiser. Raises InputError with the remedy."""
    check_choices(recipe, {"decay": DECAYS, "precision": ("bfloat16", "float32")})
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


def check_choices(recipe: Any, choices: Mapping[str, Sequence[str]]) -> None:
    """Raise InputError for a field whose value is not one of its choices."""
    for name, allowed in choices.items():
        if getattr(recipe, name) not in allowed:
            raise InputError(
                f"{name}={getattr(recipe, name)!r} must be one of {', '.join(allowed)}"
            )

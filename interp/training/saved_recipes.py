"""Comparison of saved recipes (of cards and checkpoints) with current ones."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from interp.errors import InputError
from interp.training.adapters.recipe import AdapterRecipe
from interp.training.recipes import Recipe

AnyRecipe = Recipe | AdapterRecipe

# Fields that may change when a run resumes from a checkpoint, so that a run with a non-finite loss
# can be rescued. The card lists every such change.
CHANGEABLE = ("learning_rate", "warmup", "precision", "clip")


def same_recipe(saved: Mapping[str, Any], recipe: AnyRecipe) -> bool:
    """True if saved JSON is this recipe; fields added since then have their defaults."""
    try:
        return type(recipe).from_json(saved) == recipe
    except (InputError, TypeError):
        return False


def changes_between(
    saved: Mapping[str, Any], recipe: AnyRecipe, step: int
) -> list[dict[str, Any]] | None:
    """Changes of a run from `step` on, as a card lists them: {step, field, before, after}.
    None if saved JSON differs from the recipe in a field that is not `CHANGEABLE`."""
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
    """The fields, apart from name and seed, in which saved recipes differ; fields added since one
    was saved have their defaults."""
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
    kind = Recipe if "mix" in content else AdapterRecipe
    try:
        return kind.from_json(content).to_json()
    except (InputError, TypeError):  # of another release, with unknown fields
        return content

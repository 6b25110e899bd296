"""Recipes as a card or a checkpoint holds them, compared with recipes as they are now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from interp.errors import InputError
from interp.training.adapters.recipe import AdapterRecipe
from interp.training.recipes import Recipe

AnyRecipe = Recipe | AdapterRecipe

# What may be changed when a run goes on from a checkpoint, so that one whose loss became no number
# can be saved. The card lists every such change.
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
    None where saved JSON differs from the recipe in a field that is not `CHANGEABLE`."""
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
    kind = Recipe if "mix" in content else AdapterRecipe
    try:
        return kind.from_json(content).to_json()
    except (InputError, TypeError):  # of another release, with fields that are unknown here
        return content

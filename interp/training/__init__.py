"""Training small models and watching them learn: recipes, one loop, cards.

>>> from interp.training import recipe
>>> recipe("add5").task
'add:5'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.training.adapters.recipe import AdapterRecipe
    from interp.training.build import build_model, build_tokenizer
    from interp.training.card import Card, write_card
    from interp.training.learning import digit_losses, dynamics
    from interp.training.logs import read_log
    from interp.training.loop import Trained, train
    from interp.training.recipes import Draw, Recipe, draw, recipe, recipe_names
    from interp.training.run import Validation

_NAMES = {
    "AdapterRecipe": "adapters.recipe",
    "Card": "card",
    "Draw": "recipes",
    "Recipe": "recipes",
    "Trained": "loop",
    "Validation": "run",
    "build_model": "build",
    "build_tokenizer": "build",
    "digit_losses": "learning",
    "draw": "recipes",
    "dynamics": "learning",
    "read_log": "logs",
    "recipe": "recipes",
    "recipe_names": "recipes",
    "train": "loop",
    "write_card": "card",
}

__all__ = [
    "AdapterRecipe",
    "Card",
    "Draw",
    "Recipe",
    "Trained",
    "Validation",
    "build_model",
    "build_tokenizer",
    "digit_losses",
    "draw",
    "dynamics",
    "read_log",
    "recipe",
    "recipe_names",
    "train",
    "write_card",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"interp.training.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'interp.training' has no attribute {name!r}; it has {__all__}")

"""Warm starts: runs initialised from another run's model or adapter.

The start must have a card with the same held-out problems, since problems that it was trained on
are not held out. The new card records the start, whose training is part of the total cost.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from interp.errors import InputError, ModelError
from interp.models.fixtures import fixture_folder, fixture_folders, read_card
from interp.models.weights import weight_hash
from interp.training.catalogue import known_recipe
from interp.training.saved_recipes import AnyRecipe

HELD_OUT = ("test_share", "validation_share", "split_seed")
# Recipe fields that the shapes of a small model's weights do not reveal.
BEHAVIOUR = ("family", "n_heads", "n_kv_heads", "activation", "positions", "layer_norm", "tied")
ADAPTER = ("base", "rank", "alpha", "projections", "heads", "shared_kv")


def start_folder(name: str) -> Path:
    """The local folder of a shipped model or a training run. Nothing is downloaded.

    Raises ModelError if there is none, with the command that makes it.
    """
    folder = fixture_folder(name) or Path(name).expanduser()
    if not folder.is_dir():
        known = known_recipe(folder.name) is not None
        raise ModelError(
            f"there is no file or folder {name!r} to start from: "
            + (
                f"make it by `arithmoscope train {folder.name} --out {name}`"
                if known
                else f"give a training's folder or a shipped model ({', '.join(fixture_folders())})"
            )
        )
    return folder


def check_start(name: str, recipe: AnyRecipe, fields: tuple[str, ...]) -> Mapping[str, Any]:
    """The card of a warm start, after validation of its held-out problems and `fields`.

    Raises InputError if these differ from the recipe's, or there is no card with a recipe.
    """
    card = read_card(start_folder(name)) or {}
    content = card.get("recipe")
    before = type(recipe).from_json(content) if content else None
    if any(getattr(before, key, None) != getattr(recipe, key) for key in HELD_OUT):
        raise InputError(
            f"{name!r} may have been trained on problems that this recipe holds out: its card must "
            f"say the same {', '.join(HELD_OUT)}"
        )
    differing = [key for key in fields if getattr(before, key) != getattr(recipe, key)]
    if differing:
        shown = "; ".join(
            f"{key}: {getattr(before, key)!r} there, {getattr(recipe, key)!r} here"
            for key in differing
        )
        raise InputError(f"{name!r} is another model ({shown}): copy {', '.join(fields)} from it")
    return card


def start_record(name: str, weights_file: str) -> dict[str, Any]:
    """The card's record of a warm start: name, hash of the weights, rows and minutes.

    `changes` lists the changes of its recipe during training; `started_from` is the record of its
    own warm start, None if it began with random weights.
    """
    folder = start_folder(name)
    card = read_card(folder) or {}
    return {
        "name": name,
        "weight_hash": weight_hash(load_file(folder / weights_file)),
        "rows_trained_on": card.get("data", {}).get("rows_trained_on"),
        "wall_minutes": card.get("wall_minutes"),
        "cpu_minutes": card.get("cpu_minutes"),
        "changes": card.get("changes", []),
        "started_from": card.get("started_from"),
    }

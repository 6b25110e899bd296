"""Export of a trained model: a standard folder with its card and its log."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from interp.arithmetic.held_out import Split
from interp.errors import StorageError
from interp.models.weights import weight_hash
from interp.results.atomic import folder_atomic
from interp.training.adapters.card import AdapterCard
from interp.training.adapters.recipe import AdapterRecipe
from interp.training.card import Card, read_card, write_card
from interp.training.checkpoint import remove_checkpoints
from interp.training.recipes import Recipe
from interp.training.run import Run
from interp.training.saved_recipes import AnyRecipe, same_recipe

LOG = "training_log.parquet"


def finish(run: Run, out: Path, stopped: str) -> Card | AdapterCard:
    """Write the model, tokenizer and log into `out`, then the card, and return the card.

    Checkpoints are removed after the card is written, so a kill at any moment loses nothing.
    Raises ModelError for a non-finite weight, before anything is written.
    """
    run.check_weights()
    minutes = (round(run.wall_seconds / 60, 2), round(run.cpu_seconds / 60, 2))
    with folder_atomic(out) as folder:
        run.save_model(folder)
        run.log_frame().to_parquet(folder / LOG, index=False)
    card = run.card(stopped, weight_hash(load_file(out / run.recipe.weights_file)), minutes)
    write_card(out, card)
    remove_checkpoints(out)
    return card


def finished(out: Path, recipe: AnyRecipe) -> Card | AdapterCard | None:
    """The card of the finished model in `out`; None without a card.

    Raises StorageError if the model has another recipe (training there would mix the two) or its
    weights differ from the card's.
    """
    if not (out / "card.json").is_file():
        return None
    card: Card | AdapterCard
    if isinstance(recipe, AdapterRecipe):
        card = read_card(out, AdapterCard)
    else:
        card = read_card(out, Card)
    if not same_recipe(card.recipe, recipe):
        raise StorageError(
            f"{out} already holds the model {card.name!r} of another recipe: train into another "
            "folder, or replace it with resume=False (--no-resume)"
        )
    weights = out / recipe.weights_file
    try:
        found = weight_hash(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"{weights} cannot be read ({error}): train it again with resume=False (--no-resume)"
        ) from error
    if found != card.weight_hash:
        raise StorageError(
            f"{weights} is not the model that card.json describes (its hash is {found[:12]}, "
            f"not {card.weight_hash[:12]}): train it again with resume=False (--no-resume)"
        )
    return card


def forget(out: Path) -> None:
    """Remove the checkpoints, the series and the card, so that training starts again."""
    remove_checkpoints(out)
    if (out / "series").is_dir():
        shutil.rmtree(out / "series")
    (out / "card.json").unlink(missing_ok=True)


def save_series(run: Run, out: Path) -> Path:
    """Save a loadable copy of the current model; return its folder, `OUT/series/step-00000500/`.

    Its card gives the run and the step (recipe, seed and weight hash, which tell two runs apart),
    the task and the held-out split, but no accuracy.
    """
    recipe = run.recipe
    split = Split(recipe.test_share, recipe.validation_share, recipe.split_seed)
    place = out / "series" / f"step-{run.step:08d}"
    with folder_atomic(place) as folder:
        run.save_model(folder)
        card = {
            "name": f"{recipe.name} at step {run.step}",
            "step": run.step,
            "run": {"recipe": recipe.name, "seed": recipe.seed},
            "weight_hash": weight_hash(load_file(folder / recipe.weights_file)),
            "data": {"held_out": asdict(split)},
        }
        if isinstance(recipe, Recipe):
            card |= {"task": recipe.task, "format": recipe.objective.final_format(recipe)}
        text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
        (folder / "card.json").write_text(text, encoding="utf-8")
    return place

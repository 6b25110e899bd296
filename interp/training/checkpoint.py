"""Checkpoints of a training run, from which a killed run resumes exactly.

    OUT/checkpoints/step-00000500/weights.safetensors     the model's tensors, and the objective's
                                  moments.safetensors     the optimiser's state
                                  log.parquet             the training log so far
                                  state.json              recipe, its changes during training, step,
                                                          time spent, sha256 of the other files

A checkpoint is written to a temporary folder and renamed, and older ones are removed only after
that, so at least one whole checkpoint exists at any moment. The problems of a step follow from
(seed, step), so no random state is stored. Nothing is pickled.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from interp.errors import StorageError
from interp.results.atomic import folder_atomic
from interp.training.saved_recipes import CHANGEABLE, AnyRecipe, changes_between

LAYOUT = 1
KEPT = 2
_FILES = ("weights.safetensors", "moments.safetensors", "log.parquet")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two steps.

    `changes` lists changes of the recipe and `started_from` the warm start, as in a card.
    """

    recipe: AnyRecipe
    step: int
    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    log: pd.DataFrame
    wall_seconds: float
    cpu_seconds: float
    changes: Sequence[Mapping[str, Any]] = ()
    started_from: Mapping[str, Any] | None = None


def checkpoint_folders(out: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted((out / "checkpoints").glob("step-*"))


def save_checkpoint(out: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, remove all but the last two, and return its folder.

    Raises StorageError if it cannot be written.
    """
    place = out / "checkpoints" / f"step-{checkpoint.step:08d}"
    if place.exists():
        shutil.rmtree(place)
    with folder_atomic(place) as folder:
        save_file(dict(checkpoint.weights), folder / _FILES[0])
        save_file(dict(checkpoint.moments), folder / _FILES[1])
        checkpoint.log.to_parquet(folder / _FILES[2], index=False)
        state = {
            "layout": LAYOUT,
            "recipe": checkpoint.recipe.to_json(),
            "changes": list(checkpoint.changes),
            "started_from": checkpoint.started_from,
            "step": checkpoint.step,
            "wall_seconds": checkpoint.wall_seconds,
            "cpu_seconds": checkpoint.cpu_seconds,
            "sha256": {name: _sha256(folder / name) for name in _FILES},
        }
        (folder / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
    for old in checkpoint_folders(out)[:-KEPT]:
        shutil.rmtree(old)
    return place


def load_checkpoint(
    out: Path, recipe: AnyRecipe, parameters: Mapping[str, Tensor]
) -> Checkpoint | None:
    """The latest checkpoint of a run; None if there is none yet.

    The recipe may differ in the `CHANGEABLE` fields; `changes` lists the differences.
    `parameters` are the recipe's trained parameters; the checkpoint must have exactly these.

    Raises:
        StorageError: if it is damaged or belongs to another recipe, with the remedy.
    """
    folders = checkpoint_folders(out)
    if not folders:
        return None
    folder = folders[-1]
    state = _read_state(folder, folders[:-1])
    try:
        new = _changes(folder, state.get("recipe"), recipe, int(state["step"]))
        for name in _FILES:
            if _sha256(folder / name) != state["sha256"][name]:
                raise StorageError(_damaged(folder, f"{name} has changed", folders[:-1]))
        weights, moments = (load_file(folder / name) for name in _FILES[:2])
        if wrong := _differing(weights, parameters):
            raise StorageError(_damaged(folder, f"{wrong} is missing or odd", folders[:-1]))
        return Checkpoint(
            recipe=recipe,
            step=int(state["step"]),
            weights=weights,
            moments=moments,
            log=pd.read_parquet(folder / _FILES[2]),
            wall_seconds=float(state["wall_seconds"]),
            cpu_seconds=float(state["cpu_seconds"]),
            changes=[*state.get("changes", ()), *new],
            started_from=state.get("started_from"),
        )
    except StorageError:
        raise
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise StorageError(_damaged(folder, str(error), folders[:-1])) from error


def saved_recipe(folder: Path) -> Mapping[str, Any] | None:
    """The recipe in a checkpoint's folder, as JSON. Raises StorageError if it is damaged."""
    found = _read_state(folder, []).get("recipe")
    return found if isinstance(found, dict) else None


def remove_checkpoints(out: Path) -> None:
    """Remove the checkpoints of a finished or restarted run."""
    place = out / "checkpoints"
    # A kill while a checkpoint was written leaves its temporary folder behind.
    for folder in (*checkpoint_folders(out), *place.glob(".step-*")):
        shutil.rmtree(folder)
    if place.is_dir() and not any(place.iterdir()):
        place.rmdir()


def _read_state(folder: Path, older: list[Path]) -> dict[str, Any]:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(_damaged(folder, f"state.json: {error}", older)) from error
    if not isinstance(state, dict) or state.get("layout") != LAYOUT:
        raise StorageError(
            f"{folder} is no checkpoint that this version of arithmoscope wrote: train into "
            "another folder, or start again with resume=False (--no-resume)"
        )
    return state


def _changes(folder: Path, saved: Any, recipe: AnyRecipe, step: int) -> list[dict[str, Any]]:
    """The changed fields of the recipe. StorageError for a field that may not change."""
    found = changes_between(saved, recipe, step) if isinstance(saved, dict) else None
    if found is not None:
        return found
    wanted = recipe.to_json()
    saved = saved if isinstance(saved, dict) else {}
    differing = sorted(k for k in {*wanted, *saved} if wanted.get(k) != saved.get(k))
    shown = "; ".join(f"{k}: {saved.get(k)!r} there, {wanted.get(k)!r} here" for k in differing[:3])
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    raise StorageError(
        f"{folder} belongs to another recipe ({shown}{more}): train into another folder, or start "
        f"again with resume=False (--no-resume); only {', '.join(CHANGEABLE)} may change on the way"
    )


def _differing(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """The name of a tensor that one side lacks or that differs in shape; "" if all agree."""
    shapes = [{name: tensor.shape for name, tensor in side.items()} for side in (found, expected)]
    return next((n for n in {**found, **expected} if shapes[0].get(n) != shapes[1].get(n)), "")


def _damaged(folder: Path, reason: str, older: list[Path]) -> str:
    remedy = f"to go on from {older[-1].name}" if older else "and train again"
    return (
        f"the checkpoint {folder} is damaged ({reason}): delete that folder {remedy}, or start "
        "again with resume=False (--no-resume)"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Readers of training logs: our own, and the one published with 2510.00184.

Every log is returned with the columns of `log_rows.COLUMNS`, and index 0 is the least significant
digit.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import ArrowInvalid

from interp.errors import InputError, ModelError, StorageError
from interp.models.fixtures import fixture_folder, fixture_folders, read_card
from interp.training.checkpoint import checkpoint_folders, saved_recipe
from interp.training.export_model import LOG
from interp.training.log_rows import COLUMNS
from interp.training.recipes import Recipe
from interp.training.warm_start import start_folder

PUBLISHED = (
    "step", "loss_total", "loss_per_pos", "grad_norm_total", "grad_norm_per_pos", "cos_per_pos",
)  # fmt: skip


@dataclass(frozen=True)
class Log:
    """A training log and its source.

    frame    columns of `COLUMNS`, sorted by step
    source   the name or path given by the caller
    name     of the model, or of the file
    card     of the finished model beside the log; None without one
    recipe   of the run, from card or checkpoint; None for a log alone or an adapter's
    """

    frame: pd.DataFrame
    source: str
    name: str
    card: Mapping[str, Any] | None
    recipe: Recipe | None = None


def read_log(source: str | Path) -> pd.DataFrame:
    """The training log of a shipped model, of an output folder of `train` (finished or not), or of
    a file: a `.parquet` log, or a `.csv` with the columns of the public `grad_probe_log.csv`.

    The public file has one row a step and arrays "[…]" with the highest digit first, which are
    reversed here. It lacks accuracies, subtask classes and the number of problems a step: these
    are NaN, absent and 0.

    Raises:
        ModelError: for a name that is neither a shipped model nor a file nor a folder.
        StorageError: for a missing or damaged log, or a missing column; with the remedy.
    """
    return find_log(source).frame


def find_log(source: str | Path) -> Log:
    """The log of `read_log` with its name, card and recipe."""
    path, folder = log_place(source), _path(source)
    if path.suffix == ".csv":
        return Log(_read_published(path), str(source), path.stem, None)
    if folder == path:
        return Log(_read_parquet(path), str(source), path.stem, None)
    card = read_card(folder)
    name = str(card["name"]) if card and "name" in card else folder.name
    return Log(_read_parquet(path), str(source), name, card, _recipe(path, card))


def log_place(source: str | Path) -> Path:
    """The path of the log file: of a finished model, of a run's last checkpoint, or the file given.

    Raises ModelError and StorageError as `read_log`, if there is none.
    """
    path = _path(source)
    if path.is_file():
        return path
    if not path.is_dir():
        known = ", ".join(fixture_folders())
        raise ModelError(
            f"there is no model, folder or log {str(source)!r}. Give a shipped model ({known}), a "
            "folder that `arithmoscope train` writes into, or a .parquet or .csv log"
        )
    checkpoints = [place / "log.parquet" for place in checkpoint_folders(path)]
    for place in (path / LOG, *checkpoints[::-1]):
        if place.is_file():
            return place
    raise StorageError(
        f"{path} holds no {LOG} and no checkpoint: only models that `arithmoscope train` made "
        "have one. Name the log itself (--log) where it lies elsewhere"
    )


def log_before(base: str, task: str) -> pd.DataFrame | None:
    """The log of a warm start with steps counted back from its end (the last is 0), so that a
    training in stages has one log. None if the start has no log or another task.

    It includes the log of the start's own warm start in the same way.
    """
    folder = start_folder(base)
    card = read_card(folder) or {}
    if card.get("task") != task or not (folder / LOG).is_file():
        return None
    log = read_log(folder)
    return log.assign(step=log["step"] - int(card["steps"]))


def has_log(source: str | Path) -> bool:
    """True if a log exists for `read_log`, readable or not."""
    try:
        log_place(source)
    except (ModelError, StorageError):
        return False
    return True


def _recipe(path: Path, card: Mapping[str, Any] | None) -> Recipe | None:
    """The recipe of the run; None unless it trained a small model."""
    content = (card or {}).get("recipe") if path.name == LOG else saved_recipe(path.parent)
    return Recipe.from_json(content) if content and "mix" in content else None


def _path(source: str | Path) -> Path:
    return fixture_folder(str(source)) or Path(source).expanduser()


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError, ArrowInvalid) as error:
        raise StorageError(
            f"{path} is no readable parquet file ({error}): copy it again, or train again"
        ) from error
    if missing := [name for name in COLUMNS if name not in frame]:
        raise StorageError(
            f"{path} is no training log: it lacks {', '.join(missing)}. A log has the columns "
            f"{', '.join(COLUMNS)}; a .csv those of grad_probe_log.csv"
        )
    return _checked(frame[list(COLUMNS)], path)


def _read_published(path: Path) -> pd.DataFrame:
    """The published log with one row a step and digit, from one row a step with array cells."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise StorageError(f"{path} is no readable table ({error}): copy it again") from error
    if missing := [name for name in PUBLISHED if name not in table]:
        raise StorageError(
            f"{path} lacks the columns {', '.join(missing)} of a grad_probe_log.csv; it needs "
            f"{', '.join(PUBLISHED)}"
        )
    arrays = {name: _arrays(path, table, name) for name in PUBLISHED if name.endswith("_per_pos")}
    if len({array.shape for array in arrays.values()}) != 1:
        shapes = ", ".join(f"{name} {array.shape[1]}" for name, array in arrays.items())
        raise StorageError(f"{path} has arrays of different lengths: {shapes}. Copy it again")
    losses, norms, cosines = arrays.values()
    numbers = {name: _numbers(path, table, name) for name in PUBLISHED[:2] + PUBLISHED[3:4]}
    if np.isnan(step := numbers["step"]).any():
        raise StorageError(f"{path} has rows without a step. Copy the file again")
    parts = [_part(step, "total", numbers["loss_total"], numbers["grad_norm_total"], 1.0)]
    parts += [
        _part(step, f"c{k}", losses[:, -1 - k], norms[:, -1 - k], cosines[:, -1 - k])
        for k in range(losses.shape[1])
    ]
    return _checked(pd.concat(parts, ignore_index=True), path)


def _part(step: Any, group: str, loss: Any, norm: Any, cosine: Any) -> pd.DataFrame:
    values = (step.astype(np.int64), "train", group, loss, np.nan, norm, cosine, 0)
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


def _arrays(path: Path, table: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The cells "[1.0, nan]" of a column as float64 [rows, digits]."""
    rows = []
    for at, cell in enumerate(table[name]):
        try:
            values = json.loads(str(cell).replace("nan", "NaN").replace("inf", "Infinity"))
            rows.append(np.array(values, dtype=np.float64).reshape(len(values)))
        except (ValueError, TypeError) as error:
            raise StorageError(
                f"{path}, row {at + 1}: {name} is {str(cell)[:40]!r}, not a list of numbers such "
                "as [2.3, 0.1]. Copy the file again"
            ) from error
        if len(rows[-1]) != len(rows[0]):
            raise StorageError(
                f"{path}, row {at + 1}: {name} has {len(rows[-1])} numbers, the first row "
                f"{len(rows[0])}. Copy the file again"
            )
    return np.stack(rows) if rows else np.empty((0, 0))


def _numbers(path: Path, table: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        return table[name].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise StorageError(f"{path}: {name} is not a column of numbers ({error})") from error


def _checked(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The log sorted by step. Raises StorageError if it is empty or has duplicate rows."""
    if frame.empty:
        raise StorageError(f"{path} has no rows: the run had not logged a step yet, or was cut off")
    if frame.duplicated(["step", "split", "group"]).any():
        twice = frame.loc[frame.duplicated(["step", "split", "group"]), "step"].iloc[0]
        raise StorageError(
            f"{path} has step {twice} twice: two runs were written into one log. Split them"
        )
    return frame.sort_values("step", kind="stable", ignore_index=True)


def check_source_task(task: str | None, log: Log) -> str:
    """The given task, else the card's, else ''.

    Raises InputError if both are known and differ.
    """
    known = str(log.card["task"]) if log.card and "task" in log.card else ""
    if task is not None and known and task != known:
        raise InputError(f"{log.name} was trained on {known}, not on {task}: leave the task out")
    return known or task or ""

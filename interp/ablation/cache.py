"""Disk cache of tables: one safetensors file each in the user's folder, written atomically."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from interp.errors import StorageError
from interp.results.atomic import write_atomic
from interp.results.cache import CACHE_VARIABLE, cache_folder


def table_path(settings: Mapping[str, Any]) -> Path:
    """The path of a table: a readable name of model and task, and a hash of all its settings."""
    text = json.dumps(settings, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    name = re.sub(r"[^\w.+-]+", "_", f"{settings['task']}-{settings['format']}")[:60]
    return cache_folder() / "cama" / str(settings["model"])[:16] / f"{name}-{digest}.safetensors"


def keep(path: Path, settings: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a table atomically. Raises StorageError if the folder can't be written."""
    data = save(dict(tensors), metadata={"settings": json.dumps(settings, sort_keys=True)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the cache folder {path.parent} cannot be made ({error}). Name another in the "
            f"environment variable {CACHE_VARIABLE}."
        ) from error
    write_atomic(path, data)


def kept(path: Path, settings: Mapping[str, Any]) -> dict[str, torch.Tensor] | None:
    """The tensors of a cached table, None if there is none.

    Raises StorageError for a damaged file.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as found:
            told = (found.metadata() or {}).get("settings")
            if told != json.dumps(settings, sort_keys=True):
                return None  # hash collision, probability 2^-96
            return {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise StorageError(
            f"the table {path} cannot be read ({error}). Delete the file; it is made again."
        ) from error

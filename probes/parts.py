"""Finished hooks of a sweep on disk, so that one that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import StorageError
from interp.results.atomic import write_atomic
from probes.activations import Hook
from probes.cells import Cell


class Parts:
    """The finished hooks of one sweep: in a folder, or without one in memory."""

    def __init__(self, folder: Path | None, what: Mapping[str, Any]) -> None:
        """`what` says which sweep it is: model hash, problems and settings, as JSON values. Other
        sweeps may share the folder."""
        key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = None if folder is None else folder / key
        self._held: dict[Hook, list[Cell]] = {}

    def has(self, hook: Hook) -> bool:
        return hook in self._held or (self.folder is not None and self._path(hook).is_file())

    def write(self, hook: Hook, found: list[Cell]) -> None:
        """Raises StorageError where it cannot be written; nothing half-written is left."""
        if self.folder is None:
            self._held[hook] = found
            return
        rows = json.dumps([cell.row for cell in found])
        buffer = io.BytesIO()
        predicted = {f"cell{i}": cell.predicted for i, cell in enumerate(found)}
        np.savez(buffer, rows=np.array(rows), **predicted)  # type: ignore[arg-type]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path(hook), buffer.getvalue())

    def read(self, hook: Hook) -> list[Cell]:
        """Raises StorageError for a damaged file."""
        if self.folder is None:
            return self._held[hook]
        path = self._path(hook)
        try:
            with np.load(path, allow_pickle=False) as held:
                rows = json.loads(str(held["rows"]))
                return [Cell(row, held[f"cell{i}"]) for i, row in enumerate(rows)]
        except (OSError, ValueError, KeyError) as error:
            raise StorageError(f"{path} is damaged ({error}): delete it and run again") from error

    def _path(self, hook: Hook) -> Path:
        assert self.folder is not None
        return self.folder / f"{hook.site}-{hook.layer}-{hook.head}.npz"

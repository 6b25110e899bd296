"""Write and read a Result's fields as files, exactly and without pickle.

    result.json          what a script reads: analysis, model, task, n, n_distinct, seed, settings,
                         metrics, versions
    table.parquet        the tidy frame
    data/fields.json     every field, and the SHA-256 of every other file
    data/arrays.npz      its arrays
    data/NAME.parquet    its tables

The checksums detect mixed saves and truncated files.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.errors import InputError, StorageError
from interp.results.atomic import folder_atomic
from interp.results.grid import Axis, Grid
from interp.results.identity import ModelId
from interp.results.settings import Settings, freeze, thaw

_LAYOUT = 1


@dataclass
class Parts:
    """Fields split into named arrays and tables, and JSON that refers to them."""

    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def take(self, name: str, value: Any) -> Any:
        """Encode `value` as JSON; store its arrays and tables under `name`."""
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                raise InputError(f"{name} holds Python objects; save numbers or text (dtype str)")
            self.arrays[name] = value
            return {"kind": "array", "name": name}
        if isinstance(value, pd.DataFrame):
            self.tables[name] = value
            return {"kind": "table", "name": name}
        if isinstance(value, Axis):
            return {"kind": "axis", "name": value.name, "labels": list(value.labels)}
        if isinstance(value, ModelId):
            return {"kind": "model", "name": value.name, "hash": value.hash}
        if isinstance(value, Grid):
            ends = {"values": value.values, "low": value.low, "high": value.high}
            parts = {k: self.take(f"{name}.{k}", v) for k, v in ends.items()}
            axes = [self.take(f"{name}.axes", axis) for axis in value.axes]
            return {"kind": "grid", "axes": axes, **parts}
        if isinstance(value, float):  # repr round-trips, and JSON itself has no nan or inf
            return {"kind": "float", "value": repr(value)}
        return {"kind": "plain", "value": thaw(freeze(value, name))}

    def give(self, tree: Mapping[str, Any]) -> Any:
        """The inverse of `take`."""
        kind = tree["kind"]
        if kind == "array":
            return self.arrays[tree["name"]]
        if kind == "table":
            return self.tables[tree["name"]]
        if kind == "axis":
            return Axis(tree["name"], tuple(tree["labels"]))
        if kind == "model":
            return ModelId(tree["name"], tree["hash"])
        if kind == "grid":
            axes = tuple(self.give(axis) for axis in tree["axes"])
            return Grid(
                self.give(tree["values"]), axes, *(self.give(tree[k]) for k in ("low", "high"))
            )
        if kind == "float":
            return float(tree["value"])
        return freeze(tree["value"])


def write_folder(
    path: Path,
    type_name: str,
    fields: Mapping[str, Any],
    summary: Mapping[str, Any],
    table: pd.DataFrame,
) -> Path:
    """Write the folder of one Result atomically.

    Raises:
        StorageError: as `folder_atomic`.
        InputError: for a field that cannot be saved exactly.
    """
    parts = Parts()
    tree = {name: parts.take(name, value) for name, value in fields.items()}
    files = {f"data/{name}.parquet": _parquet(frame, name) for name, frame in parts.tables.items()}
    if parts.arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **parts.arrays)  # type: ignore[arg-type]
        files["data/arrays.npz"] = buffer.getvalue()
    files["table.parquet"] = _parquet(table, "frame")
    files["result.json"] = json.dumps(
        summary, indent=2, ensure_ascii=False, allow_nan=False
    ).encode()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    index = {"layout": _LAYOUT, "type": type_name, "fields": tree, "sha256": sums}
    files["data/fields.json"] = json.dumps(index, indent=1, ensure_ascii=False).encode()
    with folder_atomic(path) as folder:
        (folder / "data").mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return path


def read_folder(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the type name and the fields of the Result saved in a folder.

    Raises:
        StorageError: if there is none, a file is missing or differs from what was saved.
    """
    try:
        index = json.loads((path / "data" / "fields.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StorageError(f"no saved Result in {path}: it has no data/fields.json") from None
    except ValueError as error:
        raise StorageError(f"{path}/data/fields.json is damaged: save the Result again") from error
    if index.get("layout") != _LAYOUT:
        raise StorageError(
            f"{path} was saved in layout {index.get('layout')}, this version reads {_LAYOUT}: "
            "use the version named in its result.json"
        )
    files = {name: _checked(path, name, digest) for name, digest in index["sha256"].items()}
    parts = Parts()
    if "data/arrays.npz" in files:
        with np.load(io.BytesIO(files["data/arrays.npz"]), allow_pickle=False) as arrays:
            parts.arrays = {name: arrays[name] for name in arrays.files}
    for name, content in files.items():
        if name.startswith("data/") and name.endswith(".parquet"):
            parts.tables[Path(name).stem] = pd.read_parquet(io.BytesIO(content))
    return index["type"], {name: parts.give(tree) for name, tree in index["fields"].items()}


def _checked(path: Path, name: str, digest: str) -> bytes:
    try:
        content = (path / name).read_bytes()
    except FileNotFoundError:
        raise StorageError(f"{path}/{name} is missing: save the Result again") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise StorageError(
            f"{path}/{name} is not the file that was saved with the others: save the Result again"
        )
    return content


def _parquet(frame: pd.DataFrame, name: str) -> bytes:
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer)
    except (
        ValueError,
        TypeError,
        OverflowError,
    ) as error:  # ArrowInvalid is a ValueError
        raise InputError(
            f"table {name!r} cannot be saved exactly ({error}): hold big integers as text"
        ) from error
    return buffer.getvalue()


def equal(a: Any, b: Any) -> bool:
    """Whether two fields are equal, dtypes included; NaN equals NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        floats = a.dtype.kind in "fc"
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=floats)
    if isinstance(a, pd.DataFrame):
        return bool(a.equals(b))
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    return bool(a == b)


def frozen(value: Any, name: str) -> Any:
    """Immutable copy: arrays read-only, lists as tuples, dicts as Settings."""
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.setflags(write=False)
        return value
    if isinstance(value, pd.DataFrame):
        return value.reset_index(drop=True)
    if isinstance(value, (Axis, Grid, ModelId, Settings, float)) or value is None:
        return value
    return freeze(value, name)

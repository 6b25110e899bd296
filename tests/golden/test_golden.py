"""What an earlier version saved still loads, and the code that it printed still gives its numbers.

`python -m tests.golden.make` writes the data; it is made anew only where numbers change on purpose.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from interp.results.grid import Grid
from interp.results.result import Result
from interp.results.settings import Settings
from tests.golden.commands import commands
from tests.golden.entries import ENTRIES, KINDS
from tests.golden.make import DATA, about
from tests.golden.subjects import models_opened_once, names

# Of each number, and of the largest one beside it: float32 sums differ between processors.
TOLERANCE = 1e-4
NOTHING = 1e-6  # logits: less is rounding
# Differences of nearly equal numbers, such as a gain over a rival that explains as much.
LOOSE = {"helix-fit": 2e-3, "neurons": 1e-3, "paths": 1e-3, "paths-into-queries": 1e-3}
LEVEL = 0.05  # above it, a q says that nothing was found, and is made of rounding where nothing is
# Measured by the self-check as a share of the largest logit: rounding itself, another on each
# processor. Equal where both are rounding.
ROUNDING = ("metrics.difference", "difference")
DRAWN_FROM_THE_WHOLE = ("agreement-of-probes", "over-series-of-probes")
"""Their code names a task, of which they drew training pairs too before `held_out` came."""
_OWN_SETTINGS = ("seed", "n", "n_distinct", "task", "model")


@pytest.fixture(scope="module")
def shared_models() -> Iterator[None]:
    with models_opened_once():
        yield


def folder(name: str) -> Path:
    path = DATA / "results" / name
    assert (path / "result.json").is_file(), f"{path} is missing: python -m tests.golden.make"
    return path


def summary_of(path: Path) -> dict[str, Any]:
    return json.loads((path / "result.json").read_text(encoding="utf-8"))


def test_every_kind_has_its_folder() -> None:
    there = {path.name for path in (DATA / "results").glob("*")}
    assert there == set(ENTRIES), "python -m tests.golden.make writes them all"
    assert {summary_of(folder(name))["analysis"] for name in ENTRIES} == set(KINDS)


@pytest.mark.parametrize("name", ENTRIES)
def test_what_was_saved_loads(name: str) -> None:
    path = folder(name)
    said, loaded = summary_of(path), Result.load(path)
    assert close(dict(loaded.metrics), said["metrics"]) == []
    assert close(loaded.frame, pd.read_parquet(path / "table.parquet")) == []
    assert about(loaded, said) == json.loads((path / "golden.json").read_text(encoding="utf-8"))
    assert plain(loaded) == said["settings"]
    assert loaded.caption and repr(loaded)


@pytest.mark.parametrize("name", ENTRIES)
def test_its_code_gives_its_numbers(name: str, shared_models: None, tmp_path: Path) -> None:
    path = folder(name)
    loaded = Result.load(path)
    written = (path / "code.txt").read_text(encoding="utf-8").strip()
    for code in dict.fromkeys([written, loaded.code]):
        if name in DRAWN_FROM_THE_WHOLE:
            assert differences(run(name, code), loaded), "what was held out is asked now"
            assert code.endswith(")")
            code = f"{code[:-1]}, held_out=False)"
        again = run(name, code)
        assert type(again) is type(loaded)
        alike = without_later_fields(again, path)
        assert differences(alike, loaded, LOOSE.get(name, TOLERANCE)) == []
        again.save(tmp_path / "again")
        assert list(summary_of(tmp_path / "again")) == list(summary_of(path))


def run(name: str, code: str) -> Any:
    """What the code makes."""
    space = names()
    exec(compile(code, f"{name}/code.txt", "exec"), space)
    return space["result"]


def test_commands_take_the_flags_that_they_took() -> None:
    now = commands()
    for command, flags in json.loads((DATA / "commands.json").read_text(encoding="utf-8")).items():
        assert command in now, f"there is no command {command}"
        for flag in flags:
            taken = [other for other in now[command] if set(flag["names"]) <= set(other["names"])]
            assert taken, f"{command} takes no {' '.join(flag['names'])}"
            assert lost(flag, taken[0]) == [], f"{command} {flag['names'][0]}"
        new = [flag for flag in now[command] if flag["required"]]
        known = {name for flag in flags if flag["required"] for name in flag["names"]}
        assert [flag["names"] for flag in new if not known & set(flag["names"])] == []


def test_a_number_that_moves_is_found() -> None:
    loaded = Result.load(folder("counterfactual"))
    moved = pd.DataFrame(loaded.frame)
    column = moved.select_dtypes("float").columns[0]
    moved.loc[0, column] += 1e-3 * np.nanmax(np.abs(moved[column]))
    assert close(moved, loaded.frame) == [f"frame.{column}: off by 0.001 of the largest"]
    assert close({"a": 1.0, "b": float("nan")}, {"a": 1.0, "b": None}) == []
    assert close({"a": 1.0}, {"b": 1.0}) == ["frame: ['a'], not ['b']"]
    assert "seed: 4, not 3" in differences(dataclasses.replace(loaded, seed=4), loaded)
    assert differences(dataclasses.replace(loaded), loaded) == []
    named = dataclasses.replace(loaded, settings={**loaded.settings, "prefix": "recompute"})
    assert "settings.prefix: 'recompute', not 'keep'" in differences(named, loaded)


def lost(flag: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what a flag of today is no longer what it was; its default n is ours to choose."""
    same = ["argument", "multiple", "nargs"] + ["default"] * (flag["name"] != "n")
    found = [name for name in same if now[name] != flag[name]]
    if now["required"] and not flag["required"]:
        found.append("required")
    if now["type"] != flag["type"] and (now["type"], flag["type"]) != ("str", "choice"):
        found.append("type")
    if now["choices"] and not set(flag["choices"]) <= set(now["choices"]):
        found.append("choices")
    return found


def differences(again: Result, saved: Result, tolerance: float = TOLERANCE) -> list[str]:
    """What of one Result is not as in another: metrics, table, settings that the other has, and
    every field but versions."""
    found = close(dict(again.metrics), dict(saved.metrics), "metrics", tolerance)
    found += close(again.frame, saved.frame, tolerance=tolerance)
    asked, settings = plain(again), plain(saved)
    found += close(within(asked, settings), settings, "settings")
    for item in dataclasses.fields(saved):
        mine, other = getattr(again, item.name), getattr(saved, item.name)
        if item.name in _OWN_SETTINGS:
            found += [] if mine == other else [f"{item.name}: {mine}, not {other}"]
        elif item.name not in ("versions", "settings"):
            found += close(mine, other, item.name, tolerance)
    return found


def without_later_fields(found: Any, path: Path) -> Any:
    """The Result without the fields that the version which saved `path` did not have."""
    saved = json.loads((path / "data" / "fields.json").read_text(encoding="utf-8"))["fields"]
    later = [item.name for item in dataclasses.fields(found) if item.name not in saved]
    return dataclasses.replace(found, **dict.fromkeys(later))


def within(found: Any, want: Any) -> Any:
    """The part of some settings that others have too; a call may be written shorter."""
    if not isinstance(want, Mapping) or not isinstance(found, Mapping):
        return found
    same = {"search": want["search"]} if want.get("search") and found.get("search") else {}
    return {key: within(found.get(key), want[key]) for key in want} | same


def close(found: Any, want: Any, name: str = "frame", tolerance: float = TOLERANCE) -> list[str]:
    """Where two values differ: keys, columns, texts and shapes at all, numbers by more than
    `tolerance`. None is a NaN."""
    if isinstance(want, pd.DataFrame):
        found, want = (
            {str(key): table[key].to_numpy() for key in table.columns} for table in (found, want)
        )
    if isinstance(want, Grid):
        return close(vars_of(found), vars_of(want), name, tolerance)
    if isinstance(want, Mapping):
        if list(found) != list(want):
            return [f"{name}: {list(found)}, not {list(want)}"]
        return [
            text
            for key in want
            for text in close(found[key], want[key], f"{name}.{key}", tolerance)
        ]
    if isinstance(want, np.ndarray | float) or want is None or _numbers(want):
        return _close_arrays(_array(found), _array(want), name, tolerance)
    return [] if found == want else [f"{name}: {found!r}, not {want!r}"]


def plain(result: Result) -> dict[str, Any]:
    """Its settings, as JSON has them."""
    return Settings(result.settings).plain()


def vars_of(grid: Grid) -> dict[str, Any]:
    axes = {f"axis {axis.name}": list(axis.labels) for axis in grid.axes}
    return axes | {end: getattr(grid, end) for end in ("values", "low", "high")}


def _numbers(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(item, float) for item in value)


def _array(value: Any) -> Any:
    return np.asarray(np.nan if value is None else value)


def _close_arrays(found: Any, want: Any, name: str, tolerance: float) -> list[str]:
    if found.shape != want.shape:
        return [f"{name}: shape {found.shape}, not {want.shape}"]
    if want.dtype.kind not in "fc":
        same = (found == want) | (pd.isna(found) & pd.isna(want))
        return [] if np.all(same) else [f"{name}: {found.tolist()}, not {want.tolist()}"]
    found = found.astype(want.dtype)
    if not np.array_equal(np.isnan(found), np.isnan(want)):
        return [f"{name}: other cells are empty"]
    same = (found == want) | np.isnan(want)  # infinities too
    if name.endswith((".q", "q.values")):
        same |= np.minimum(found, want) > LEVEL
    off = np.abs(np.where(same, 0, found - want)).max(initial=0)
    largest = np.abs(want[np.isfinite(want)]).max(initial=0)
    if name in ROUNDING and max(largest, np.abs(found).max(initial=0)) <= TOLERANCE:
        return []
    if off <= max(tolerance * largest, NOTHING):
        return []
    return [f"{name}: off by {off / largest:.1g} of the largest"]

"""Immutable, exactly JSON-serialisable arguments of an analysis."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from interp.errors import InputError

Plain = None | bool | int | float | str


class Settings(Mapping[str, Any]):
    """A read-only mapping of JSON values: text, numbers, booleans, None, tuples and mappings of
    them.

    Lists become tuples and mappings become Settings, so that loaded equals saved. Equality is by
    content; Settings are hashable and can be pickled (a cache may hold them).

    Raises:
        InputError: for a value that JSON cannot hold exactly, with its path.
    """

    __slots__ = ("_items",)
    _items: dict[str, Any]

    def __init__(self, items: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        merged = {**(items or {}), **more}
        object.__setattr__(self, "_items", {k: freeze(v, _key(k)) for k, v in merged.items()})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("settings are read-only; make new ones")

    def __reduce__(self) -> tuple[type[Settings], tuple[dict[str, Any]]]:
        return Settings, (dict(self._items),)

    def __repr__(self) -> str:
        return repr(self._items)

    def __hash__(self) -> int:
        return hash(json.dumps(self.plain(), sort_keys=True))

    def plain(self) -> dict[str, Any]:
        """Nested dicts and lists for `json.dumps`."""
        return {key: thaw(value) for key, value in self._items.items()}


def freeze(value: Any, where: str = "value") -> Any:
    """`value` with lists as tuples, mappings as Settings and numpy scalars as Python's."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value}, which result.json cannot hold: use None")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Settings):
        return value
    if isinstance(value, Mapping):
        return Settings(value)
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item, f"{where}[{i}]") for i, item in enumerate(value))
    raise InputError(
        f"{where} is a {type(value).__name__}; a setting is text, a number, True, False, None, "
        "or a list or mapping of those"
    )


def thaw(value: Any) -> Any:
    """The inverse of `freeze`, for `json.dumps`."""
    if isinstance(value, Settings):
        return value.plain()
    if isinstance(value, tuple):
        return [thaw(item) for item in value]
    return value


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise InputError(f"a setting's name is text, not {key!r}")
    return key

"""Name and weight hash of a model."""

from __future__ import annotations

from typing import NamedTuple

WRAPPED = "wrap:"  # before the name of a module that lives in memory and cannot be loaded


class ModelId(NamedTuple):
    """The name that loads a model again, and the hash of its weights."""

    name: str
    hash: str

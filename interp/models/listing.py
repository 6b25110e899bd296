"""Table of the models that load by name, with facts from their cards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interp.models.fixtures import (
    GEMMA3,
    SMOLLM2,
    fixture_folders,
    gemma3_parts,
    read_card,
    smollm2_file,
)

COLUMNS = ("name", "task", "format", "parameters", "accuracy", "megabytes", "hash", "installed")


def list_models() -> pd.DataFrame:
    """Table of models, one row each: the shipped fixtures, then the packaged language models (the
    optional Gemma 3 270M only if it is installed).

    `accuracy` is the share of held-out problems answered exactly, from the model's card, else NaN;
    `megabytes` the size of its weights on disk; `installed` is False for the language model if its
    package is missing.
    """
    rows = [_fixture_row(name, folder) for name, folder in fixture_folders().items()]
    file = smollm2_file()
    size = file.stat().st_size / 1e6 if file else float("nan")
    rows.append(
        (SMOLLM2, "", "", 134_515_008 if file else 0, float("nan"), size, "", file is not None)
    )
    if parts := gemma3_parts():
        size = sum(part.stat().st_size for part in parts) / 1e6
        rows.append((GEMMA3, "", "", 268_098_176, float("nan"), size, "", True))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _fixture_row(name: str, folder: Path) -> tuple[Any, ...]:
    card: Mapping[str, Any] = read_card(folder) or {}
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    return (
        name,
        card.get("task", ""),
        card.get("format", ""),
        card.get("parameters", 0),
        (card.get("accuracy") or {}).get("share", float("nan")),
        size,
        card.get("weight_hash", ""),
        True,
    )

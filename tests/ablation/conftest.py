from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from tests import tiny


@pytest.fixture(autouse=True)
def cache_apart(tmp_path_factory: Any, monkeypatch: Any) -> Path:
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: Any) -> Callable[..., Any]:
    """A tiny random model by family and precision, with its folder."""

    @cache
    def made(family: str, dtype: str = "float64") -> tuple[Any, Path]:
        folder = tiny.save(family, tmp_path_factory.mktemp(family))
        model = interp.load(str(folder), dtype=dtype)
        model.tokens = model.tokens.starting_with(":")  # a BOS to rest on
        return model, folder

    return made


@pytest.fixture
def exact_softmax(monkeypatch: Any) -> Callable[[Any], None]:
    """Softmax in the model's own precision: Llama and its like take it in float32, where leaving
    out keys rounds otherwise."""

    def patch(model: Any) -> None:
        for block in model.adapter.bridge.blocks:
            monkeypatch.setattr(
                block.attn, "_masked_softmax", lambda scores, dtype=None: torch.softmax(scores, -1)
            )

    return patch

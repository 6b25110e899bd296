"""What the tests of conversions share: converting, and comparing a folder with its original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import interp
from interp import engine
from tests import hooked_transformer as hooked
from tests import nanogpt

LARGEST = 1e-5


def convert(source: Path, out: Path, kind: str = "nanogpt", **options: Any) -> Any:
    if "tokenizer" not in options:
        known = nanogpt.CHARACTERS if kind == "nanogpt" else hooked.CHARACTERS
        options.setdefault("characters", known)
    return interp.convert(source, out, kind=kind, **options)


def assert_loads_and_agrees(
    folder: Path,
    original: Callable[[torch.Tensor], torch.Tensor],
    digits: int = 3,
    dtype: str = "float32",
) -> Any:
    """`interp.load`, through the engine, against the original at every position."""
    model = interp.load(str(folder), dtype=dtype)
    batch = model.prompts(interp.Addition(digits).sample(20, seed=5), format="padded")
    found = engine.run(model, batch, logits="all").logits
    with torch.no_grad():
        want = original(batch.tokens)[:, :-1].to(found.dtype)
    assert found.shape == want.shape
    largest = LARGEST if dtype == "float32" else 1e-9
    assert (found - want).abs().max() <= largest * want.abs().max()
    return model


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())

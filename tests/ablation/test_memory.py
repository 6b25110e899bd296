"""Little memory changes no number, and is kept to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import interp
from interp import ablation
from interp.ablation import cells

LITTLE = 40_000  # bytes: a few cells, a few positions of the vocabulary


@pytest.fixture
def asked(tiny_model: Callable[..., Any]) -> Any:
    model, _ = tiny_model("gpt2")
    return model, model.prompts(interp.Addition(2).sample(16, seed=2), format="padded")


def test_a_grid_in_parts_is_the_grid(asked: Any, monkeypatch: Any) -> None:
    model, batch = asked
    together: list[int] = []
    at_once, unembed = cells.Cells._from, cells.unembed
    read: list[int] = []
    monkeypatch.setattr(
        cells.Cells, "_from", lambda s, w, c: (together.append(len(c)), at_once(s, w, c))[1]
    )
    monkeypatch.setattr(
        cells, "unembed", lambda m, x: (read.append(x.shape[:-1].numel()), unembed(m, x))[1]
    )
    found, cells_at_once, positions = [], [], []
    for memory in (2**30, LITTLE):
        together.clear()
        read.clear()
        found.append(ablation.grid(model, batch, replacement="own", kl=True, memory=memory))
        cells_at_once.append(max(together))
        positions.append(max(read))
    assert cells_at_once[1] < cells_at_once[0] == 5  # every width that fits without waiting
    each = 6 * 8 * model.shape.d_vocab
    assert positions[1] * each <= LITTLE < positions[0] * each
    assert found[0].kl is not None
    for name in ("logit_difference", "kl"):
        whole, parts = (getattr(result, name).values for result in found)
        np.testing.assert_allclose(whole, parts, rtol=1e-9, atol=1e-12)

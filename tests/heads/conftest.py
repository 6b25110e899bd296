from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import interp
from interp.arithmetic.problems import Problems
from tests import tiny
from tests.agreement.slow import Slow, place, written

DIGITS, FORMAT = 2, "padded"
SUMS = ((12, 34), (70, 95), (58, 58), (31, 6))
OTHERS = ((45, 11), (99, 3), (20, 64), (8, 77))
ROLES = tuple(f"c{k}" for k in range(DIGITS + 1))


class Subject(NamedTuple):
    """The same weights, in the package and as the plain module, and pairs of prompts."""

    model: Any
    slow: Slow
    clean: Problems
    corrupted: Problems

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Clean and corrupted texts; the clean answer follows both."""
        both = zip(SUMS, OTHERS, strict=True)
        return [
            (written(a, b, a + b, FORMAT, DIGITS), written(c, d, a + b, FORMAT, DIGITS))
            for (a, b), (c, d) in both
        ]

    def difference(self, row: int, logits: torch.Tensor) -> np.ndarray[Any, Any]:
        """x[r] − x[r'] at each answer digit, NaN where r = r'."""
        c, d = OTHERS[row]
        text, own = self.texts[row][0], written(c, d, c + d, FORMAT, DIGITS)
        found = []
        for role in ROLES:
            right, other = (t[place(t, role, FORMAT)] for t in (text, own))
            x = logits[place(text, role, FORMAT) - 1]
            ids = self.slow.ids
            found.append(np.nan if right == other else float(x[ids[right]] - x[ids[other]]))
        return np.array(found)

    def at(self, text: str, role: str) -> int:
        found = place(text, role, FORMAT)
        assert found is not None
        return found


@pytest.fixture(scope="session", params=tiny.FAMILIES)
def pair(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    family = str(request.param)
    folder: Path = tiny.save(family, tmp_path_factory.mktemp(family), seed=11)
    task = interp.Addition(DIGITS)
    return Subject(
        interp.load(str(folder), dtype="float64"),
        Slow(folder, family),
        task.problems(*zip(*SUMS, strict=True)),
        task.problems(*zip(*OTHERS, strict=True)),
    )

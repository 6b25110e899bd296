"""Pairs: what is swapped in does not depend on how the problems were drawn."""

from __future__ import annotations

import numpy as np
import pytest

import interp
from interp.heads.pairs import pairs


@pytest.mark.parametrize("swap", ["a", "all"])
def test_another_operand_differs_in_every_digit(swap: str) -> None:
    """Also where the problems were drawn with the seed of the swaps: about nine in ten digits."""
    problems = interp.task("add:5").sample(200, seed=3)
    found = pairs(
        interp.load("add5"), problems, swap=swap, corrupted=None, answers=None, prefix="keep",
        n=200, seed=3, format=None, held_out=True,
    )  # fmt: skip
    for i in range(1 + (swap == "all")):
        own, other = (x.problems.operands[i] for x in (found.clean, found.corrupted))
        assert ((own != other).mean(axis=0)[:4] > 0.8).all()
        assert np.array_equal(own[:, 4] > 0, other[:, 4] > 0)

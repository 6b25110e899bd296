"""Shares with Wilson's interval: known values, and the kit hands on the same function."""

from __future__ import annotations

import math

import pytest

from interp.arithmetic.proportions import share_of, wilson
from interp.errors import InputError
from interp.results import intervals


def test_known_values() -> None:
    found = share_of(8, 10)  # 0.490 to 0.943 in Brown, Cai and DasGupta 2001
    assert (found.share, found.hits, found.n) == (0.8, 8, 10)
    assert found.low == pytest.approx(0.490, abs=5e-4)
    assert found.high == pytest.approx(0.943, abs=5e-4)
    assert share_of(0, 5).low == 0
    assert share_of(5, 5).high == 1
    assert all(map(math.isnan, share_of(0, 0)[:3]))


def test_there_is_one_formula() -> None:
    assert intervals.wilson is wilson
    assert share_of(3, 7, 0.9)[1:3] == tuple(map(float, wilson(3, 7, 0.9)))


@pytest.mark.parametrize(("hits", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts(hits: int, n: int) -> None:
    with pytest.raises(InputError, match="successes must lie between 0 and n"):
        share_of(hits, n)

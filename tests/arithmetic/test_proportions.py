"""Shares with Wilson's interval: known values, and the kit hands on the same function."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from interp.arithmetic.proportions import paired_difference, share_of, wilson
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


def rows(both: int, first: int, second: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Pairs by their counts: successes of both, of one alone, of none."""
    counts = (both, first, second, neither)
    kinds = zip(((True, True), (True, False), (False, True), (False, False)), counts, strict=True)
    pairs = list(itertools.chain.from_iterable([kind] * n for kind, n in kinds))
    return [x for x, _ in pairs], [y for _, y in pairs]


@pytest.mark.parametrize("counts", [(8, 1, 1, 10), (3, 4, 9, 2), (0, 7, 0, 5), (20, 0, 0, 0)])
def test_a_paired_difference_by_the_formula_written_out(counts: tuple[int, ...]) -> None:
    a, b, c, d = counts
    n = sum(counts)
    phi = 0.0
    if margins := (a + b) * (c + d) * (a + c) * (b + d):
        det = a * d - b * c
        phi = (max(det - n / 2, 0) if det > 0 else det) / math.sqrt(margins)
    p, q = share_of(a + b, n), share_of(a + c, n)
    down, up = p.share - p.low, q.high - q.share
    low = p.share - q.share - math.sqrt(down**2 - 2 * phi * down * up + up**2)
    found = paired_difference(*rows(*counts))
    assert float(found.low) == pytest.approx(low, abs=1e-12)
    swapped = paired_difference(*rows(a, c, b, d))
    assert float(swapped.high) == pytest.approx(-low, abs=1e-12)
    assert -1 <= found.low < (b - c) / n < found.high <= 1  # a width even where all agree


def test_paired_differences_cover_the_truth() -> None:
    """Of 400 draws of 40 pairs with a true difference of 0.15, about 95 % hold it (±4σ)."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        kind = rng.choice(4, size=40, p=[0.4, 0.25, 0.1, 0.25])
        low, high = paired_difference(kind < 2, (kind == 0) | (kind == 2))
        held += bool(low <= 0.15 <= high)
    assert 0.906 < held / 400 < 0.994


def test_pairs_of_two_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="rows come in pairs"):
        paired_difference([True], [True, False])
    assert all(map(math.isnan, paired_difference([], [])))

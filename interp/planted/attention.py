"""Queries and keys of heads that attend a fixed number of places back, else to the sink.

A key at distance d, compared by a head that looks `offset` places back, scores

    S cos(θ (d − offset + PULL)) − S',

`LEAD` at the place itself and below −`LEAD` one place beside it; the key of the sink is 0, and so
is its score for every query. A float32 softmax resolves all these differences: if the place is
masked, attention falls on the sink; if the sink is masked too, on the neighbour.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from interp.planted.program import ANCHOR, PULL, SINK, Floats, Head, Program

LEAD = 30.0
"""By how much a head's place is ahead of the sink, and the sink of the place's neighbours. e^-30 is
nothing to a sum."""


class Pairs(NamedTuple):
    """The two coordinate pairs of a Llama's head that compare distances: the first rotates by θ
    per place, the last hardly at all."""

    first: int
    last: int
    angle: float
    slow: float


def angle_of(length: int) -> float:
    """θ such that cos(θ · distance) is decreasing over the distances of the text."""
    return 2.0 * np.pi / 3.0 / length


def rope_pairs(program: Program) -> Pairs:
    """The rotary embedding turns pair i, of d_head / 2, by θ^(i / first) a place."""
    last = program.d_head // 2 - 1
    first, angle = last // 2, angle_of(len(program.layout))
    return Pairs(first, last, angle, angle ** (last / first))


def rope_theta(program: Program) -> float:
    """The rotary base for these angles."""
    pairs = rope_pairs(program)
    return float(pairs.angle ** (-program.d_head / (2 * pairs.first)))


def on_circle(program: Program, heads: Sequence[Head]) -> tuple[list[Floats], list[Floats]]:
    """GPT-2: queries and keys [d_head, features] of each head, from positions on the circle."""
    angle, first = angle_of(len(program.layout)), program.feature("place[0]")
    rise, fall = _strengths(angle, 0.0)
    # The first token lies at (1, 0) on the circle, where the sink's own mark makes its key 0.
    key = np.zeros((program.d_head, len(program.features)))
    key[:2, first : first + 2] = np.eye(2)
    key[2, ANCHOR] = 1.0
    key[[0, 2], SINK] = -1.0
    queries = []
    for head in heads:
        c, s = (f(angle * (PULL - head.offset)) for f in (np.cos, np.sin))
        query = np.zeros_like(key)
        query[:2, first : first + 2] = rise * np.array([[c, -s], [s, c]])
        query[2, ANCHOR] = -fall
        queries.append(query * np.sqrt(program.d_head))
    return queries, [key] * len(heads)


def by_turning(program: Program, heads: Sequence[Head]) -> tuple[Floats, Floats]:
    """Llama: queries [heads · d_head, features], and the key [d_head, features] that heads share.

    They are constant except at the sink; the rotary embedding rotates them. Rotating a query back
    by the offset makes its product with a key S cos(θ (distance − offset)) − S' cos(slow (…)).
    """
    pairs, half = rope_pairs(program), program.d_head // 2
    rise, fall = _strengths(pairs.angle, pairs.slow)
    key = np.zeros((program.d_head, len(program.features)))
    key[[[pairs.first], [pairs.last]], [ANCHOR, SINK]] = [1.0, -1.0]
    queries = []
    for head in heads:
        query = np.zeros_like(key)
        for pair, angle, strength in (
            (pairs.first, pairs.angle, rise),
            (pairs.last, pairs.slow, -fall),
        ):
            turn = angle * (PULL - head.offset)
            query[[pair, half + pair], ANCHOR] = strength * np.array([np.cos(turn), np.sin(turn)])
        queries.append(query * np.sqrt(program.d_head))
    return np.concatenate(queries), key


def _strengths(angle: float, slow: float) -> tuple[float, float]:
    """S and S': LEAD at a distance of PULL from the place, −LEAD at 1 − PULL."""
    distance = np.array([PULL, 1 - PULL])
    products = np.stack([np.cos(angle * distance), -np.cos(slow * distance)], axis=1)
    rise, fall = np.linalg.solve(products, [LEAD, -LEAD])
    return float(rise), float(fall)

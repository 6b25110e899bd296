"""n-digit addition, least digit first, whose carries come from the operands alone.

`addition` reads each carry off the digit just printed; this adder never reads a printed digit. At
b_j a head brings a_j, and neurons find whether column j generates a carry (G: the sum is 10 or
more) or hands one on (P: 9 or more). Rounds of a carry-lookahead tree (Kogge and Stone 1973)
combine them over 1, 2, 4, … columns:

    G_j ← G_j or (P_j and G_{j−d}),   P_j ← P_j and P_{j−d},   d = 1, 2, 4, …

After ⌈log2 n⌉ rounds G_j is the carry out of column j. The position that predicts c_k fetches it
from b_{k−1}, with a_k and b_k; a table turns their sum into the digit. Where a distance leaves b's
digits, the head falls on `+`, a digit of a or `<bos>`, whose G and P are 0.
"""

import numpy as np

from interp.planted.addition import value_of, written_sums
from interp.planted.circuit import Circuit, Sizes
from interp.planted.draft import SCALAR, Draft, Move
from interp.planted.neurons import Row, combined, step, table

_BOTH = 20.0  # marks a position that holds a digit of each operand, above every column sum


def rounds(digits: int) -> int:
    """Number of rounds that carry over `digits` columns."""
    return (digits - 1).bit_length()


def lookahead(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`add:n` in the format `reversed`, with carries from the operands."""
    n = sizes.digits
    draft = Draft(rng, sizes.layers, sizes.family)
    digit, sign = draft.block("digit", 10), draft.block("sign", 2)
    value = value_of(digit)
    steps = np.sort(rng.choice(sizes.layers, rounds(n) + 2, replace=False)).tolist()
    first, *between, last = steps

    generates, hands_on = _columns(draft, first, n, digit, value)
    for number, layer in enumerate(between):
        generates, hands_on = _round(draft, layer, n, 2**number, generates, hands_on)
    total: Row = {}
    for name, distance in (("a", 2 * n + 1), ("b", n)):
        x = draft.feature(f"{name}[k]", SCALAR)
        total = {**total, x: 1.0}
        asked = [2 * n + 2 + k for k in range(n)]  # the positions that predict c_0 … c_{n−1}
        draft.mover(draft.layer(0, last), distance, [Move(value, x)], f"{name}[k]", asked)
    carry = draft.feature("carry")
    fetch = draft.layer(steps[-2] + 1, last)
    asked = [2 * n + 3 + k for k in range(n)]  # the positions that predict c_1 … c_n
    draft.mover(fetch, n + 1, [Move({generates: 1.0}, carry)], "carry[k-1]", asked)
    answer = draft.block("answer", 10)
    draft.add(last, table(combined(total, {carry: 1.0}), 19, lambda t: {answer[t % 10]: 1.0}))
    names = ["columns", *(f"round {number}" for number in range(len(between))), "lookup"]
    facts = {
        "layers": dict(zip(names, steps, strict=True)),
        "readable_from": last,
        "saturated": True,
        "carry_from": "operands",
    }
    return written_sums(draft, n, digit, sign, answer, facts)


def _columns(draft: Draft, layer: int, n: int, digit: list[int], value: Row) -> tuple[int, int]:
    """G and P of column j, at b_j."""
    other, there = draft.feature("a[j] at b[j]", SCALAR), draft.feature("a digit of a at b[j]")
    present: Row = dict.fromkeys(digit, 1.0)
    moves = [Move(value, other), Move(present, there)]
    draft.mover(layer, n + 1, moves, "a[j]", [n + 2 + j for j in range(n)])
    generates, hands_on = draft.feature("generates"), draft.feature("hands on")
    total = combined(value, {other: 1.0, there: _BOTH})
    draft.add(layer, step(total, _BOTH + 9.5, {generates: 1.0}))
    draft.add(layer, step(total, _BOTH + 8.5, {hands_on: 1.0}))
    return generates, hands_on


def _round(
    draft: Draft, layer: int, n: int, distance: int, generates: int, hands_on: int
) -> tuple[int, int]:
    """G and P over twice as many columns."""
    below = [draft.feature(f"{name} {distance} below") for name in ("generates", "hands on")]
    moves = [Move({generates: 1.0}, below[0]), Move({hands_on: 1.0}, below[1])]
    reached = [n + 2 + j for j in range(distance, n)]
    draft.mover(layer, distance, moves, f"carry over {distance}", reached)
    wider = [draft.feature(f"{name} over {2 * distance}") for name in ("generates", "hands on")]
    made = {generates: 2.0, hands_on: 1.0, below[0]: 1.0}
    draft.add(layer, step(made, 1.5, {wider[0]: 1.0}))
    draft.add(layer, step({hands_on: 1.0, below[1]: 1.0}, 1.5, {wider[1]: 1.0}))
    return wider[0], wider[1]

"""n-digit addition, least digit first: movers, a carry direction, a lookup; and a faulty variant.

At the position that predicts c_k, heads bring a_k and b_k, and others a_{k−1} and b_{k−1}; the
token read there is c_{k−1} itself. The carry needs no ripple: since a + b + r = c + 10 r', the sum
a_{k−1} + b_{k−1} − c_{k−1} is −1 or 0 without a carry out of column k−1 and 9 or 10 with one, which
one step tells apart. A table turns a_k + b_k + carry into the digit. All distances are the same for
every k; at the ends the heads fall on `<bos>`, `+` and `=`, which hold no digit.

`careless` has one fault, named after its simulator: `no-cascade` takes the carry from
a_{k−1} + b_{k−1} ≥ 10 alone, `no-carry` takes none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interp.planted.circuit import DIGIT, Circuit, Sizes, operand_offsets
from interp.planted.draft import SCALAR, Draft, Move
from interp.planted.neurons import Row, combined, scaled, step, table


def value_of(digits: Sequence[int]) -> Row:
    """The number that a one-hot block of digits stands for."""
    return {feature: float(d) for d, feature in enumerate(digits) if d}


def addition(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`add:n` in the format `reversed`."""
    return _adder(rng, sizes, None)


def careless(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`addition` with one fault, drawn from the seed."""
    return _adder(rng, sizes, str(rng.choice(["no-carry", "no-cascade"])))


def _adder(rng: np.random.Generator, sizes: Sizes, fault: str | None) -> Circuit:
    n = sizes.digits
    draft = Draft(rng, sizes.layers, sizes.family)
    digit, sign = draft.block("digit", 10), draft.block("sign", 2)
    value = value_of(digit)
    carry_layer = draft.layer(0, sizes.layers - 2)
    lookup_layer = draft.layer(carry_layer + 1, sizes.layers - 1)
    column: Row = {}
    for name, distance in (("a", 2 * n + 1), ("b", n)):
        x = draft.feature(f"{name}[k]", SCALAR)
        column = {**column, x: 1.0}
        targets = [2 * n + 2 + k for k in range(n)]  # the positions that predict c_0 … c_{n−1}
        layer = draft.layer(0, lookup_layer)
        draft.mover(layer, distance, [Move(value, x)], f"{name}[k]", targets)
    steps = {"lookup": lookup_layer}
    if fault != "no-carry":
        steps["carry"] = carry_layer
        shown = {} if fault == "no-cascade" else scaled(value, -1.0)
        column = {**column, _carry(draft, carry_layer, n, value, shown): 1.0}
    answer = draft.block("answer", 10)
    draft.add(lookup_layer, table(column, 19, lambda t: {answer[t % 10]: 1.0}))

    facts = {
        "layers": steps,
        "readable_from": lookup_layer,
        "saturated": fault is None,
        **({"fault": fault} if fault else {"carry_from": "print"}),
    }
    return written_sums(draft, n, digit, sign, answer, facts)


def written_sums(
    draft: Draft,
    n: int,
    digit: Sequence[int],
    sign: Sequence[int],
    answer: Sequence[int],
    facts: Mapping[str, Any],
) -> Circuit:
    """`add:n` in the format `reversed`, from one-hot blocks for the digits, `+` and `=`, and the
    digits of the answer."""
    digits_of = {name: tuple(f"{name}{i}" for i in range(n)) for name in "ab"}
    answers = tuple(f"c{k}" for k in range(n + 1))
    layout = ("bos", *digits_of["a"], "op", *digits_of["b"], "eq", *answers)
    return Circuit(
        draft=draft,
        task=f"add:{n}",
        format="reversed",
        pattern=DIGIT,
        layout=layout,
        answers=answers,
        tokens={str(d): {digit[d]: 1.0} for d in range(10)}
        | {"+": {sign[0]: 1.0}, "=": {sign[1]: 1.0}},
        evidence={str(d): {answer[d]: 1.0} for d in range(10)},
        reads=[value_of(digit)],
        read_scale=SCALAR,
        looks=operand_offsets(layout, answers),
        facts=dict(facts),
    )


def _carry(draft: Draft, layer: int, n: int, value: Row, shown: Row) -> int:
    """The feature that holds the carry out of column k−1, from its digits and what is `shown`."""
    below = shown
    for name, distance in (("a", 2 * n + 2), ("b", n + 1)):
        x = draft.feature(f"{name}[k-1]", SCALAR)
        below = combined(below, {x: 1.0})
        targets = [2 * n + 3 + k for k in range(n)]  # the positions that predict c_1 … c_n
        found = draft.layer(0, layer)
        draft.mover(found, distance, [Move(value, x)], f"{name}[k-1]", targets)
    carry = draft.feature("carry")
    draft.add(layer, step(below, 4.5 if shown else 9.5, {carry: 1.0}))
    return carry

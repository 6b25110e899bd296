"""Planted models with late or early information transfer between tokens.

Both add two numbers of one or two digits, one token a number, `12+34=046`.

`waiting`   in the wait layers tokens do not exchange information (one layer turns a token's digits
            into values); heads in the transfer layers bring both operands to `=`; the rest is
            computed there. The structure of "all for one" (arXiv 2509.09650).
`early`     `b` needs `a` first: a head brings a's digits to b, which sums the columns and carries;
            only these sums go on to `=`. A negative control: "waiting" is a wrong account of it.
"""

from collections.abc import Sequence

import numpy as np

from interp.planted.circuit import NUMBER, Circuit, Sizes
from interp.planted.draft import SCALAR, Draft, Move
from interp.planted.neurons import Row, combined, keep, step, table
from interp.planted.program import ANCHOR

_A, _B, _ASK = 1, 3, 4  # positions of a, b and `=`
_PLACES = ("units", "tens")


class _Number:
    """The vocabulary of one-token numbers, with a one-hot block for each operand digit."""

    def __init__(self, draft: Draft, digits: int) -> None:
        self.digits = digits
        self.blocks = [draft.block(place, 10) for place in _PLACES[:digits]]
        self.values: list[Row] = [
            {feature: float(d) for d, feature in enumerate(block) if d} for block in self.blocks
        ]
        signs = draft.block("sign", 2)
        self.tokens: dict[str, Row] = {"+": {signs[0]: 1.0}, "=": {signs[1]: 1.0}}
        self.results = [f"{v:0{digits + 1}d}" for v in range(2 * 10**digits - 1)]
        operands = [f"{v:0{digits}d}" for v in range(10**digits)]
        for text in (*operands, *self.results):
            self.tokens[text] = {
                block[int(text[-1 - place])]: 1.0 for place, block in enumerate(self.blocks)
            }

    def layout(self) -> tuple[str, ...]:
        a, b = (x + ("0" if self.digits == 1 else "[0:2]") for x in "ab")
        return ("bos", a, "op", b, "eq", f"c[0:{self.digits + 1}]")


def waiting(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`add:1` or `add:2`, `padded`: no information moves below the transfer layers."""
    draft = Draft(rng, sizes.layers, sizes.family)
    number = _Number(draft, sizes.digits)
    last_transfer = sizes.layers - sizes.digits  # the columns' tables each need a layer
    first_transfer = draft.layer(1, last_transfer)
    value_layer = draft.layer(0, first_transfer - 1)
    values = draft.block("value", sizes.digits, SCALAR)
    for block, value in zip(number.blocks, values, strict=True):
        for d in range(1, 10):
            draft.add(value_layer, step({block[d]: 1.0}, 0.5, {value: float(d)}))

    moved = {x: draft.block(f"value of {x} at =", sizes.digits, SCALAR) for x in "ab"}
    layers: list[int] = []  # of the heads, one for each operand digit
    for place in range(sizes.digits):
        for name, offset in (("a", _ASK - _A), ("b", _ASK - _B)):
            opens = not layers
            layer = first_transfer if opens else draft.layer(first_transfer, last_transfer)
            layers.append(layer)
            move = Move({values[place]: 1.0}, moved[name][place])
            draft.mover(layer, offset, [move], f"{name}[{place}]", [_ASK])
    units, *tens = (
        {moved["a"][place]: 1.0, moved["b"][place]: 1.0} for place in range(sizes.digits)
    )
    used = _sum_tables(draft, max(layers), units, tens[0] if tens else None)
    facts = {
        "layers": {"value": value_layer, **used.layers},
        "readable_from": max(used.layers.values()),
    }
    return _circuit(draft, number, used.evidence, sizes, facts)


def early(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`add:1` or `add:2`, `padded`: b must attend to a before any other step."""
    draft = Draft(rng, sizes.layers, sizes.family)
    number = _Number(draft, sizes.digits)
    last_table = sizes.layers - sizes.digits
    meet = draft.layer(0, min(1, last_table - 1))
    there = draft.block("digits of a at b", sizes.digits, SCALAR)
    moves = [Move(value, f) for value, f in zip(number.values, there, strict=True)]
    draft.mover(meet, _B - _A, moves, "a", [_B])

    sums = draft.block("column sum at b", sizes.digits, SCALAR)
    columns = [
        combined({feature: 1.0}, value) for feature, value in zip(there, number.values, strict=True)
    ]
    for column, total in zip(columns, sums, strict=True):
        draft.add(meet, keep(column, {total: 1.0}))
    if sizes.digits == 2:
        draft.add(meet, step(columns[0], 9.5, {sums[1]: 1.0}))

    onward = draft.block("column sum at =", sizes.digits, SCALAR)
    leave = draft.layer(meet + 1, last_table)
    moves = [Move({x: 1.0}, y) for x, y in zip(sums, onward, strict=True)]
    draft.mover(leave, _ASK - _B, moves, "running_sum", [_ASK])
    tens: Row | None = {onward[1]: 1.0} if sizes.digits == 2 else None
    used = _sum_tables(draft, leave, {onward[0]: 1.0}, tens, carried=True)
    facts = {
        "layers": {"meet": meet, **used.layers},
        "readable_from": max(used.layers.values()),
    }
    return _circuit(draft, number, used.evidence, sizes, facts)


class _Tables:
    """Lookup tables of the sum's digits, and their evidence for each answer token."""

    def __init__(self) -> None:
        self.layers: dict[str, int] = {}
        self.evidence: list[dict[int, Row]] = []  # by place, digit → row


def _sum_tables(
    draft: Draft, first: int, units: Row, tens: Row | None, *, carried: bool = False
) -> _Tables:
    """Tables for the units and, a layer higher, the tens; `carried`: tens hold the carry already.

    The leading digit is 0 or 1, and needs one feature only.
    """
    out, last = _Tables(), draft.n_layers - 1
    lead = draft.feature("answer lead")
    by_lead: dict[int, Row] = {1: {lead: 1.0}, 0: {ANCHOR: 1.0, lead: -1.0}}
    unit_layer = draft.layer(first, last if tens is None else last - 1)
    out.layers["units"] = unit_layer
    _look_up(draft, unit_layer, units, 18, "answer units", out)
    if tens is None:
        draft.add(unit_layer, step(units, 9.5, {lead: 1.0}))
        out.evidence.append(by_lead)
        return out
    if not carried:
        carry = draft.feature("carry[0]")
        draft.add(unit_layer, step(units, 9.5, {carry: 1.0}))
        tens = combined(tens, {carry: 1.0})
    tens_layer = draft.layer(unit_layer + 1, last)
    out.layers["tens"] = tens_layer
    _look_up(draft, tens_layer, tens, 19, "answer tens", out)
    draft.add(tens_layer, step(tens, 9.5, {lead: 1.0}))
    out.evidence.append(by_lead)
    return out


def _look_up(draft: Draft, layer: int, x: Row, highest: int, name: str, out: _Tables) -> None:
    block = draft.block(name, 10)
    draft.add(layer, table(x, highest, lambda t: {block[t % 10]: 1.0}))
    out.evidence.append({d: {block[d]: 1.0} for d in range(10)})


def _circuit(
    draft: Draft,
    number: _Number,
    evidence: Sequence[dict[int, Row]],
    sizes: Sizes,
    facts: dict[str, object],
) -> Circuit:
    layout = number.layout()
    rows: dict[str, Row] = {}
    for text in number.results:
        digits = [int(x) for x in reversed(text)]
        told = [by_digit[d] for by_digit, d in zip(evidence, digits, strict=True)]
        rows[text] = combined(*told)
    return Circuit(
        draft=draft,
        task=f"add:{sizes.digits}",
        format="padded",
        pattern=NUMBER,
        layout=layout,
        answers=(layout[-1],),
        tokens=number.tokens,
        evidence=rows,
        reads=number.values,
        read_scale=SCALAR,
        looks=[_ASK - _A, _ASK - _B, _B - _A],
        facts={**facts, "saturated": True},
    )

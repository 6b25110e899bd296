"""Neurons that compute exactly on integers: steps, conjunctions and lookup tables.

All kinks lie strictly between the values that occur, so rounding has no effect and every gradient
is defined.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

Row = Mapping[int, float]  # feature → coefficient


class Neuron(NamedTuple):
    """write · relu(read · x + bias)."""

    read: Row
    bias: float
    write: Row


def combined(*rows: Row) -> Row:
    """The sum of some rows."""
    total: dict[int, float] = {}
    for row in rows:
        for feature, coefficient in row.items():
            total[feature] = total.get(feature, 0.0) + coefficient
    return total


def scaled(row: Row, factor: float) -> Row:
    """A row times a number."""
    return {feature: factor * coefficient for feature, coefficient in row.items()}


def keep(x: Row, out: Row) -> list[Neuron]:
    """out · x, for integers x ≥ 0: relu(x + 1/2) − relu(1/2)."""
    return [Neuron(x, 0.5, out), Neuron({}, 0.5, scaled(out, -1.0))]


def step(x: Row, at: float, out: Row) -> list[Neuron]:
    """out · [x ≥ at], exact and flat at a distance of 1/4 or more from `at`.

    >>> [sum(max(n.read[0] * x + n.bias, 0) * n.write[1] for n in step({0: 1}, 4.5, {1: 1}))
    ...  for x in (-3, 4, 5, 19)]
    [0.0, 0.0, 1.0, 1.0]
    """
    rise = scaled(x, 2.0)
    return [Neuron(rise, 0.5 - 2.0 * at, out), Neuron(rise, -0.5 - 2.0 * at, scaled(out, -1.0))]


def both(x: Row, y: Row, out: Row) -> list[Neuron]:
    """out · [x and y], for x, y in {0, 1}."""
    return [Neuron(scaled(combined(x, y), 2.0), -3.0, out)]


_HAT = ((-1.5, 1.0), (-0.5, -1.0), (0.5, -1.0), (1.5, 1.0))  # kinks, and changes of slope there


def table(x: Row, highest: int, out: Callable[[int], Row]) -> list[Neuron]:
    """Σ_t hat(x − t) · out(t) over t = 0 … highest, a neuron a half-integer.

    hat is 1 up to a distance of 1/2, falls to 0 at 3/2, and so is 1/2 for the neighbours: around an
    integer, out(t) itself is flat and the neighbours' entries have slope ±1.
    """
    kinks: dict[float, Row] = {}
    for t in range(highest + 1):
        for shift, slope in _HAT:
            kinks[t + shift] = combined(kinks.get(t + shift, {}), scaled(out(t), slope))
    return [
        Neuron(x, -kink, row)
        for kink, row in sorted(kinks.items())
        if any(not math.isclose(value, 0.0, abs_tol=1e-12) for value in row.values())
    ]

"""Limited-memory BFGS (Nocedal 1980) on many convex problems in lockstep.

One evaluation serves all problems that are not done: those whose last step was refused try a
shorter one while the others move on. Parameters are [problems, classes, r] throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.estimators.inputs import Floats

MEMORY = 10  # pairs (s, y) kept a problem
ARMIJO = 1e-4  # share of the promised decrease that a step must bring

Evaluate = Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats]]


def dot(a: Floats, b: Floats) -> Floats:
    """Inner products, problem by problem: [problems, …] twice → [problems]."""
    return np.einsum("pkd,pkd->p", a, b)


def spread(numbers: Any) -> Any:
    """[problems] so that it multiplies [problems, classes, d]."""
    return numbers[:, None, None]


@dataclass
class History:
    """The last steps s and changes of gradient y, with 1 / sᵀy (0 where a step was refused)."""

    pairs: list[tuple[Floats, Floats, Floats]] = field(default_factory=list)

    def add(self, s: Floats, y: Floats, accepted: NDArray[np.bool_]) -> Floats:
        """Keep a pair; returns 1 / sᵀy, 0 where it cannot be used."""
        product = dot(s, y)
        usable = accepted & (product > 0)
        inverse = np.divide(1.0, product, out=np.zeros_like(product), where=usable)
        self.pairs = [*self.pairs[1 - MEMORY :], (s, y, inverse)]
        return inverse

    def only(self, kept: NDArray[np.bool_]) -> None:
        """Forget the problems that are done."""
        self.pairs = [(s[kept], y[kept], inverse[kept]) for s, y, inverse in self.pairs]

    def direction(self, gradient: Floats, scale: Floats) -> Floats:
        """−H·gradient by the two-loop recursion, with H₀ = scale·1."""
        q, shares = gradient.copy(), []
        for s, y, inverse in reversed(self.pairs):
            shares.append(inverse * dot(s, q))
            q -= spread(shares[-1]) * y
        q *= spread(scale)
        for (s, y, inverse), share in zip(self.pairs, reversed(shares), strict=True):
            q += spread(share - inverse * dot(y, q)) * s
        return -q


@dataclass
class Descent:
    """Where each problem that is not done stands: all arrays have a row a problem."""

    evaluate: Evaluate
    rounding: float
    live: NDArray[np.intp]
    here: Floats
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.loss, self.gradient = self.evaluate(self.here, self.live)
        self.scale, self.step = np.ones(len(self.live)), np.ones(len(self.live))
        self.direction = -self.gradient

    @property
    def slope(self) -> Floats:
        """How fast each loss changes along the direction; below 0."""
        return dot(self.direction, self.gradient)

    def only(self, kept: NDArray[np.bool_]) -> None:
        """Go on with the problems `kept` alone."""
        for name in ("live", "here", "loss", "gradient", "scale", "step", "direction"):
            setattr(self, name, getattr(self, name)[kept])
        self.history.only(kept)

    def advance(self) -> None:
        """One evaluation: problems whose loss fell enough move, the others halve their step."""
        move = spread(self.step) * self.direction
        loss, gradient = self.evaluate(self.here + move, self.live)
        needed = ARMIJO * self.step * self.slope + self.rounding * np.abs(self.loss)
        accepted = loss <= self.loss + needed
        change = gradient - self.gradient
        curvature = self.history.add(move, change, accepted) * dot(change, change)
        self.scale = np.divide(1.0, curvature, out=self.scale, where=curvature > 0)
        self.here += spread(accepted) * move
        self.loss = np.where(accepted, loss, self.loss)
        self.gradient = np.where(spread(accepted), gradient, self.gradient)
        fresh = self.history.direction(self.gradient, self.scale)
        self.direction = np.where(spread(accepted), fresh, self.direction)
        self.step = np.where(accepted, 1.0, self.step / 2)


def minimise(
    evaluate: Evaluate,
    start: Floats,
    *,
    max_iter: int,
    enough: Floats,
    rounding: float,
    check: Callable[[], None],
) -> tuple[Floats, NDArray[np.intp]]:
    """The minima [problems, classes, r] and how many evaluations each took.

    A problem is done once its next step promises to lower its loss by less than `enough`
    [problems]; `rounding` is the share of a loss by which two evaluations of it may differ.
    `check` is called between evaluations and may raise.
    """
    found, taken = start.copy(), np.zeros(len(start), dtype=np.intp)
    at = Descent(evaluate, rounding, np.arange(len(start)), start.copy())
    for _ in range(max_iter):
        going = -at.slope > enough[at.live]
        if not going.all():
            found[at.live[~going]] = at.here[~going]
            at.only(going)
        if not len(at.live):
            break
        check()
        at.advance()
        taken[at.live] += 1
    found[at.live] = at.here
    return found, taken

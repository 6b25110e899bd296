"""Batched Newton–CG: Newton steps of many convex problems, by conjugate gradients.

One product with the Hessians serves all unfinished problems; each stops at its own tolerance.
Vectors are [problems, classes, r] throughout.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.estimators.inputs import Floats

ARMIJO = 1e-4  # share of the promised decrease that a step must bring
HALVINGS = 30  # of a step at most

Product = Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats]]


def dot(a: Floats, b: Floats) -> Floats:
    """Inner products, problem by problem: [problems, …] twice → [problems]."""
    return np.einsum("pkd,pkd->p", a, b)


def spread(numbers: Floats) -> Floats:
    """Reshape [problems] to broadcast against [problems, classes, d]."""
    return numbers[:, None, None]


@dataclass(frozen=True)
class NewtonStep:
    """Newton direction: weights [problems, classes, r], the intercepts that follow
    [problems, classes], the directional derivative of the losses [problems], and products used.
    """

    weights: Floats
    intercepts: Floats
    slope: Floats
    products: NDArray[np.intp]


def newton_step(
    product: Product,
    gradient: Floats,
    inverse: Floats,
    enough: Floats,
    *,
    most: int,
    check: Callable[[], None],
) -> NewtonStep:
    """Approximate −H⁻¹·gradient by conjugate gradients.

    `product` gives H·V of the problems it is asked for, and the intercepts that follow V; `inverse`
    is nearly that of H's diagonal M, 0 for classes that a problem does not have. A problem is done
    once its residual r has r·M⁻¹r at most a forcing share of the gradient's (a small one close to
    the minimum, where such steps gain most), or r·r at most `enough` [problems]; or after `most`
    products.
    """
    found, follow = np.zeros_like(gradient), np.zeros(gradient.shape[:2])
    taken, live = np.zeros(len(gradient), dtype=np.intp), np.arange(len(gradient))
    left = -gradient
    even = _even(left, inverse)
    size = dot(left, even)
    wanted = size * np.minimum(0.1, size)
    along = even.copy()
    for _ in range(most):
        going = (size > wanted) & (dot(left, left) > enough[live])
        if not going.all():
            live, left, along, inverse = live[going], left[going], along[going], inverse[going]
            size, wanted = size[going], wanted[going]
        if not len(live):
            break
        check()
        curved, shift = product(along, live)
        taken[live] += 1
        bend = dot(along, curved)
        share = np.divide(size, bend, out=np.zeros_like(size), where=bend > 0)
        found[live] += spread(share) * along
        follow[live] += share[:, None] * shift
        left -= spread(share) * curved
        even = _even(left, inverse)
        before, size = size, dot(left, even)
        along = even + spread(size / before) * along
        size = np.where(share > 0, size, 0)  # stop if rounding leaves no curvature
    return NewtonStep(found, follow, dot(found, gradient), taken)


def _even(left: Floats, inverse: Floats) -> Floats:
    """M⁻¹·left, M the diagonal matrix restricted to directions that add up to 0 over classes.

    The loss does not change along the others, where H has only the penalty: M is far from it there,
    and conjugate gradients would spend most of their products on rounding them off.
    """
    weighted = left * inverse
    return weighted - inverse * (weighted.sum(axis=1) / inverse.sum(axis=1))[:, None]


def shorten(
    losses: Callable[[Floats, NDArray[np.intp]], Floats], before: Floats, slope: Floats
) -> Floats:
    """The share of each step [problems] that lowers its loss enough, 1 or a half of a half …; 0
    where none does. `losses` gives those after shares of the steps of some problems.
    """
    share, trying = np.ones(len(before)), np.arange(len(before))
    slack = 4 * np.finfo(np.float64).eps * np.abs(before)
    for _ in range(HALVINGS):
        after = losses(share[trying], trying)
        wanted = before + ARMIJO * share * slope + slack
        trying = trying[~(after <= wanted[trying])]
        if not len(trying):
            return share
        share[trying] /= 2
    share[trying] = 0
    return share

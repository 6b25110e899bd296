"""Regularity of points that numbers have: circles, and the pentagonal prism of ten digits.

The class means M [q, d] are fitted by waves, M_v ≈ μ + Σ_k A_k cos(2πkv/q) + B_k sin(2πkv/q). For a
frequency k, the plane of A_k and B_k holds the projected points; on a perfect circle they have one
radius, and steps of 2πk/q. The pentagonal prism of Bai et al. (arXiv 2510.00184) has k = 2 (two
pentagons) and k = 5 (parity, the axis): its edges v → v + 5 are parallel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interp.geometry.fits import exceed
from interp.geometry.spectra import basis, frequencies_of, power

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Principal(NamedTuple):
    """Principal components of centred class means [q, d].

    scores      [q, c], coordinates of each number
    explained   [c], share of the class means' variance
    alignment   [c, q // 2], share of each component's profile over the numbers at each frequency
    """

    scores: Floats
    explained: Floats
    alignment: Floats


def principal(means: Floats, components: int = 8) -> Principal:
    """PCA of class means, not of prompts: no class counts more for being frequent."""
    centred = means - means.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    count = min(components, len(means) - 1, len(sizes))
    total = (sizes**2).sum()
    scores = left[:, :count] * sizes[:count]
    profile = power(left[:, :count])[1:].T
    return Principal(scores, sizes[:count] ** 2 / (total if total > 0 else 1.0), profile)


def wave_part(means: Floats, frequencies: npt.ArrayLike) -> Floats:
    """The part of class means [q, d] on the waves of some frequencies, without the constant."""
    q = len(means)
    own = basis(q)[np.isin(frequencies_of(q), np.asarray(frequencies))]
    return np.asarray(own.T @ (own @ means))


def wave_span(means: Floats, frequencies: npt.ArrayLike) -> Floats:
    """Orthonormal rows [r, d] that span the waves' part of class means; r ≤ 2 a frequency."""
    own = basis(len(means))[np.isin(frequencies_of(len(means)), np.asarray(frequencies))]
    _, sizes, right = np.linalg.svd(own @ means, full_matrices=False)
    keep = sizes > 1e-9 * max(float(sizes[0]), np.finfo(float).tiny)
    return np.asarray(right[keep])


def wave_total(means: Floats, frequencies: npt.ArrayLike, orders: Ints) -> tuple[float, Floats]:
    """Share of the class means' variance on some waves together, and with permuted numbers
    [draws]."""
    centred = means - means.mean(axis=0)
    gram = centred @ centred.T  # permuted alike in rows and columns, so d does not matter
    own = basis(len(means))[np.isin(frequencies_of(len(means)), np.asarray(frequencies))]
    drawn = [np.einsum("wi,ij,wj->", own, gram[np.ix_(o, o)], own) for o in orders]
    total = np.trace(gram)
    return float(np.einsum("wi,ij,wj->", own, gram, own) / total), np.array(drawn) / total


class Circle(NamedTuple):
    """The points of one frequency in its own plane.

    points          [q, 2]
    share           of the class means' variance at this frequency
    radius          mean radius
    radius_spread   standard deviation of the radius over its mean; 0 on a circle
    angle_spread    root mean square distance of the angles from even steps, radians
    roundness       smaller over larger axis of the fitted ellipse (1: a circle, 0: a line)
    """

    points: Floats
    share: float
    radius: float
    radius_spread: float
    angle_spread: float
    roundness: float


def circle(means: Floats, k: int) -> Circle:
    """The class means in the plane of frequency k (an axis for k = q/2)."""
    q = len(means)
    centred = means - means.mean(axis=0)
    own = basis(q)[frequencies_of(q) == k]
    axes = own @ centred  # the waves' amplitudes, [1 or 2, d]
    _, sizes, span = np.linalg.svd(axes, full_matrices=False)
    total = (centred**2).sum()
    share = float((sizes**2).sum() / total) if total > 0 else float("nan")
    points = centred @ span.T
    if points.shape[1] < 2:
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    radius = np.linalg.norm(points, axis=1)
    turn = points[:, 0] + 1j * points[:, 1]
    step = np.exp(-2j * np.pi * k * np.arange(q) / q)
    spreads = []
    for way in (turn, turn.conj()):  # the plane has no orientation
        angle = np.angle(way * step * np.conj((way * step).mean()))
        spreads.append(float(np.sqrt(np.mean(angle**2))))
    mean = float(radius.mean())
    return Circle(
        points,
        share,
        mean,
        float(radius.std() / mean) if mean > 0 else float("nan"),
        min(spreads),
        float(sizes[1] / sizes[0]) if len(sizes) > 1 and sizes[0] > 0 else 0.0,
    )


def prism(means: Floats) -> dict[str, float]:
    """How far ten points are a pentagonal prism: the share of k = 2 and k = 5, the mean cosine of
    its five edges v → v + 5 (turned to one side), and the roundness of the pentagons."""
    centred = means - means.mean(axis=0)
    total = float((centred**2).sum())
    part = wave_part(means, (2, 5))
    edges = (centred[5:] - centred[:5]) * (-1.0) ** np.arange(5)[:, None]
    size = np.linalg.norm(edges, axis=1, keepdims=True)
    unit = edges / np.where(size > 0, size, 1.0)
    cosines = (unit @ unit.T)[np.triu_indices(5, 1)]
    return {
        "prism_share": float((part**2).sum() / total) if total > 0 else float("nan"),
        "edge_cosine": float(cosines.mean()),
        "pentagon_roundness": circle(means, 2).roundness,
    }


def circle_table(means: Floats, orders: Ints) -> list[dict[str, float]]:
    """One row a frequency: the circle's numbers, each beside its null over permuted numbers.

    p is one-sided: larger share, smaller spreads. `share_best` is the p against the best frequency
    of each draw.
    """
    k_all = np.arange(1, len(means) // 2 + 1)
    found = [circle(means, int(k)) for k in k_all]
    drawn = [[circle(means[order], int(k)) for k in k_all] for order in orders]
    share = np.array([[c.share for c in row] for row in drawn])
    radius = np.array([[c.radius_spread for c in row] for row in drawn])
    angle = np.array([[c.angle_spread for c in row] for row in drawn])
    rows = []
    for i, (k, c) in enumerate(zip(k_all, found, strict=True)):
        rows.append(
            {
                "frequency": int(k),
                "period": len(means) / int(k),
                "share": c.share,
                "share_null": float(np.quantile(share[:, i], 0.95)),
                "p_share": exceed(c.share, share[:, i]),
                "p_share_best": exceed(c.share, share.max(axis=1)),
                "radius": c.radius,
                "radius_spread": c.radius_spread,
                "radius_spread_null": float(np.median(radius[:, i])),
                "p_radius": exceed(-c.radius_spread, -radius[:, i]),
                "angle_spread": c.angle_spread,
                "angle_spread_null": float(np.median(angle[:, i])),
                "p_angle": exceed(-c.angle_spread, -angle[:, i]),
                "roundness": c.roundness,
            }
        )
    return rows

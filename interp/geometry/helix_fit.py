"""The helix of a number and its rivals, fitted to activations by value (arXiv 2502.00873).

    helix(a) = C B(a),   B(a) = [a/max, cos(2πa/T), sin(2πa/T) for T = 2, 5, 10, 100]

Activations are projected on min(100, training values − 1) principal components, the coordinates
regressed on B with a constant, and mapped back. The sine of T = 2 vanishes on whole numbers: nine
columns, eight of them effective. Rivals have as many: the first eight principal components of the
value's mean (which need the value's own activation), the waves with a cosine less but without the
linear term, and a polynomial of degree eight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interp.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PERIODS = (2, 5, 10, 100)
PER_COLUMN = 3  # number values for each column
_COMPONENTS = 100
_VANISHING = 1e-9
_ROUNDING = 1e-6  # of the largest extent: below it, activations of float32 say nothing


def columns(values: npt.ArrayLike, periods: Sequence[float], linear: bool, top: float) -> Floats:
    """B [n, columns]: the linear term (a/top), then cosine and sine of each period."""
    a = np.asarray(values, dtype=float)
    waves = [f(2 * np.pi * a / period) for period in periods for f in (np.cos, np.sin)]
    return np.stack(([a / top] if linear else []) + waves, axis=1)


def effective(design: Floats) -> int:
    """Number of independent columns beside the constant."""
    centred = design - design.mean(axis=0)
    sizes = np.linalg.svd(centred, compute_uv=False)
    return int((sizes > 1e-8 * max(float(sizes[0]), _VANISHING)).sum())


def polynomial(values: npt.ArrayLike, degree: int, top: float) -> Floats:
    """Chebyshev polynomials of 2a/top − 1, degrees 1 … degree (the span of a, a², …)."""
    x = 2 * np.asarray(values, dtype=float) / top - 1
    return np.asarray(np.polynomial.chebyshev.chebvander(x, degree)[:, 1:])


class Fitted(NamedTuple):
    """A map from values to activations, its columns (constant aside), and what it needs."""

    name: str
    columns: int
    predict: Callable[[Ints], Floats]


def regression(
    name: str, means: Floats, values: Ints, design: Callable[[Ints], Floats], components: int
) -> Fitted:
    """Least squares of the means' principal coordinates on `design(values)` and a constant."""
    centre = means.mean(axis=0)
    _, sizes, rows = np.linalg.svd(means - centre, full_matrices=False)
    keep = rows[: min(components, int((sizes > _VANISHING * sizes[0]).sum()))]
    matrix = design(values)
    with_one = np.column_stack([np.ones(len(values)), matrix])
    coefficients = np.linalg.lstsq(with_one, (means - centre) @ keep.T, rcond=None)[0]

    def predict(wanted: Ints) -> Floats:
        rows_of = np.column_stack([np.ones(len(wanted)), design(wanted)])
        return np.asarray(centre + rows_of @ coefficients @ keep)

    return Fitted(name, effective(matrix), predict)


def models_of(
    means: Floats,
    values: Ints,
    periods: Sequence[float],
    top: float,
    rng: np.random.Generator,
) -> list[Fitted]:
    """Helix, circle, polynomial and randomised helix, fitted to the means [m, d] of `values`."""
    count = min(_COMPONENTS, len(values) - 1)
    helix = regression("helix", means, values, lambda v: columns(v, periods, True, top), count)
    shuffled = dict(zip(values.tolist(), rng.permutation(values).tolist(), strict=True))

    def randomised(v: Ints) -> Floats:
        moved = np.array([shuffled.get(int(x), int(x)) for x in v])
        return columns(moved, periods, True, top)

    return [
        helix,
        regression("circle", means, values, lambda v: columns(v, periods, False, top), count),
        regression("polynomial", means, values, lambda v: polynomial(v, helix.columns, top), count),
        regression("helix, values permuted", means, values, randomised, count),
    ]


def projection(means: Floats, rank: int) -> Callable[[Floats], Floats]:
    """Keep the first `rank` principal components of the means: the rival that sees the activation
    itself."""
    centre = means.mean(axis=0)
    rows = np.linalg.svd(means - centre, full_matrices=False)[2][:rank]
    return lambda x: np.asarray(centre + (x - centre) @ rows.T @ rows)


def plane(fitted: Fitted, values: Ints) -> Floats:
    """Orthonormal rows [r, d] of the directions in which a fit moves with its values; r is at most
    its number of columns."""
    return _span(fitted.predict(values), fitted.columns)


def random_plane(means: Floats, rank: int, rng: np.random.Generator) -> Floats:
    """Orthonormal rows [rank, d] of a random plane in the space of the values' means, or of all
    directions where that space has no more dimensions than the plane."""
    known = _span(means, len(means))
    if len(known) <= rank:
        known = np.eye(means.shape[1])
    turn = np.linalg.qr(rng.standard_normal((len(known), rank)))[0]
    return np.asarray(turn.T @ known)


def _span(rows: Floats, most: int) -> Floats:
    """Orthonormal rows that span centred rows."""
    _, sizes, right = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    keep = sizes[:most] > _ROUNDING * max(float(sizes[0]), np.finfo(float).tiny)
    return np.asarray(right[:most][keep])


def r2(got: Floats, want: Floats) -> float:
    """Share of the spread of `want` [m, d] around its mean that `got` explains."""
    spread = ((want - want.mean(axis=0)) ** 2).sum()
    return float(1 - ((want - got) ** 2).sum() / spread) if spread > 0 else float("nan")


def check_values(n_values: int, n_columns: int) -> None:
    """Raise InputError unless there are three values for each column."""
    if n_values < PER_COLUMN * n_columns:
        raise InputError(
            f"the sample has {n_values} different numbers for {n_columns} columns: a helix needs "
            f"at least {PER_COLUMN * n_columns}. Ask for more problems (n=), larger operands, or "
            "fewer periods"
        )

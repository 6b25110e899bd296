"""Two-way additive fit: X ≈ μ + A[i] + B[j] for rows with two numbers i and j.

A set of points is a Minkowski sum of two sets where the interaction is nil. Shares are of the total
variance of X and adjusted for the parameters: with residual mean squares of cells, a term that is
not there has 0 in the mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interp.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Additive(NamedTuple):
    """μ [d], A [p, d], B [q, d] (each with mean 0 over the rows), and the shares of variance.

    a, b          of each factor after the other (they overlap where the sample is unbalanced)
    additive      of both together
    interaction   of the cell means beyond the additive fit, adjusted
    within        of the rows beyond their cell means: what neither number says
    of_cells      interaction / (additive + interaction): 0 for a Minkowski sum
    """

    mean: Floats
    a_part: Floats
    b_part: Floats
    a: float
    b: float
    additive: float
    interaction: float
    within: float
    of_cells: float


def additive_fit(
    x: Floats, i: Ints, j: Ints, p: int, q: int, *, determined: bool = False
) -> Additive:
    """Least-squares fit of rows x [n, d] with numbers i < p and j < q.

    `determined` says that a row is a function of its two numbers, as in modular addition: what the
    additive fit leaves is interaction then, though no cell has two rows.

    Raises InputError where a number is missing, no row is left beyond the parameters, or no cell
    has two rows (interaction and noise cannot be told apart then, unless rows are determined).
    """
    n = len(x)
    cell = i * q + j
    counts = np.bincount(cell, minlength=p * q)
    if (np.bincount(i, minlength=p) == 0).any() or (np.bincount(j, minlength=q) == 0).any():
        raise InputError("a number is missing at one of the two roles: ask for more problems (n=)")
    if determined and n < p + q:
        raise InputError(f"{n} prompts for {p + q - 1} parameters: ask for more problems (n=)")
    if not determined and n <= (counts > 0).sum():
        raise InputError(
            f"{n} prompts fill {int((counts > 0).sum())} cells of two numbers once each: ask for "
            "more problems (n=), so that cells repeat"
        )
    mean = x.mean(axis=0)
    centred = x - mean
    total = float((centred**2).sum())
    if total == 0:
        raise InputError("the activation is the same for every prompt: nothing to fit")
    design = np.zeros((n, p + q))
    design[np.arange(n), i] = 1.0
    design[np.arange(n), p + j] = 1.0
    found = np.linalg.lstsq(design.T @ design, design.T @ centred, rcond=None)[0]
    both = float(((centred - design @ found) ** 2).sum())
    onto = np.zeros((p * q, x.shape[1]))
    np.add.at(onto, cell, centred)
    filled = counts > 0
    means = onto[filled] / counts[filled, None]
    if determined:  # the residual's mean square is the interaction's
        noise = both / (n - (p + q - 1))
        interaction, unexplained = noise * (n - 1), 0.0
    else:
        within = total - float((counts[filled, None] * means**2).sum())
        noise = within / (n - filled.sum())  # per degree of freedom
        interaction = both - within - noise * max(filled.sum() - (p + q - 1), 0)
        unexplained = noise * (n - 1)
    alone = [_residual(centred, which) for which in (i, j)]
    additive = total - both - noise * (p + q - 2)
    share_a, share_b = ((alone[k] - both - noise * m) / total for k, m in ((1, p - 1), (0, q - 1)))
    a_part, b_part = found[:p], found[p:]
    a_part = a_part - np.bincount(i, minlength=p) @ a_part / n
    b_part = b_part - np.bincount(j, minlength=q) @ b_part / n
    explained = additive + interaction
    return Additive(
        mean,
        a_part,
        b_part,
        float(share_a),
        float(share_b),
        additive / total,
        interaction / total,
        float(unexplained / total),
        float(interaction / explained) if explained > 0 else float("nan"),
    )


def _residual(centred: Floats, labels: Ints) -> float:
    """Sum of squares beyond the class means of one number."""
    counts = np.bincount(labels).astype(float)
    sums = np.zeros((len(counts), centred.shape[1]))
    np.add.at(sums, labels, centred)
    kept = counts > 0
    return float((centred**2).sum() - (sums[kept] ** 2 / counts[kept, None]).sum())


def fitted(got: Floats, guess: Floats) -> dict[str, float]:
    """How well rows `guess` [n, d] are `got`, both centred.

    r2          1 − ‖got − guess‖² / ‖got‖²
    scale       s that makes s · guess nearest to got
    r2_scaled   the same with it: the squared cosine of the two, where s is positive
    """
    x, y = got - got.mean(axis=0), guess - guess.mean(axis=0)
    total, size, inner = (x**2).sum(), (y**2).sum(), (x * y).sum()
    scale = inner / size if size > 0 else np.nan
    return {
        "r2": float(1 - (total - 2 * inner + size) / total),
        "scale": float(scale),
        "r2_scaled": float(inner * scale / total),
    }


def covariance_error(got: Floats, want: Floats) -> float:
    """‖Σ_got − Σ_want‖ / ‖Σ_got‖ of the covariances of two sets of rows (Frobenius)."""
    size = np.linalg.norm(np.cov(got.T, bias=True))
    if size == 0:
        return float("nan")
    return float(np.linalg.norm(np.cov(got.T, bias=True) - np.cov(want.T, bias=True)) / size)

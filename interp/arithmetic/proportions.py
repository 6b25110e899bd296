"""Shares with Wilson's score interval (E. B. Wilson 1927), and differences of paired shares."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interp.errors import InputError

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """Lower and upper bound, each of the shape of the estimate; NaN where there is none."""

    low: Floats
    high: Floats


class Share(NamedTuple):
    """A share with its interval; NaN throughout where n is 0."""

    share: float
    low: float
    high: float
    hits: int
    n: int


def share_of(hits: int, n: int, level: float = 0.95) -> Share:
    """hits / n with its Wilson interval.

    Raises InputError as `wilson` does.
    """
    low, high = wilson(hits, n, level)
    return Share(hits / n if n else float("nan"), float(low), float(high), hits, n)


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share of successes, for every cell at once.

        (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n),   p = successes / n

    Args:
        successes, n: counts that broadcast against each other, 0 <= successes <= n.
        level: the coverage, between 0 and 1.

    Returns:
        Bounds in [0, 1]; NaN where n is 0.

    Does not show: anything about other prompts than those of the same kind; and it treats prompts
    as independent, so prompts that share an operand make it too narrow (`mean_interval` with groups
    does not).

    Raises:
        InputError: for counts that cannot be, or a level outside (0, 1).
    """
    z = NormalDist().inv_cdf((1 + checked_level(level)) / 2)
    k, total = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    if (total < 0).any() or (k < 0).any() or (k > total).any():
        raise InputError("successes must lie between 0 and n; were the two arguments swapped?")
    with np.errstate(invalid="ignore", divide="ignore"):
        p = k / total
        centre = p + z**2 / (2 * total)
        spread = z * np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
        scale = 1 + z**2 / total
        # At k = 0 and k = n the bound is exactly 0 and 1; rounding must not put p outside.
        low = np.where(k == 0, 0.0, (centre - spread) / scale)
        high = np.where(k == total, 1.0, (centre + spread) / scale)
    empty = total == 0
    return Interval(np.where(empty, np.nan, low), np.where(empty, np.nan, high))


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Newcombe's interval of the difference p₁ − p₂ of two shares over the same n rows.

        low  = p₁ − p₂ − √(d₁² − 2φ d₁e₂ + e₂²),   dᵢ = pᵢ − low Wilson bound of pᵢ
        high = p₁ − p₂ + √(e₁² − 2φ e₁d₂ + d₂²),   eᵢ = high Wilson bound of pᵢ − pᵢ

    φ is the correlation of the two over the rows, where positive with n/2 taken off the determinant
    of their 2×2 table, and 0 where one of them never varies (R. G. Newcombe 1998, Statistics in
    Medicine 17:2635, method 10). Unlike a bootstrap it has a width where all rows agree.

    Args:
        first, second: whether each row is a success, `[n]` in the same order.
        level: the coverage, between 0 and 1.

    Returns:
        Bounds in [-1, 1]; NaN for no rows.

    Does not show: anything about other rows than those of the same kind.

    Raises:
        InputError: for two lengths, or a level outside (0, 1).
    """
    x, y = np.asarray(first, bool), np.asarray(second, bool)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"rows come in pairs, a list of each; these have {x.shape} and {y.shape}")
    n = len(x)
    if not n:
        return Interval(np.asarray(np.nan), np.asarray(np.nan))
    p, q = x.mean(), y.mean()
    (low_p, high_p), (low_q, high_q) = wilson(x.sum(), n, level), wilson(y.sum(), n, level)
    margins = x.sum() * (~x).sum() * y.sum() * (~y).sum()
    same = float((x & y).sum() * (~x & ~y).sum() - (x & ~y).sum() * (~x & y).sum())
    phi = (max(same - n / 2, 0) if same > 0 else same) / np.sqrt(margins) if margins else 0.0

    def spread(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.sqrt(a**2 - 2 * phi * a * b + b**2))

    return Interval(p - q - spread(p - low_p, high_q - q), p - q + spread(high_p - p, q - low_q))


def checked_level(level: float) -> float:
    """`level`, or InputError where it is no coverage."""
    if not 0 < level < 1:
        raise InputError(f"level={level}: a coverage lies between 0 and 1, such as 0.95")
    return level

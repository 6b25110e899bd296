"""How sure a share is.

`interp.results.intervals` has the same for whole arrays; this room imports none above it.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

from interp.errors import InputError


class Share(NamedTuple):
    """A share with its interval; NaN throughout where n is 0."""

    share: float
    low: float
    high: float
    hits: int
    n: int


def wilson(hits: int, n: int, level: float = 0.95) -> Share:
    """Wilson's score interval (1927) of hits/n, prompts taken as independent.

    Raises InputError for counts that cannot be.
    """
    if not 0 <= hits <= n:
        raise InputError(f"hits must lie between 0 and n, not {hits} of {n}.")
    if n == 0:
        return Share(math.nan, math.nan, math.nan, 0, 0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, scale = hits / n, 1 + z**2 / n
    centre = share + z**2 / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if hits == 0 else (centre - spread) / scale
    high = 1.0 if hits == n else (centre + spread) / scale
    return Share(share, low, high, hits, n)

"""Division of the rows of a batch, or of a fixed set, among the draws of a mix."""

import numpy as np
from numpy.typing import NDArray


def shares(weights: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """`n` rows divided in proportion to the weights; the rounding remainder goes to the first."""
    counts = np.floor(weights / weights.sum() * n).astype(np.int64)
    counts[0] += n - counts.sum()
    return counts

"""Groups that an interval over problems resamples: operand values where they repeat, else equal
problems."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems, as_keys


class Resampling(NamedTuple):
    """Labels int64 [n, kinds] for `mean_interval`, and their name for captions."""

    groups: npt.NDArray[np.int64]
    over: str


def resampling(problems: Problems) -> Resampling:
    """Return the groups of dependent problems that a bootstrap resamples.

    If an operand's values occur twice or more on average, its values are resampled (each such
    operand is a kind of its own, and kinds cross). If there is no such operand, as with five random
    digits, equal problems form one group.
    """
    problem = _labels(problems.rows)
    kinds = [_labels(operand) for operand in problems.operands]
    repeating = [kind for kind in kinds if 2 * (kind.max() + 1) <= problem.max() + 1]
    if repeating:
        return Resampling(np.stack(repeating, axis=1), "operand values")
    return Resampling(problem[:, None], "distinct problems")


def _labels(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    return np.unique(as_keys(rows), return_inverse=True)[1].astype(np.int64)

"""Circular digit probe: is the number at a token read off a circle?

A bias-free linear map takes an activation to the unit circle, one angle 2πv/m for a digit in base m
(Levy and Geva, arXiv 2410.11781). Their held-out numbers are random; here values are held out, each
once: for single digits one digit is left out at a time. Base 11 is the control where numbers exceed
10: as many columns, no such digit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from interp.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FOLDS = 10
_PENALTY = 1e-3  # of the mean eigenvalue


def circular_accuracy(
    x: Floats, values: Ints, base: int, *, place: int = 0, seed: int = 0
) -> float:
    """Share of rows whose digit in `base` is read right, on values that the fit did not see.

    Args:
        x: activations [n, d]; no constant is added.
        values: the number of each row.
        base: 10, or 11 for the control.
        place: which digit, 0 the last.

    Raises:
        InputError: for fewer than three values.
    """
    every = np.unique(values)
    if len(every) < 3:
        raise InputError(f"{len(every)} different numbers: a circle needs at least three")
    order = np.random.default_rng(seed).permutation(every)
    folds = np.array_split(order, min(_FOLDS, len(every)))
    digits = (values // base**place) % base
    angle = 2 * np.pi * digits / base
    target = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    right = np.zeros(len(x), dtype=bool)
    for held in folds:
        test = np.isin(values, held)
        gram = x[~test].T @ x[~test]
        penalty = _PENALTY * np.trace(gram) / len(gram)
        w = np.linalg.solve(gram + penalty * np.eye(len(gram)), x[~test].T @ target[~test])
        got = x[test] @ w
        turn = np.arctan2(got[:, 1], got[:, 0]) * base / (2 * np.pi)
        right[test] = np.round(turn).astype(np.int64) % base == digits[test]
    return float(right.mean())

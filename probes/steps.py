"""The edit that gives a probe's reading another value, and random edits as long."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from interp.errors import InputError
from probes.fitted import FittedProbe
from probes.fitting import as_columns

Floats = npt.NDArray[np.float64]
Along = Literal["probe", "pattern"]

_NOTHING = 1e-6  # of a reading: what rounding alone makes it differ by


def wanted_reading(
    probe: FittedProbe, reading: Floats, values: Floats, new: Floats | None
) -> Floats:
    """What the map shall say [n, outputs]: of the new values, or (None) the mean of all rows.

    A real target's or an angle's reading is the value itself. A class's is the mean of its logits
    over the rows that have it.

    Raises InputError for a class that no row has.
    """
    if new is None:
        return np.tile(reading.mean(axis=0), (len(reading), 1))
    if probe.target.kind != "class":
        return as_columns(probe.target, new)
    out = np.empty_like(reading)
    for value in np.unique(new):
        rows = values == value
        if not rows.any():
            raise InputError(
                f"no prompt here has {probe.target.name} = {value:g}, so how it is read is not "
                "known: use more prompts, or another value"
            )
        out[new == value] = reading[rows].mean(axis=0)
    return out


def edit(probe: FittedProbe, X: Floats, reading: Floats, wanted: Floats, along: Along) -> Floats:
    """δ [n, d] with (x + δ)·W + b = wanted, along the probe's own weights or the data's pattern.

    probe      δ = (wanted − reading)·W⁺               the shortest step there is
    pattern    δ = (wanted − reading)·(WᵀΣW)⁺·WᵀΣ      Σ the covariance of x: the step that the
                                                       data take with the reading (Haufe 2014)
    """
    W = probe.weights
    if along == "probe":
        back = np.linalg.pinv(W, rcond=1e-6)
    elif along == "pattern":
        centred = X - X.mean(axis=0)
        if np.ptp(centred @ W, axis=0).max() <= _NOTHING * np.abs(X @ W).max(initial=1.0):
            raise InputError(
                f"every prompt here reads {probe.target.name} alike, so the data take no step with "
                "it: use more prompts, or along='probe'"
            )
        moved = (centred @ W).T @ centred / len(X)  # WᵀΣ
        back = np.linalg.pinv(moved @ W, rcond=1e-6, hermitian=True) @ moved
    else:
        raise InputError(f"unknown along={along!r}: choose 'probe' or 'pattern'")
    return np.asarray((wanted - reading) @ back)


def random_edit(delta: Floats, rng: np.random.Generator) -> Floats:
    """`delta` turned into a random subspace of its own dimension: every row keeps its norm."""
    left, sizes, _ = np.linalg.svd(delta, full_matrices=False)
    rank = max(1, int((sizes > 1e-9 * sizes[0]).sum()))
    turned = np.linalg.qr(rng.normal(size=(delta.shape[1], rank)))[0].T
    return np.asarray((left[:, :rank] * sizes[:rank]) @ turned)

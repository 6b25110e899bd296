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


def wanted_reading(probe: FittedProbe, reading: Floats, new: Floats | None) -> Floats:
    """What the map shall say [n, outputs]: of the new values, or (None) the mean of all rows.

    A real target's or an angle's reading is the value itself. A class's is the mean of its logits
    over the rows that have it among those the probe was fitted on.

    Raises InputError for a class that no such row has.
    """
    if new is None:
        return np.tile(reading.mean(axis=0), (len(reading), 1))
    if probe.target.kind != "class":
        return as_columns(probe.target, new)
    if unknown := sorted(set(new.tolist()) - set(probe.typical)):
        raise InputError(
            f"no prompt that the probe was fitted on has {probe.target.name} = {unknown[0]:g}, so "
            "how it is read is not known: fit on more prompts, or use another value"
        )
    return np.stack([probe.typical[value] for value in new.tolist()])


def edit(probe: FittedProbe, reading: Floats, wanted: Floats, along: Along) -> Floats:
    """δ [n, d] with (x + δ)·W + b = wanted, along the probe's own weights or the data's pattern.

    probe      δ = (wanted − reading)·W⁺               the shortest step there is
    pattern    δ = (wanted − reading)·(WᵀΣW)⁺·WᵀΣ      Σ the covariance of x in the rows it was
               fitted on: the step that the data take with the reading (Haufe 2014)
    """
    if along == "probe":
        back = np.linalg.pinv(probe.weights, rcond=1e-6)
    elif along == "pattern":
        back = probe.pattern
    else:
        raise InputError(f"unknown along={along!r}: choose 'probe' or 'pattern'")
    return np.asarray((wanted - reading) @ back)


def random_edit(delta: Floats, rng: np.random.Generator, X: Floats | None = None) -> Floats:
    """`delta` [n, d] turned into a random subspace of its own dimension: every row keeps its norm.

    The directions are drawn with the covariance of the activations X [m, d], as the data vary; all
    directions are alike without them. A step along a pattern is where the data vary much, and a
    model may hear such steps better than those in which nothing ever varies.
    """
    left, sizes, _ = np.linalg.svd(delta, full_matrices=False)
    rank = max(1, int((sizes > 1e-9 * sizes[0]).sum()))
    if X is None:
        drawn = rng.normal(size=(rank, delta.shape[1]))
    else:
        drawn = rng.normal(size=(rank, len(X))) @ (X - X.mean(axis=0))
    turned = np.linalg.qr(drawn.T)[0].T
    return np.asarray((left[:, :rank] * sizes[:rank]) @ turned)

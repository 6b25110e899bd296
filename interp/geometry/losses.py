"""Restricted and excluded loss of a modular adder (Nanda et al., arXiv 2301.05217).

For key frequencies k, P is the projection of a table over all pairs (a, b) on the 2|k| directions
cos(w_k(a + b)), sin(w_k(a + b)):

    restricted   the loss of P(x): what the waves alone do
    excluded     the loss of x − P(x): what is left without them

x are the logits, as in the paper, or the neurons behind the activation function, mapped to logits
by W_U W_out alone (Chughtai et al., arXiv 2302.03025): biases and the skip connection drop out.
The same authors' repository also has characters: x are the logits centred over answers, and P is
their projection on one direction a frequency, cos(w_k(a + b − c)).

Published code and figures differ in split, bias correction and whether frequencies are removed one
by one or together, so each is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from interp.errors import InputError
from interp.geometry.spectra import by_difference, over_pairs, sum_waves

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Frequencies = Literal["each", "together"]
Precision = Literal["float64", "float32"]


def cross_entropy(
    logits: npt.ArrayLike, mask: Mask | None = None, precision: Precision = "float64"
) -> float:
    """Mean −log softmax of the right answer over the pairs of `mask` (None: all), in nats.

    `logits` is [p, p, p] (a, b, c). float32 repeats published numbers that were taken in it: it has
    no value between 0 and 6e-8.
    """
    kind = np.float64 if precision == "float64" else np.float32
    x = np.asarray(logits, dtype=kind)
    pairs = np.indices(x.shape[:2])
    a, b = pairs[0], pairs[1]
    if mask is not None:
        a, b = a[mask], b[mask]
    if not a.size:
        raise InputError("no pair is left: give a mask of pairs [p, p] with at least one True")
    rows = x[a.ravel(), b.ravel()]
    rows = rows - rows.max(axis=1, keepdims=True)
    right = rows[np.arange(len(rows)), (a + b).ravel() % x.shape[2]]
    return float(np.mean(np.log(np.exp(rows).sum(axis=1)) - right))


def kept(logits: Floats, frequencies: npt.ArrayLike, *, bias_correction: bool = True) -> Floats:
    """Logits [p, p, p] of the waves alone; with `bias_correction` the mean over all pairs is that
    of the model again (per answer), as in the published restricted loss."""
    waves = over_pairs(sum_waves(logits, frequencies))
    if bias_correction:
        waves = waves + (logits - waves).mean(axis=(0, 1))
    return np.asarray(waves)


def removed(logits: Floats, frequencies: npt.ArrayLike, *, bias_correction: bool = False) -> Floats:
    """Logits [p, p, p] without the waves; the correction restores the mean over pairs."""
    rest = logits - over_pairs(sum_waves(logits, frequencies))
    if bias_correction:
        rest = rest + (logits - rest).mean(axis=(0, 1))
    return np.asarray(rest)


def neuron_parts(
    neurons: npt.NDArray[np.float32], direct: Floats, frequencies: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Logits [p, p, p] of the neurons' waves alone and of the neurons without them.

    `neurons` is [p, p, m], `direct` W_U W_out [m, p].
    """
    p = len(neurons)
    waves = over_pairs(sum_waves(neurons, frequencies) @ direct)
    whole = (neurons.reshape(p * p, -1).astype(float) @ direct).reshape(p, p, -1)
    return waves, whole - waves


def characters(logits: Floats, frequencies: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Logits [p, p, p] on the characters cos(w_k(a + b − c)) alone, and without them; both are of
    the logits centred over answers.

    P(x) = Σ_k A_k cos(w_k(a + b − c)),  A_k = Σ x cos(w_k(a + b − c)) / Σ cos²(w_k(a + b − c))
    """
    centred = logits - logits.mean(axis=2, keepdims=True)
    angle = 2 * np.pi / len(logits) * np.arange(len(logits))
    waves = np.cos(np.atleast_1d(frequencies)[:, None] * angle)
    own = (waves @ by_difference(centred)) / (len(logits) * (waves**2).sum(axis=1))
    n = np.arange(len(logits))
    found = over_pairs((own @ waves)[(n[:, None] - n) % len(logits)])
    return found, centred - found


def split_mask(train: npt.ArrayLike | None, p: int) -> Mask | None:
    """The training pairs as bool [p, p]: a mask of that shape, a flat one in the order a·p + b, or
    a list of pairs (a, b); None stays None. Raises InputError for anything else."""
    if train is None:
        return None
    found = np.asarray(train)
    if found.dtype == bool and found.size == p * p:
        mask = found.reshape(p, p)
    elif found.ndim == 2 and found.shape[1] == 2 and np.issubdtype(found.dtype, np.integer):
        if (found < 0).any() or (found >= p).any():
            raise InputError(f"training pairs lie between 0 and {p - 1}")
        mask = np.zeros((p, p), dtype=bool)
        mask[found[:, 0], found[:, 1]] = True
    else:
        raise InputError(
            f"train must be a mask of pairs, bool [{p}, {p}], or a list of pairs (a, b), not an "
            f"array of shape {list(found.shape)} and type {found.dtype}"
        )
    if mask.all() or not mask.any():
        raise InputError("train must leave pairs on both sides: it has all of them, or none")
    return mask


def groups_of(keys: Sequence[int], frequencies: Frequencies) -> list[tuple[int, ...]]:
    """The sets of frequencies that are removed: each by itself, or all at once."""
    return [(int(k),) for k in keys] if frequencies == "each" else [tuple(int(k) for k in keys)]

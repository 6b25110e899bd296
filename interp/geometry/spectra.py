"""Discrete Fourier transforms over residues, in an orthonormal real basis.

For residues n = 0 … p − 1 and k = 1 … (p − 1)/2, the rows of F are

    1/√p,   cos(2πkn/p)·√(2/p),   sin(2πkn/p)·√(2/p),   and for even p  (−1)ⁿ/√p

so F Fᵀ = 1 and no scale is lost: squares of coefficients add up to squares of values. The order of
rows is that of 2301.05217's code (constant, cos 1, sin 1, cos 2, …). cos(w(a + b)) and
sin(w(a + b)) over all pairs are (cos·cos − sin·sin)/√2 and (sin·cos + cos·sin)/√2 of these rows.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interp.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CONSTANT = 1e-11  # of a unit's mean square: a spread below it is rounding


def frequencies_of(p: int) -> Ints:
    """The frequency of each basis row, [p]: 0, 1, 1, 2, 2, …, and p/2 once for an even p."""
    return (np.arange(p) + 1) // 2


def n_frequencies(p: int) -> int:
    """Number of frequencies above 0."""
    return p // 2


@cache
def basis(p: int) -> Floats:
    """The orthonormal basis F [p, p], a row a wave, read-only. Raises InputError for p below 2."""
    if p < 2:
        raise InputError(f"a Fourier basis needs at least two residues, not {p}")
    k = frequencies_of(p)[:, None]
    angle = 2 * np.pi * ((k * np.arange(p)) % p) / p
    sine = (np.arange(p) % 2 == 0)[:, None] & (k > 0)
    rows = np.where(sine, np.sin(angle), np.cos(angle))
    found = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found.setflags(write=False)
    return np.asarray(found)


def dft(x: npt.ArrayLike) -> Floats:
    """Coefficients F x along the first axis, of the shape of x."""
    values = np.asarray(x, dtype=float)
    flat = values.reshape(len(values), -1)
    return np.asarray((basis(len(values)) @ flat).reshape(values.shape))


def power(x: npt.ArrayLike) -> Floats:
    """Squared coefficients along the first axis summed by frequency: [p // 2 + 1, …]."""
    squares = dft(x) ** 2
    p = len(squares)
    out = np.zeros((p // 2 + 1, *squares.shape[1:]))
    np.add.at(out, frequencies_of(p), squares)
    return out


def dft2(x: npt.ArrayLike) -> Floats:
    """Coefficients F x Fᵀ over the first two axes (a, then b) of [p, p, …]."""
    values = np.asarray(x, dtype=float)
    p = _square(values)
    first = dft(values)
    second = basis(p) @ first.reshape(p, p, -1)  # broadcast over the first axis
    return np.asarray(second.reshape(values.shape))


def power2(x: npt.ArrayLike) -> Floats:
    """Squared 2-D coefficients by the frequencies of a and of b, summed over all else:
    [p, p, …] → [p // 2 + 1, p // 2 + 1]. The entries add up to the squares of x.

    A wave of a + b has a's frequency and b's alike; so has one of a − b.
    """
    values = np.asarray(x)
    values = values if values.dtype == np.float32 else values.astype(float)
    p = _square(values)
    rows = basis(p).astype(values.dtype)
    first = (rows @ values.reshape(p, -1)).reshape(p, p, -1)
    squares = np.stack([((rows @ one) ** 2).sum(axis=1, dtype=float) for one in first])
    k = frequencies_of(p)
    out = np.zeros((p // 2 + 1, p // 2 + 1))
    np.add.at(out, (k[:, None], k[None, :]), squares)
    return out


class Clusters(NamedTuple):
    """The best single frequency of each unit.

    frequency   int[m], −1 for a constant unit
    explained   its share of the unit's variance over all pairs, NaN for a constant unit
    shares      [p // 2, m], the share of every frequency 1, 2, …
    """

    frequency: Ints
    explained: Floats
    shares: Floats


def clusters(acts: npt.ArrayLike) -> Clusters:
    """Frequency by frequency, the share of each unit's variance in {1, cos, sin} × {1, cos, sin}.

    The rule of 2301.05217's code, which looks at k = 1 … p//2 − 1; here the last frequency takes
    part too. `acts` is [p, p, m]. Only the coefficients that the rule reads are computed: the first
    transform is dense, the second takes three rows a frequency.

    Does not show: that two units of one frequency do the same with it.
    """
    values = np.asarray(acts)
    values = values if values.dtype == np.float32 else values.astype(float)
    p = _square(values)
    rows = basis(p).astype(values.dtype)
    flat = values.reshape(p, p, -1)
    mean = (np.ones(p * p, values.dtype) @ flat.reshape(p * p, -1)) / (p * p)
    flat = flat - mean  # first, or a large mean would drown the rest
    first = (rows @ flat.reshape(p, -1)).reshape(flat.shape)  # in the precision of the pass
    total = np.einsum("abm,abm->am", flat, flat).sum(axis=0, dtype=float)
    shares = _blocks(rows, first)
    constant = total <= _CONSTANT * (total + p * p * mean.astype(float) ** 2)
    shares = np.where(constant, np.nan, shares / np.where(constant, 1.0, total))
    best = np.where(constant, -1, np.argmax(np.where(constant, 0.0, shares), axis=0) + 1)
    explained = np.where(constant, np.nan, np.max(np.where(constant, 0.0, shares), axis=0))
    return Clusters(best.astype(np.int64), np.asarray(explained), np.asarray(shares))


def _blocks(rows: npt.NDArray[Any], first: npt.NDArray[Any]) -> Floats:
    """Sum of squares in {1, cos, sin} × {1, cos, sin} without the constant, [p // 2, m], from the
    waves F [p, p] and values transformed over a, [p, p, m]."""
    p, _, m = first.shape
    pairs, stop = (p - 1) // 2, p - (p % 2 == 0)  # an even p has a last row of its own
    waves = rows[1:stop].reshape(pairs, 2, p)
    own = np.concatenate([np.broadcast_to(rows[0], (pairs, 1, p)), waves], axis=1)
    inner = own[:, None] @ first[1:stop].reshape(pairs, 2, p, m)  # [k, wave of a, wave of b, m]
    edge = (rows @ first[0]).astype(float) ** 2  # constant over a
    found = np.empty((n_frequencies(p), m))
    found[:pairs] = (inner.astype(float) ** 2).sum(axis=(1, 2))
    found[:pairs] += edge[1:stop].reshape(pairs, 2, m).sum(axis=1)
    if stop < p:
        last = (rows[[0, -1]] @ first[-1]).astype(float) ** 2
        found[-1] = edge[-1] + last.sum(axis=0)
    return found


def by_sum(x: npt.ArrayLike) -> Floats:
    """Mean over all pairs with the same a + b mod p: [p, p, …] → [p, …]."""
    values = np.asarray(x, dtype=float)
    p = _square(values)
    flat = values.reshape(p, p, -1)
    out = np.zeros((p, flat.shape[-1]))
    s = np.arange(p)
    for a in range(p):
        out += flat[a, (s - a) % p]
    return np.asarray((out / p).reshape(p, *values.shape[2:]))


def by_difference(logits: Floats) -> Floats:
    """Sum over answers of the mean logit of each residue a + b − c: [p, p, p] → [p]."""
    mean = by_sum(logits)
    n = np.arange(len(mean))
    return np.asarray(mean[(n[:, None] + n) % len(mean), n[None, :]].sum(axis=1))


def sum_waves(x: npt.ArrayLike, frequencies: npt.ArrayLike) -> Floats:
    """The part of x [p, p, …] along cos(w_k(a + b)) and sin(w_k(a + b)), summed over k.

    Two directions a frequency, 2·|k| in all: not the outer product of the key rows, which keeps
    (2|k| + 1)² of them. The part depends on a + b alone, so it is [p (the sum), …], to be read at
    (a + b) mod p.
    """
    mean = by_sum(x)
    p = len(mean)
    own = basis(p)[np.isin(frequencies_of(p), np.asarray(frequencies, dtype=int))]
    flat = mean.reshape(p, -1)
    return np.asarray((own.T @ (own @ flat)).reshape(mean.shape))


def over_pairs(by_residue: npt.ArrayLike) -> Floats:
    """Values of the sum's residue at every pair: [p, …] → [p, p, …]."""
    values = np.asarray(by_residue, dtype=float)
    n = np.arange(len(values))
    return np.asarray(values[(n[:, None] + n) % len(values)])


def check_frequencies(frequencies: npt.ArrayLike, p: int) -> Ints:
    """`frequencies` as distinct integers, ascending. InputError outside 1 … p // 2."""
    found = np.atleast_1d(np.asarray(frequencies))
    if not found.size or not np.issubdtype(found.dtype, np.integer):
        raise InputError(f"name at least one frequency as a whole number: 1 to {p // 2}")
    if (found < 1).any() or (found > p // 2).any():
        raise InputError(
            f"frequency {found[(found < 1) | (found > p // 2)][0]} does not exist modulo {p}: "
            f"use 1 to {p // 2} (k and {p} − k are the same wave)"
        )
    return np.unique(found).astype(np.int64)


def _square(values: Floats) -> int:
    if values.ndim < 2 or values.shape[0] != values.shape[1]:
        raise InputError(
            f"values over all pairs must be [p, p, …], not {list(values.shape)}: run the whole grid"
        )
    return int(values.shape[0])

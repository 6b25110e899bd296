"""Residues as angles."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.errors import InputError
from probes.estimators.inputs import Floats


def on_circle(residues: ArrayLike, modulus: int, frequency: int = 1) -> Floats:
    """(cos θ, sin θ) [n, 2] with θ = 2π·frequency·residue/modulus.

    For a modulus of 2 the sine is always 0: such a target (parity) is one column, not two.
    """
    _check(modulus, frequency)
    residues = np.asarray(residues)
    if not np.isin(residues, np.arange(modulus)).all():
        raise InputError(
            f"residues must be whole numbers from 0 to {modulus - 1}; take them modulo {modulus}"
        )
    turns = (residues.astype(np.int64) * frequency % modulus) / modulus
    return np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=-1)


def read_circle(points: ArrayLike, modulus: int, frequency: int = 1) -> NDArray[np.int64]:
    """The residue [n] whose angle is nearest that of each point [n, 2]; its radius is not used."""
    _check(modulus, frequency)
    points = np.asarray(points, dtype=np.float64)
    turns = np.arctan2(points[..., 1], points[..., 0]) / (2 * np.pi)
    steps = np.rint(turns * modulus).astype(np.int64)
    return steps * pow(frequency, -1, modulus) % modulus


def _check(modulus: int, frequency: int) -> None:
    if modulus < 2 or modulus != int(modulus):
        raise InputError(f"modulus {modulus} cannot be: a whole number from 2 up")
    if gcd(frequency, modulus) != 1:
        raise InputError(
            f"frequency {frequency} gives several residues of {modulus} one angle: choose one that "
            f"shares no divisor with {modulus}"
        )

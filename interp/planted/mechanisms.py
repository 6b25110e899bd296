"""The available mechanisms, their sizes, and the random choice among them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np

from interp.errors import InputError
from interp.planted.addition import addition, careless
from interp.planted.circuit import Circuit, Sizes, assemble
from interp.planted.column import column
from interp.planted.lookahead import lookahead, rounds
from interp.planted.modular import MODULI, USUAL, modular
from interp.planted.program import Family, Program
from interp.planted.relay import relay
from interp.planted.waiting import early, waiting

MOST_LAYERS = 8

Mechanism = Callable[[np.random.Generator, Sizes], Circuit]


@dataclass(frozen=True)
class _Kind:
    """A mechanism and its possible sizes; `least` is by number of digits."""

    mechanism: Mechanism
    digits: tuple[int, ...]
    least: Callable[[int], int]


def _two(digits: int) -> int:
    return 2


def _one_more(digits: int) -> int:
    return digits + 1


_KINDS = {
    "addition": _Kind(addition, tuple(range(1, 13)), _two),
    "modular": _Kind(modular, (), _two),
    "waiting": _Kind(waiting, (1, 2), _one_more),
    "early": _Kind(early, (1, 2), _one_more),
    "column": _Kind(column, (2,), _two),
    "careless": _Kind(careless, tuple(range(2, 13)), _two),
    "relay": _Kind(relay, (1,), _two),
    "lookahead": _Kind(lookahead, tuple(range(1, 13)), lambda digits: rounds(digits) + 2),
}


def kinds() -> tuple[str, ...]:
    """Names of the available mechanisms."""
    return tuple(_KINDS)


def program(
    kind: str,
    seed: int,
    layers: int | None,
    family: str | None,
    digits: int | None,
    modulus: int | None,
) -> Program:
    """The program of these choices; None means drawn from the seed.

    Raises InputError for sizes that the mechanism does not support.
    """
    if kind not in _KINDS:
        raise InputError(f"unknown kind of planted model {kind!r}: choose {', '.join(_KINDS)}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be a whole number from 0 on, not {seed!r}")
    known = _KINDS[kind]
    rng = np.random.default_rng([int(seed), 0, list(_KINDS).index(kind)])
    n_digits = _digits(rng, kind, known, digits)
    sizes = Sizes(
        layers=_layers(rng, kind, known.least(n_digits), layers),
        family=_family(rng, family),
        digits=n_digits,
        modulus=_modulus(rng, kind, modulus),
    )
    return assemble(kind, int(seed), known.mechanism(rng, sizes))


def _digits(rng: np.random.Generator, kind: str, known: _Kind, digits: int | None) -> int:
    if not known.digits:
        if digits is not None:
            raise InputError(f"a planted {kind!r} model has no digits to choose: give modulus=")
        return 0
    usual = known.digits[:6]  # of up to twelve
    if digits is None:
        return int(rng.choice(usual))
    if digits not in known.digits:
        raise InputError(
            f"a planted {kind!r} model cannot have digits={digits!r}: choose from "
            f"{known.digits[0]} to {known.digits[-1]}"
        )
    return int(digits)


def _layers(rng: np.random.Generator, kind: str, least: int, layers: int | None) -> int:
    if layers is None:
        return int(rng.integers(least, MOST_LAYERS + 1))
    if isinstance(layers, bool) or not isinstance(layers, int | np.integer):
        raise InputError(f"layers must be a whole number, not {layers!r}")
    if not least <= layers <= MOST_LAYERS:
        raise InputError(
            f"a planted {kind!r} model of this size needs {least} to {MOST_LAYERS} layers, not "
            f"{layers}: choose layers={min(max(layers, least), MOST_LAYERS)}, or leave it out"
        )
    return int(layers)


def _family(rng: np.random.Generator, family: str | None) -> Family:
    choices: tuple[Family, ...] = get_args(Family)
    if family is None:
        return choices[int(rng.integers(len(choices)))]
    for choice in choices:
        if family == choice:
            return choice
    raise InputError(f"no planted models of family {family!r}: choose {' or '.join(choices)}")


def _modulus(rng: np.random.Generator, kind: str, modulus: int | None) -> int:
    if kind != "modular":
        if modulus is not None:
            raise InputError(f"a planted {kind!r} model has no modulus: leave it out")
        return 0
    if modulus is None:
        return int(rng.choice(USUAL))
    if modulus not in MODULI:
        known = ", ".join(map(str, MODULI))
        raise InputError(f"modulus={modulus!r} cannot be planted: choose a prime among {known}")
    return int(modulus)

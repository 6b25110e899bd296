"""Random generators from seeds. The global random state is left alone."""

import numpy as np

from interp.errors import InputError


def generator(seed: int) -> np.random.Generator:
    """A new random generator. Raises InputError unless the seed is a whole number ≥ 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, not {seed!r}")
    return np.random.default_rng(seed)


def whole(n: object) -> int:
    """A sample's size. Raises InputError unless n is a whole number ≥ 1."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"a sample needs n ≥ 1 problems, a whole number, not {n!r}")
    return int(n)


def step_seed(seed: int, step: int, purpose: int = 0) -> int:
    """An independent seed for one purpose at one step of one run. Raises InputError as `generator`
    does."""
    generator(seed)
    return int(np.random.SeedSequence((seed, step, purpose)).generate_state(1, np.uint64)[0])

"""Hewitt and Liang's control task (1909.03368): a random label for each input type.

An input type is here a value of the digits that the target is made from. A probe can learn the
labels of types that it was fitted on and of no others, so the control is scored on the held-out
rows whose type is among the training rows, and says nothing where a split holds the types out:
split="combination" always does, and the default one for facts about a whole number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems, as_keys
from probes.needs import own_digits
from probes.splits import Split, digit_values
from probes.targets import Target

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def type_digits(problems: Problems, target: Target) -> tuple[str, ...]:
    """The digits whose values are the input types; none where a target needs none."""
    digits = own_digits(problems.task, target.name)
    return digits or tuple(sorted(name for name in target.needs if not name.startswith("op")))


def input_types(problems: Problems, target: Target, values: Floats) -> Ints:
    """A number for the input type of each problem, [n]; the target's own `values` where it needs
    no digit."""
    digits = type_digits(problems, target)
    keys = as_keys(digit_values(problems, digits)) if digits else values
    return np.asarray(np.unique(keys, return_inverse=True)[1].ravel(), dtype=np.int64)


def control_labels(types: Ints, values: Floats, seed: int) -> Floats:
    """A value of the target, drawn at random, for each type, [n]."""
    rng = np.random.default_rng([seed, 2])
    return np.asarray(rng.choice(values, size=int(types.max()) + 1)[types])


def recurring(types: Ints, split: Split) -> npt.NDArray[np.bool_]:
    """Held-out rows whose type the training rows have, [held-out rows]."""
    return np.isin(types[split.test], types[split.train])

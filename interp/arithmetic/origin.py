"""Origin of problems: the draw from their task, stored in `Problems.origin`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Origin:
    """The draw that reproduces exactly these problems.

    method   "sample" (`Task.sample`), "grid" (`Task.grid`), "held_out" (`Model.held_out`) or
             "mixed" (the sample of `interp.behaviour.doctor`)
    n        requested number; a grid and held-out problems may be fewer
    options  of the sampler, its name among them where it is not "uniform"
    split    the `Split` of held-out problems
    """

    method: Literal["sample", "grid", "held_out", "mixed"]
    n: int
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    split: object = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "seed", int(self.seed))

"""How problems were drawn from their task: what `Problems.origin` holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Origin:
    """The draw that gives exactly these problems again.

    method   "sample" (`Task.sample`), "grid" (`Task.grid`), "held_out" (`Model.held_out`) or
             "mixed" (the sample of `interp.behaviour.doctor`)
    n        how many were wanted; a grid and held-out problems may be fewer
    options  of the sampler, its name among them where it is not "uniform"
    split    the `Split` that the problems were held out by
    """

    method: Literal["sample", "grid", "held_out", "mixed"]
    n: int
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    split: object = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "seed", int(self.seed))

"""The interface between the training loop and a method."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from interp.arithmetic.problems import Problems
from interp.training.rows import Encoder, Rows


class Setting(Protocol):
    """The fields of a Recipe that objectives read."""

    @property
    def task(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def n_layers(self) -> int: ...
    @property
    def n_heads(self) -> int: ...
    @property
    def d_model(self) -> int: ...
    @property
    def seed(self) -> int: ...


class Step(NamedTuple):
    """Where a training run is: the step about to be taken, of how many, and a seed of its own.

    logged   (step, training loss) of each earlier step that was logged. With it a method can follow
             what has been learnt, and a resumed run still does what an unbroken one would
    """

    number: int
    steps: int
    seed: int
    logged: Sequence[tuple[int, float]] = ()

    @property
    def progress(self) -> float:
        """0 at the first step, below 1 at the last."""
        return self.number / self.steps


class Losses(NamedTuple):
    """The loss of one batch and what it is made of.

    total    scalar, what is minimised
    digits   float [n, D], cross-entropy (nats) of each answer role; NaN where a row has none
    correct  bool [n, D], whether the most likely token is the right one
    terms    the parts of the total by name, for the log
    """

    total: Tensor
    digits: Tensor
    correct: Tensor
    terms: dict[str, Tensor]


@dataclass(frozen=True)
class Objective(ABC):
    """A training method as a value: comparable, and written into the recipe's JSON."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The kind and every setting."""
        return {"kind": self.kind, **asdict(self)}

    @abstractmethod
    def check(self, recipe: Setting) -> None:
        """Raise InputError where the recipe's task, format or model does not suit this method."""

    def final_format(self, recipe: Setting) -> str:
        """The format that the finished model answers in, and is scored in."""
        return recipe.format

    def parameters(self, recipe: Setting) -> dict[str, torch.nn.Parameter]:
        """Further parameters that are trained beside the model's and not shipped with it."""
        return {}

    def rows(self, encoder: Encoder, problems: Problems, step: Step) -> Rows:
        """The rows of one step's problems: tokens, and a mask of the learnt ones."""
        return encoder(problems)

    def restarts_optimiser(self, recipe: Setting, step: Step) -> bool:
        """True if the optimiser's moments are cleared before this step."""
        return False

    @abstractmethod
    def losses(
        self,
        model: Any,
        extra: dict[str, torch.nn.Parameter],
        rows: Rows,
        step: Step,
        offsets: Tensor | None = None,
    ) -> Losses:
        """The loss of a batch, differentiable. `offsets` are those of `forward`."""

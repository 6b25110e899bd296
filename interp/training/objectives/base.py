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
    """The next step of a training run, the number of steps, and the step's seed.

    logged   (step, training loss) of each earlier logged step, by which a method can follow
             progress; a resumed run gets the same values as an unbroken one
    """

    number: int
    steps: int
    seed: int
    logged: Sequence[tuple[int, float]] = ()

    @property
    def progress(self) -> float:
        """Share of the steps already taken: 0 at the first step, below 1 at the last."""
        return self.number / self.steps


class Losses(NamedTuple):
    """The loss of one batch and its parts.

    total    scalar, the training loss
    digits   float [n, D], cross-entropy (nats) of each answer role; NaN where a row has none
    correct  bool [n, D], whether the argmax token is right
    terms    the terms of the total by name, for the log
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
        """JSON values of the kind and every setting."""
        return {"kind": self.kind, **asdict(self)}

    @abstractmethod
    def check(self, recipe: Setting) -> None:
        """Raise InputError if the recipe's task, format or model does not suit this method."""

    def final_format(self, recipe: Setting) -> str:
        """The format in which the finished model answers and is scored."""
        return recipe.format

    def parameters(self, recipe: Setting) -> dict[str, torch.nn.Parameter]:
        """Additional trained parameters, which do not ship with the model."""
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

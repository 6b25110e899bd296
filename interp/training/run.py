"""The state of a training run between two steps, and one optimiser step.

The state is the weights, the optimiser's moments, the log and a step number; the batch of a step
follows from (seed, step). Subclasses: a small model from random weights
(`run_state.TrainingRun`), or an adapter on a language model (`adapters.run.AdapterRun`).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from interp.errors import ModelError
from interp.training.card import circumstances
from interp.training.checkpoint import Checkpoint, save_checkpoint
from interp.training.log_rows import COLUMNS, Row
from interp.training.optimiser import Optimiser, learning_rate

REMEDY = (
    "train into the same folder with a lower learning_rate, a longer warmup, a lower clip or "
    "precision='float32' (--set learning_rate=…): it goes on from the last checkpoint, where there "
    "is one, and the card tells of the change"
)


@dataclass(frozen=True)
class Validation:
    """Validation loss and accuracy after `step` steps, also by answer role.

    `by_digit` is by task for an adapter, whose answers have several widths.
    """

    step: int
    loss: float
    exact: float
    by_digit: dict[str, float]


class Batch(NamedTuple):
    """The batch of one step, with its loss.

    total   scalar, differentiable: the training loss
    losses  float [n, D], cross-entropy of each answer token, 0 where a row has none
    text    the problem of a row, for error messages
    log     the log rows of this batch, with or without gradients
    """

    total: Tensor
    losses: Tensor
    text: Callable[[int], str]
    log: Callable[[bool], list[Row]]


@dataclass
class Run(ABC):
    """Base of training runs. `trained` maps names to the trained parameters; `masks` are 0 at
    frozen entries of a parameter."""

    recipe: Any
    model: Any
    tokenizer: Any
    trained: dict[str, torch.nn.Parameter]
    optimiser: Optimiser
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    step: int = 0
    log: list[Row] = field(default_factory=list)
    earlier_log: pd.DataFrame | None = None
    changes: list[Mapping[str, Any]] = field(default_factory=list)
    started_from: Mapping[str, Any] | None = None
    _earlier: tuple[float, float] = (0.0, 0.0)
    _begin: tuple[float, float] = field(
        default_factory=lambda: (time.monotonic(), time.process_time())
    )

    @abstractmethod
    def batch(self) -> Batch:
        """Draw the batch of this step and run the forward pass."""

    @abstractmethod
    def validate(self) -> Validation:
        """Score validation problems, log the result and return it."""

    @abstractmethod
    def save_model(self, folder: Path) -> None:
        """Write the model for `interp.load`, without card and log."""

    @abstractmethod
    def card(self, stopped: str, weight_hash: str, minutes: tuple[float, float]) -> Any:
        """The card of the current model, measured on held-out problems."""

    def card_fields(
        self, stopped: str, weight_hash: str, minutes: tuple[float, float]
    ) -> dict[str, Any]:
        """The unmeasured fields common to all cards."""
        return {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "recipe": self.recipe.to_json(),
            "stopped": stopped,
            "steps": self.step,
            "weight_hash": weight_hash,
            "wall_minutes": minutes[0],
            "cpu_minutes": minutes[1],
            "threads": torch.get_num_threads(),
            "changes": self.changes,
            "started_from": self.started_from,
            **circumstances(),
        }

    def take_step(self) -> None:
        """One optimiser step: draw, forward, log, backward, clip, update.

        Raises ModelError, naming the batch, for a non-finite loss or gradient.
        """
        recipe, step = self.recipe, self.step
        batch = self.batch()
        if not torch.isfinite(batch.total):
            raise ModelError(_not_a_number("the loss", step, batch))
        gradients = recipe.gradients_every is not None and step % recipe.gradients_every == 0
        if gradients or step % recipe.log_every == 0:
            self.log += batch.log(gradients)
        self.optimiser.zero_grad()
        batch.total.backward()
        for name, mask in self.masks.items():
            if (gradient := self.trained[name].grad) is not None:
                gradient.mul_(mask)
        norm = torch.nn.utils.clip_grad_norm_(self.trained.values(), recipe.clip)
        if not torch.isfinite(norm):
            raise ModelError(_not_a_number("the gradient", step, batch))
        self.optimiser.step(learning_rate(recipe, step))
        self.step += 1

    @property
    def wall_seconds(self) -> float:
        """Wall time of this run so far, earlier calls included."""
        return self._earlier[0] + time.monotonic() - self._begin[0]

    @property
    def cpu_seconds(self) -> float:
        """CPU time of this run over all threads, earlier calls included."""
        return self._earlier[1] + time.process_time() - self._begin[1]

    def log_frame(self) -> pd.DataFrame:
        """The training log so far, as a tidy table."""
        new = pd.DataFrame(self.log, columns=list(COLUMNS))
        if self.earlier_log is None or self.earlier_log.empty:
            return new
        return (
            pd.concat([self.earlier_log, new], ignore_index=True) if len(new) else self.earlier_log
        )

    def check_weights(self) -> None:
        """Raise ModelError for a non-finite weight."""
        broken = [name for name, p in self.trained.items() if not torch.isfinite(p).all()]
        if broken:
            raise ModelError(f"{broken[0]} is no number after step {self.step}: {REMEDY}")

    def save(self, out: Path) -> None:
        """Write a checkpoint. Raises ModelError for a non-finite weight, before writing."""
        self.check_weights()
        save_checkpoint(
            out,
            Checkpoint(
                recipe=self.recipe,
                step=self.step,
                weights={name: p.detach().contiguous() for name, p in self.trained.items()},
                moments=self.optimiser.moments(),
                log=self.log_frame(),
                wall_seconds=self.wall_seconds,
                cpu_seconds=self.cpu_seconds,
                changes=self.changes,
                started_from=self.started_from,
            ),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint of this recipe, up to changes in `CHANGEABLE` fields."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(checkpoint.weights[name])
        self.optimiser.restore(checkpoint.moments)
        self.step = checkpoint.step
        self.earlier_log = checkpoint.log
        self.changes = list(checkpoint.changes)
        self.started_from = checkpoint.started_from
        self._earlier = (checkpoint.wall_seconds, checkpoint.cpu_seconds)


def _not_a_number(what: str, step: int, batch: Batch) -> str:
    n = len(batch.losses)
    bad = ~torch.isfinite(batch.losses).all(1)
    which = bad.nonzero().flatten().tolist() or list(range(n))
    shown = ", ".join(batch.text(row) for row in which[:3])
    return (
        f"{what} is no number at step {step}, batch rows {which[0]} to {which[-1]} ({len(which)} "
        f"of {n}: {shown}, …): {REMEDY}"
    )

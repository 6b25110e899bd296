"""The state of a training run between two steps, and one optimiser step.

A run is its weights, the optimiser's moments, the log and a step number; what a step learns from
follows from (seed, step). What that is, a subclass says: a small model from random weights
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
    """How the run stands: after `step` steps, on validation problems and by answer role.

    Of an adapter `by_digit` is by task, since its answers are of several widths.
    """

    step: int
    loss: float
    exact: float
    by_digit: dict[str, float]


class Batch(NamedTuple):
    """The batch of one step, with its loss.

    total   scalar, differentiable: what is minimised
    losses  float [n, D], cross-entropy of each answer token, 0 where a row has none
    text    the problem of a row, to name it in an error
    log     the log's rows of this batch, with gradients or without
    """

    total: Tensor
    losses: Tensor
    text: Callable[[int], str]
    log: Callable[[bool], list[Row]]


@dataclass
class Run(ABC):
    """`trained` holds every parameter that the optimiser moves, by name; `masks` are 0 where a
    number of one stays as it is."""

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
        """Draw what this step learns from and put it through the model."""

    @abstractmethod
    def validate(self) -> Validation:
        """Score validation problems, and log it."""

    @abstractmethod
    def save_model(self, folder: Path) -> None:
        """Write what `interp.load` opens, without card and log."""

    @abstractmethod
    def card(self, stopped: str, weight_hash: str, minutes: tuple[float, float]) -> Any:
        """The card of the model as it is now, measured on held-out problems."""

    def card_fields(
        self, stopped: str, weight_hash: str, minutes: tuple[float, float]
    ) -> dict[str, Any]:
        """The fields of every kind of card that are not measured."""
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

        Raises ModelError, naming the batch, where the loss or a gradient is no number.
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
        """Time in this run so far, earlier calls included."""
        return self._earlier[0] + time.monotonic() - self._begin[0]

    @property
    def cpu_seconds(self) -> float:
        """Processor time, over all threads, earlier calls included."""
        return self._earlier[1] + time.process_time() - self._begin[1]

    def log_frame(self) -> pd.DataFrame:
        """The training log so far, tidy."""
        new = pd.DataFrame(self.log, columns=list(COLUMNS))
        if self.earlier_log is None or self.earlier_log.empty:
            return new
        return (
            pd.concat([self.earlier_log, new], ignore_index=True) if len(new) else self.earlier_log
        )

    def check_weights(self) -> None:
        """Raise ModelError where a weight is no number."""
        broken = [name for name, p in self.trained.items() if not torch.isfinite(p).all()]
        if broken:
            raise ModelError(f"{broken[0]} is no number after step {self.step}: {REMEDY}")

    def save(self, out: Path) -> None:
        """Write a checkpoint. Raises ModelError where a weight is no number, and writes nothing."""
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
        """Go on from a checkpoint of this recipe, or of one that differs as far as it may."""
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

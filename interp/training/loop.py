"""The training loop, shared by all methods and models.

The state between two steps is the weights, the optimiser's moments, the log and a step number; the
problems of a step follow from (seed, step). So a killed and resumed run gives the weights of an
unbroken one, to the bit on one thread (several threads may add in another order).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from interp.engine.requests import Cancel
from interp.errors import Cancelled, InputError
from interp.training.adapters.card import AdapterCard
from interp.training.adapters.recipe import AdapterRecipe
from interp.training.adapters.run import AdapterRun
from interp.training.card import Card
from interp.training.checkpoint import checkpoint_folders, load_checkpoint
from interp.training.export_model import finish, finished, forget, save_series
from interp.training.half_products import half_products
from interp.training.run import Run, Validation
from interp.training.run_state import TrainingRun
from interp.training.saved_recipes import AnyRecipe
from interp.training.schedule import multiplies_in_bfloat16


@dataclass(frozen=True)
class Trained:
    """The outcome of a call of `train`.

    stopped  "steps": all steps taken; "target": target accuracy reached; "budget": time limit
             reached, and a further call continues
    card     of the finished model in `folder`; None after "budget", which leaves only a checkpoint
    """

    recipe: AnyRecipe
    folder: Path
    step: int
    stopped: str
    card: Card | AdapterCard | None


def start(recipe: AnyRecipe, *, going_on: bool = False) -> Run:
    """A run before its first step, or with `going_on` before a checkpoint is restored."""
    kind = AdapterRun if isinstance(recipe, AdapterRecipe) else TrainingRun
    return kind.start(recipe, going_on=going_on)  # type: ignore[arg-type]


def train(
    recipe: AnyRecipe,
    out: str | Path,
    *,
    resume: bool = True,
    budget_seconds: float | None = None,
    cancel: Cancel | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_validation: Callable[[Validation], None] | None = None,
    threads: int | None = None,
) -> Trained:
    """Train a recipe into the folder `out`, or continue the run there.

    Args:
        recipe: what to train.
        out: holds `checkpoints/` during training, and at the end a standard Hugging Face folder
            with `card.json` and `training_log.parquet`. If it already holds the finished model of
            this recipe, that is returned at once.
        resume: True continues from the last checkpoint; `learning_rate`, `warmup`, `precision` and
            `clip` may then differ from the checkpoint's, and the card lists the change. False
            removes the checkpoints, the series and the model in `out` and starts again.
        budget_seconds: stop after this long with a checkpoint; None for no limit.
        cancel: stop between two steps with a checkpoint, and raise Cancelled.
        progress: called as `progress(steps taken, steps)` after every step.
        on_validation: called with the loss and the accuracy by digit every `evaluate_every` steps.
        threads: torch threads during this call; None keeps the current number.

    Raises:
        InputError: for a budget or a number of threads that is not above zero.
        StorageError: for a damaged checkpoint or another recipe in `out`, or a full disk.
        ModelError: for a non-finite loss, gradient or weight; the last checkpoint is kept, and the
            message names the batch and the remedy.
        Cancelled: if `cancel` was set.
    """
    if budget_seconds is not None and not budget_seconds > 0:
        raise InputError(
            f"budget_seconds={budget_seconds} leaves no time to train: give seconds above 0, or "
            "None for no limit"
        )
    if threads is not None and threads < 1:
        raise InputError(
            f"threads={threads}: at least 1 is needed, or None to leave them as they are"
        )
    out = Path(out)
    if resume and (card := finished(out, recipe)) is not None:
        return Trained(recipe, out, card.steps, card.stopped, card)
    if not resume:
        forget(out)
    products = half_products() if multiplies_in_bfloat16(recipe) else nullcontext()
    with _threads(threads), products:
        run = start(recipe, going_on=bool(checkpoint_folders(out)))
        if (checkpoint := load_checkpoint(out, recipe, run.trained)) is not None:
            run.restore(checkpoint)
        stopped = _steps(run, out, budget_seconds, cancel, progress, on_validation)
        if stopped == "budget":
            return Trained(recipe, out, run.step, stopped, None)
        return Trained(recipe, out, run.step, stopped, finish(run, out, stopped))


def _steps(
    run: Run,
    out: Path,
    budget_seconds: float | None,
    cancel: Cancel | None,
    progress: Callable[[int, int], None] | None,
    on_validation: Callable[[Validation], None] | None,
) -> str:
    """Take steps until a stopping condition holds, and return its name."""
    recipe = run.recipe
    begin = time.monotonic()
    if 0 in recipe.series and run.step == 0:
        save_series(run, out)
    while run.step < recipe.last_step:
        run.take_step()
        reached = False
        if run.step % recipe.evaluate_every == 0 or run.step == recipe.last_step:
            validation = run.validate()
            reached = recipe.target is not None and validation.exact >= recipe.target
            if on_validation is not None:
                on_validation(validation)
        if run.step in recipe.series:
            save_series(run, out)
        if progress is not None:
            progress(run.step, recipe.last_step)
        if reached:
            return "target"
        over = budget_seconds is not None and time.monotonic() - begin >= budget_seconds
        asked = cancel is not None and cancel.requested
        if run.step == recipe.last_step:
            break
        if over or asked or run.step % recipe.checkpoint_every == 0:
            run.save(out)
        if asked:
            raise Cancelled(
                f"stopped on request after step {run.step}; train again to go on from there"
            )
        if over:
            return "budget"
    return "steps"


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Training run of a small model from random weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import step_seed
from interp.models.weights import count_parameters
from interp.training.build import build_model, build_tokenizer
from interp.training.card import Card, measure
from interp.training.checkpoint import Checkpoint
from interp.training.evaluation import score
from interp.training.heads import head_masks
from interp.training.log_rows import Row, batch_rows, validation_rows
from interp.training.logs import log_before
from interp.training.objectives.base import Losses, Step
from interp.training.optimiser import Optimiser
from interp.training.recipes import Recipe
from interp.training.rows import Encoder, Rows
from interp.training.run import Batch, Run, Validation
from interp.training.stream import Stream
from interp.training.warm_start import start_record

_OFFSETS = 10**6  # the purpose number of the position offsets' seed; draws have theirs from 0 on


@dataclass(kw_only=True)
class TrainingRun(Run):
    """A model in training. `trained` maps names to the model's parameters, and `extra.NAME` to the
    objective's parameters."""

    recipe: Recipe
    extra: dict[str, torch.nn.Parameter]
    stream: Stream
    encoder: Encoder
    final_encoder: Encoder
    validation: Problems
    logged: list[tuple[int, float]] = field(default_factory=list)  # as `Step` has them

    @classmethod
    def start(cls, recipe: Recipe, *, going_on: bool = False) -> TrainingRun:
        """A run before its first step, or with `going_on` before a checkpoint is restored."""
        model, tokenizer = build_model(recipe, going_on=going_on), build_tokenizer(recipe)
        base = None if going_on else recipe.base
        extra = recipe.objective.parameters(recipe)
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        trained |= {f"extra.{name}": parameter for name, parameter in extra.items()}
        stream = Stream(recipe)
        final = recipe.objective.final_format(recipe)
        return cls(
            recipe=recipe,
            model=model,
            tokenizer=tokenizer,
            extra=extra,
            trained=trained,
            optimiser=Optimiser(recipe, trained),
            masks=head_masks(model, recipe.heads, shared_kv=recipe.shared_kv),
            stream=stream,
            encoder=Encoder(tokenizer, stream.task, recipe.format),
            final_encoder=Encoder(tokenizer, stream.task, final),
            validation=stream.held_out("validation", recipe.evaluate_n, seed=recipe.seed),
            started_from=None if base is None else start_record(base, recipe.weights_file),
            earlier_log=None if base is None else log_before(base, recipe.task),
        )

    def batch(self) -> Batch:
        recipe, step = self.recipe, self.step
        seed = step_seed(recipe.seed, step, _OFFSETS)
        place = Step(step, recipe.steps, seed, self.logged)
        if recipe.objective.restarts_optimiser(recipe, place):
            self.optimiser.restart()
        rows = recipe.objective.rows(self.encoder, self.stream.training(step), place)
        offsets = _offsets(recipe, rows, seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            losses = recipe.objective.losses(self.model, self.extra, rows, place, offsets)
        log = partial(self._log_rows, rows, losses)
        absent = losses.digits.detach().masked_fill(rows.digits < 0, 0.0)
        return Batch(losses.total, absent, rows.problems.text, log)

    def _log_rows(self, rows: Rows, losses: Losses, gradients: bool) -> list[Row]:
        parameters = self.trained if gradients else {}
        found = batch_rows(self.step, losses, rows.problems, rows.roles, parameters, self.masks)
        self.logged.append((self.step, found[0]["loss"]))
        return found

    def restore(self, checkpoint: Checkpoint) -> None:
        super().restore(checkpoint)
        log = checkpoint.log
        own = log[log["step"] >= 0]  # steps below 0 belong to the warm start
        totals = own[(own["split"] == "train") & (own["group"] == "total")]
        self.logged = list(zip(totals["step"].tolist(), totals["loss"].tolist(), strict=True))

    def validate(self) -> Validation:
        scores = score(self.model, self.final_encoder, self.validation)
        rows = validation_rows(self.step, scores)
        self.log += rows
        by_digit = {row["group"]: row["accuracy"] for row in rows[1:]}
        return Validation(self.step, rows[0]["loss"], rows[0]["accuracy"], by_digit)

    def save_model(self, folder: Path) -> None:
        """Write `config.json`, `model.safetensors` (a tied tensor once) and tokenizer files."""
        self.model.config.architectures = [type(self.model).__name__]
        self.model.config.save_pretrained(folder)
        tied = set(self.model.all_tied_weights_keys)
        tensors = {k: v.contiguous() for k, v in self.model.state_dict().items() if k not in tied}
        (folder / self.recipe.weights_file).write_bytes(save(tensors, metadata={"format": "pt"}))
        self.tokenizer.save_pretrained(folder)

    def card(self, stopped: str, weight_hash: str, minutes: tuple[float, float]) -> Card:
        return Card(
            task=self.recipe.task,
            format=self.recipe.objective.final_format(self.recipe),
            parameters=count_parameters(self.model),
            **self.card_fields(stopped, weight_hash, minutes),
            **measure(self.recipe, self.model, self.tokenizer, self.step),
        )


def _offsets(recipe: Recipe, rows: Rows, seed: int) -> Tensor | None:
    """First position of each row, uniform over those that fit; None if positions start at 0."""
    if recipe.positions != "random-offset":
        return None
    free = (recipe.n_ctx or 0) - rows.tokens.shape[1]
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(free + 1, (len(rows.tokens),), generator=generator)

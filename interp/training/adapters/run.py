"""Training run of an adapter: peft's LoRA around a frozen language model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor

from interp.arithmetic.seeds import step_seed
from interp.errors import InputError, ModelError
from interp.models import adapted
from interp.models.loading import open_module
from interp.models.sources import check_safetensors, resolve
from interp.training.adapters import heads
from interp.training.adapters.answers import answer_losses, score
from interp.training.adapters.card import AdapterCard, measure
from interp.training.adapters.exercises import ExerciseStream, write
from interp.training.adapters.prose import Prose, perplexity
from interp.training.adapters.recipe import AdapterRecipe
from interp.training.log_rows import Row, train_rows, validation_row
from interp.training.optimiser import Optimiser
from interp.training.run import Batch, Run, Validation
from interp.training.warm_start import ADAPTER, check_start, start_folder, start_record

FAMILIES = ("llama", "qwen2")  # families with the projection names of PROJECTIONS

_PROSE = 10**6 + 1  # the purpose number of the prose windows' seed


@dataclass(kw_only=True)
class AdapterRun(Run):
    """An adapter in training. `model` is the peft model; `trained` maps peft's names to the A and B
    matrices."""

    recipe: AdapterRecipe
    stream: ExerciseStream
    prose: Prose
    perplexity_before: float

    @classmethod
    def start(cls, recipe: AdapterRecipe, *, going_on: bool = False) -> AdapterRun:
        """A run before its first step, or with `going_on` before a checkpoint is restored, which
        replaces the warm start. Raises ModelError if the base or peft is missing."""
        warm_start = None if going_on else recipe.warm_start
        if warm_start is not None:  # before the base, which is slower to open
            check_warm_start(warm_start, recipe)
        module, tokenizer, _ = open_module(resolve(recipe.base), torch.float32)
        before = perplexity(module, tokenizer)
        model = with_adapter(module, recipe)
        if warm_start is not None:
            go_on_from(warm_start, model)
        trained = {name: p for name, p in stored_matrices(model).items() if p.requires_grad}
        return cls(
            recipe=recipe,
            model=model,
            tokenizer=tokenizer,
            trained=trained,
            optimiser=Optimiser(recipe, trained),
            stream=ExerciseStream(recipe, tokenizer),
            prose=Prose(tokenizer),
            perplexity_before=before,
            started_from=None if warm_start is None else start_record(warm_start, adapted.WEIGHTS),
        )

    def batch(self) -> Batch:
        recipe, step = self.recipe, self.step
        exercises = self.stream.training(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            found = [answer_losses(self.model, part) for part in exercises]
            drift = self._drift(step) if recipe.prose_rows and recipe.prose_weight else None
        learnt = torch.cat([part.learnt[:, 1:].sum(1) for part in exercises])
        answers = torch.cat([loss.sum(1) for loss, _ in found]).sum() / learnt.sum()
        total = answers if drift is None else answers + recipe.prose_weight * drift
        each = torch.cat([loss.sum(1) for loss, _ in found])
        texts = [text for part in exercises for text in part.texts]
        right = torch.cat([correct for _, correct in found])
        kinds = [(name, f"style:{part.style}") for part in exercises for name in part.tasks]
        groups = {}
        for name in dict.fromkeys(name for pair in kinds for name in pair):
            rows = torch.tensor([name in pair for pair in kinds])
            groups[name] = each[rows].sum() / learnt[rows].sum(), right[rows]
        terms = {"answer": answers} | ({} if drift is None else {"prose": drift})
        log = partial(self._log_rows, (total, right), groups, terms)
        return Batch(total, each.detach()[:, None], texts.__getitem__, log)

    def _drift(self, step: int) -> Tensor:
        """Mean KL(base ‖ adapted) over tokens of prose, in nats."""
        recipe = self.recipe
        seed = step_seed(recipe.seed, step, _PROSE)
        ids = self.prose.windows(recipe.prose_rows, recipe.prose_tokens, seed)
        with torch.no_grad(), self.model.disable_adapter():
            before = self.model(ids, use_cache=False).logits.float().log_softmax(-1)
        after = self.model(ids, use_cache=False).logits.float().log_softmax(-1)
        kl = F.kl_div(after, before, reduction="none", log_target=True)
        return kl.sum(-1).mean()

    def _log_rows(
        self,
        total: tuple[Tensor, Tensor],
        groups: dict[str, tuple[Tensor, Tensor]],
        terms: dict[str, Tensor],
        gradients: bool,
    ) -> list[Row]:
        parameters = self.trained if gradients else {}
        return train_rows(self.step, total, groups, terms, parameters)

    def validate(self) -> Validation:
        """Loss and accuracy of each task, in the first style that can write it."""
        recipe = self.recipe
        losses, right, by_task = [], [], {}
        n = max(1, recipe.evaluate_n // len(recipe.tasks))
        for name, _ in recipe.tasks:
            problems = self.stream.held_out(name, "validation", n, recipe.seed)
            exercises = write(self.tokenizer, recipe.styles_of(name)[0], [problems])
            loss, correct = score(self.model, exercises, recipe.precision)
            by_task[name] = float(correct.mean())
            self.log.append(validation_row(self.step, name, loss.mean(), correct))
            losses.append(loss)
            right.append(correct)
        loss, correct = np.concatenate(losses), np.concatenate(right)
        self.log.append(validation_row(self.step, "total", loss.mean(), correct))
        return Validation(self.step, float(loss.mean()), float(correct.mean()), by_task)

    def save_model(self, folder: Path) -> None:
        """Write `adapter_config.json` and the matrices in float16, in peft's layout."""
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.recipe.base,
            "lora_dropout": 0.0,
            "bias": "none",
            **lora_settings(self.model.get_base_model(), self.recipe),
        }
        (folder / adapted.CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        stored = stored_matrices(self.model)
        tensors = {name: p.detach().half().contiguous() for name, p in stored.items()}
        (folder / adapted.WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))

    def card(self, stopped: str, weight_hash: str, minutes: tuple[float, float]) -> AdapterCard:
        recipe = self.recipe
        with TemporaryDirectory() as place:
            self.save_model(Path(place))
            measured = measure(recipe, Path(place), self.tokenizer, self.stream)
        before_and_after = {"before": self.perplexity_before, "after": measured.pop("perplexity")}
        return AdapterCard(
            base=recipe.base,
            data={
                "training": "fresh at every step",
                "rows_trained_on": recipe.batch * self.step,
                "held_out": asdict(self.stream.split),
                "scored_on": "distinct test problems of each task, uniform",
            },
            perplexity=before_and_after,
            parameters=sum(p.numel() for p in self.trained.values()),
            **measured,
            **self.card_fields(stopped, weight_hash, minutes),
        )


def lora_settings(module: Any, recipe: AdapterRecipe) -> dict[str, Any]:
    """The fields of `adapter_config.json` with the updated matrices and their ranks."""
    if recipe.heads:
        return heads.lora_settings(heads.parts(module, recipe))
    return {
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "target_modules": sorted(recipe.projections),
    }


def stored_matrices(model: Any) -> dict[str, torch.nn.Parameter]:
    """Every A and B matrix of a peft model by peft's name, frozen selectors included."""
    return {
        name.replace(".default.", "."): p
        for name, p in model.named_parameters()
        if ".lora_A." in name or ".lora_B." in name
    }


def check_warm_start(name: str, recipe: AdapterRecipe) -> None:
    """Raise ModelError if there is no adapter of that name, InputError if it has another base or
    shape, or may have been trained on problems that the recipe holds out."""
    folder = start_folder(name)
    if not adapted.is_adapter(folder):
        raise InputError(f"warm_start={name!r} is no adapter: name the folder of one")
    check_start(name, recipe, ADAPTER)
    check_safetensors(folder / adapted.WEIGHTS)


@torch.no_grad()
def go_on_from(name: str, model: Any) -> None:
    """Load the matrices of a trained adapter that passed `check_warm_start`.

    Raises InputError if they differ from its card's.
    """
    saved = load_file(start_folder(name) / adapted.WEIGHTS)
    stored = stored_matrices(model)
    if {key: p.shape for key, p in stored.items()} != {k: t.shape for k, t in saved.items()}:
        raise InputError(
            f"the matrices of {name!r} are not those that its card describes: train it again"
        )
    for key, parameter in stored.items():
        parameter.copy_(saved[key])


def with_adapter(module: Any, recipe: AdapterRecipe) -> Any:
    """peft's LoRA around a frozen module, drawn from the recipe's seed; the initial update is zero.

    Frozen matrices are stored in the precision of the matrix products, so autocast need not convert
    them at every step. Raises ModelError if peft is not installed.
    """
    if module.config.model_type not in FAMILIES:
        raise ModelError(
            f"the base is a {module.config.model_type!r} model; adapters are trained on "
            f"{', '.join(FAMILIES)}"
        )
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ModelError(
            "training an adapter needs peft: pip install 'arithmoscope[lora]'"
        ) from error
    config = LoraConfig(**lora_settings(module, recipe), task_type="CAUSAL_LM")
    chosen = heads.parts(module, recipe) if recipe.heads else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = get_peft_model(module, config, autocast_adapter_dtype=False)
    heads.select(model, chosen)
    if recipe.precision == "bfloat16":
        for name, layer in model.named_modules():
            if name.endswith(".base_layer"):
                layer.to(torch.bfloat16)
    return model

"""Card of an adapter: accuracy on held-out problems, and perplexity of ordinary text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interp.arithmetic.formats import format
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import task
from interp.models import adapted
from interp.models.loading import open_module
from interp.models.sources import resolve
from interp.training.adapters.answers import score
from interp.training.adapters.exercises import ExerciseStream, write
from interp.training.adapters.prose import perplexity
from interp.training.adapters.recipe import AdapterRecipe
from interp.training.card import share

_BATCH = 64


@dataclass(frozen=True)
class AdapterCard:
    """The content of an adapter's `card.json`.

    Shares are objects {correct, n, share, low, high} with Wilson's 95 % interval, of greedy answers
    to problems with a held-out operand pair, in float32 with the stored adapter merged. `accuracy`
    is the first task in the first style; `by_task` pools the trained styles (the same problems in
    each, so its interval is too narrow where styles agree; `by_style` has task → style),
    `other_styles` the same for untrained styles. `perplexity` is of held-out paragraphs, before and
    after; `changes` and `started_from` as in `Card`.

    Does not show: that it computes like a model that learnt arithmetic in pre-training.
    """

    name: str
    base: str
    task: str
    format: str
    seed: int
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    accuracy: Mapping[str, Any]
    by_task: Mapping[str, Any]
    by_style: Mapping[str, Any]
    other_styles: Mapping[str, Any]
    perplexity: Mapping[str, float]
    stopped: str
    steps: int
    weight_hash: str
    parameters: int
    versions: Mapping[str, Any]
    wall_minutes: float
    cpu_minutes: float
    cores: int
    threads: int
    changes: Sequence[Mapping[str, Any]] = ()
    started_from: Mapping[str, Any] | None = None


def measure(
    recipe: AdapterRecipe, adapter: Path, tokenizer: Any, stream: ExerciseStream
) -> dict[str, Any]:
    """The card's measurements on held-out problems, from a fresh copy of the base with the stored
    adapter merged."""
    module, words, _ = open_module(resolve(recipe.base), torch.float32)
    adapted.merge(module, adapter)

    def right(styles: Mapping[str, Sequence[str]]) -> dict[str, dict[str, NDArray[np.bool_]]]:
        return {
            name: {style: _right(module, tokenizer, style, problems) for style in chosen}
            for name, chosen in styles.items()
            for problems in [stream.held_out(name, "test", recipe.card_n, recipe.seed + 10**6)]
        }

    names = [name for name, _ in recipe.tasks]
    trained = right({name: recipe.styles_of(name) for name in names})
    other = [(style, format(style)) for style in recipe.other_styles]
    unseen = right({n: [s for s, form in other if form.accepts(task(n))] for n in names})
    first = names[0]
    style = recipe.styles_of(first)[0]
    accuracy = share(trained[first][style])
    return {
        "task": first,
        "format": style,
        "accuracy": accuracy | {"n_distinct": accuracy["n"]},
        "by_task": {name: share(np.concatenate([*r.values()])) for name, r in trained.items()},
        "by_style": _shares(trained),
        "other_styles": _shares(unseen),
        "perplexity": perplexity(module, words),
    }


def _right(module: Any, tokenizer: Any, style: str, problems: Problems) -> NDArray[np.bool_]:
    parts = [problems[low : low + _BATCH] for low in range(0, problems.n, _BATCH)]
    return np.concatenate([score(module, write(tokenizer, style, [part]))[1] for part in parts])


def _shares(right: Mapping[str, Mapping[str, NDArray[np.bool_]]]) -> dict[str, Any]:
    return {name: {style: share(r) for style, r in found.items()} for name, found in right.items()}

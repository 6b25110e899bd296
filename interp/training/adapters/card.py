"""The card of an adapter: what it teaches, how well, and what it costs in ordinary text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from interp.arithmetic.formats import format
from interp.arithmetic.tasks import task
from interp.models import adapted
from interp.models.loading import open_module
from interp.models.sources import resolve
from interp.training.adapters.answers import score
from interp.training.adapters.exercises import write
from interp.training.adapters.prose import perplexity
from interp.training.card import circumstances, share

if TYPE_CHECKING:
    from interp.training.adapters.run import AdapterRun

_BATCH = 64


@dataclass(frozen=True)
class AdapterCard:
    """What stands in `card.json` of an adapter.

    Shares are objects {correct, n, share, low, high} with Wilson's 95 % interval, of greedy answers
    to problems whose operand pair the recipe's split keeps from training, in float32 with the
    adapter merged as it is stored. `accuracy` is the first task in the first style; `by_task` pools
    the trained styles (the same problems in each, so its interval is too narrow where styles agree;
    `by_style` has task → style), `other_styles` the same for styles that were never trained on.
    `perplexity` is of held-out paragraphs, before and after; `changes` and
    `started_from` as in `Card`.

    Does not show: that it computes as a model does that learnt arithmetic in pre-training.
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


def measure_adapter(
    run: AdapterRun, stopped: str, weight_hash: str, minutes: tuple[float, float]
) -> AdapterCard:
    """Open the base anew, merge the adapter as it is stored, and score held-out problems."""
    recipe = run.recipe
    module, tokenizer, _ = open_module(resolve(recipe.base), torch.float32)
    with TemporaryDirectory() as place:
        run.save_model(Path(place))
        adapted.merge(module, Path(place))
    trained = {name: recipe.styles_of(name) for name, _ in recipe.tasks}
    other = {
        name: tuple(s for s in recipe.other_styles if format(s).accepts(task(name)))
        for name, _ in recipe.tasks
    }
    right = {name: _by_style(run, module, name, trained[name]) for name in trained}
    unseen = {name: _by_style(run, module, name, styles) for name, styles in other.items()}
    first = recipe.tasks[0][0]
    style = trained[first][0]
    accuracy = share(right[first][style])
    return AdapterCard(
        name=recipe.name,
        base=recipe.base,
        task=first,
        format=style,
        seed=recipe.seed,
        recipe=recipe.to_json(),
        data={
            "training": "fresh at every step",
            "rows_trained_on": recipe.batch * run.step,
            "held_out": asdict(run.stream.split),
            "scored_on": "distinct test problems of each task, uniform",
        },
        accuracy=accuracy | {"n_distinct": accuracy["n"]},
        by_task={
            name: share(np.concatenate(list(found.values()))) for name, found in right.items()
        },
        by_style=_shares(right),
        other_styles=_shares(unseen),
        perplexity={"before": run.perplexity_before, "after": perplexity(module, tokenizer)},
        stopped=stopped,
        steps=run.step,
        weight_hash=weight_hash,
        parameters=sum(p.numel() for p in run.trained.values()),
        wall_minutes=minutes[0],
        cpu_minutes=minutes[1],
        threads=torch.get_num_threads(),
        changes=run.changes,
        started_from=run.started_from,
        **circumstances(),
    )


def _by_style(
    run: AdapterRun, module: Any, name: str, styles: tuple[str, ...]
) -> dict[str, NDArray[np.bool_]]:
    """Which of the held-out problems of a task are right, by style."""
    problems = run.stream.held_out(name, "test", run.recipe.card_n, run.recipe.seed + 10**6)
    return {
        style: np.concatenate(
            [
                score(module, write(run.tokenizer, style, [problems[low : low + _BATCH]]))[1]
                for low in range(0, problems.n, _BATCH)
            ]
        )
        for style in styles
    }


def _shares(right: Mapping[str, Mapping[str, NDArray[np.bool_]]]) -> dict[str, Any]:
    return {name: {style: share(r) for style, r in found.items()} for name, found in right.items()}

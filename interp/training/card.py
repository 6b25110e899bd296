"""Card of a trained model: its recipe, and its accuracy on held-out problems."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.problems import Problems
from interp.errors import StorageError
from interp.results.atomic import write_atomic
from interp.results.intervals import wilson
from interp.results.versions import installed_versions
from interp.training.evaluation import cascade_operators, full_cascades, n_carries, score
from interp.training.log_rows import groups_of
from interp.training.recipes import Recipe
from interp.training.rows import Encoder
from interp.training.stream import Stream

LEVEL = 0.95


@dataclass(frozen=True)
class Card:
    """The content of `card.json`.

    Shares are objects {correct, n, share, low, high} with Wilson's 95 % interval, on problems that
    the recipe's split holds out. `by_carries` has one for each number of columns that carry or
    borrow, `full_cascades` one an operator, `by_digit` one an answer role, `by_class` one a subtask
    class (of digits, not problems). `changes` lists changes of the recipe during training,
    {step, field, before, after}; `recipe` holds the values after them. `started_from` is the warm
    start, {name, weight_hash, rows_trained_on, wall_minutes, cpu_minutes, started_from}; its rows
    and minutes come on top of this card's.

    Does not show: accuracy on problems that the sampler never draws, such as shorter numbers in a
    format that pads them, except for `full_cascades`.
    """

    name: str
    task: str
    format: str
    seed: int
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    accuracy: Mapping[str, Any]
    by_carries: Mapping[str, Any]
    full_cascades: Mapping[str, Any]
    by_digit: Mapping[str, Any]
    by_class: Mapping[str, Any]
    stopped: str  # "steps": all steps taken; "target": the validation target was reached
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


AnyCard = TypeVar("AnyCard")


def write_card(folder: Path, card: Any) -> Path:
    """Write `card.json` beside the weights."""
    text = json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n"
    return write_atomic(folder / "card.json", text.encode())


def read_card(folder: Path, kind: type[AnyCard]) -> AnyCard:
    """The card in the folder of a finished model. Raises StorageError if unreadable."""
    path = folder / "card.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        needed = [
            item.name
            for item in fields(kind)  # type: ignore[arg-type]
            if item.default is MISSING or item.name in content
        ]
        return kind(**{name: content[name] for name in needed})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} is not a readable card ({error!r}): delete the folder and train again"
        ) from error


def measure(recipe: Recipe, model: Any, tokenizer: Any, steps: int) -> dict[str, Any]:
    """The card's measurements on held-out problems, after `steps` steps."""
    stream = Stream(recipe)
    encoder = Encoder(tokenizer, stream.task, recipe.objective.final_format(recipe))
    # A seed that no training draw has, so that the card's problems are independent.
    problems = stream.held_out("test", recipe.card_n, seed=recipe.seed + 10**6)
    scores = score(model, encoder, problems)
    carries = n_carries(problems)
    groups = groups_of(problems, encoder.roles)
    known = ~np.isnan(scores.loss)
    shares = {name: share(scores.correct[mask & known]) for name, mask in groups.items()}
    return {
        "data": _data(recipe, stream, problems, steps),
        "accuracy": share(scores.exact) | {"n_distinct": problems.n_distinct},
        "by_carries": {}
        if carries is None
        else {str(k): share(scores.exact[carries == k]) for k in np.unique(carries).tolist()},
        "full_cascades": _cascades(recipe, stream, model, encoder),
        "by_digit": {name: shares[name] for name in encoder.roles},
        "by_class": {k.partition(":")[2]: v for k, v in shares.items() if k.startswith("class:")},
    }


def share(right: NDArray[np.bool_]) -> dict[str, Any]:
    """{correct, n, share, low, high} of a sample of right and wrong answers."""
    interval = wilson(int(right.sum()), right.size, LEVEL)
    return {
        "correct": int(right.sum()),
        "n": int(right.size),
        "share": float(right.mean()) if right.size else None,
        "low": float(interval.low) if right.size else None,
        "high": float(interval.high) if right.size else None,
    }


def circumstances() -> dict[str, Any]:
    """The package versions and the number of cores."""
    return {"versions": dict(installed_versions()), "cores": os.cpu_count() or 1}


def _cascades(recipe: Recipe, stream: Stream, model: Any, encoder: Encoder) -> dict[str, Any]:
    """Accuracy on full cascades by operator; empty for a task without them."""
    found = {}
    for operator in cascade_operators(stream.task):
        seed = recipe.seed + 10**6
        problems = full_cascades(stream.task, operator, recipe.card_n, seed)
        kept = problems[stream.split.keeps(problems, "test")]
        found[operator] = share(score(model, encoder, kept).exact)
    return found


def _data(recipe: Recipe, stream: Stream, problems: Problems, steps: int) -> dict[str, Any]:
    drawn = (
        "every training problem at every step" if recipe.batch is None else "fresh at every step"
    )
    rows = None if recipe.batch is None else recipe.batch * steps
    fixed = {}
    if recipe.fixed_rows is not None and rows is not None:
        drawn = "the same rows in every epoch, each epoch in another order"
        fixed = {
            "fixed_set": {
                "rows": recipe.fixed_rows,
                "distinct": stream.fixed().problems.n_distinct,
                "epochs": rows / recipe.fixed_rows,
            }
        }
    return {
        "training": drawn,
        "rows_trained_on": rows,
        **fixed,
        "held_out": asdict(stream.split),
        "scored_on": f"{problems.n} distinct test problems, uniform over {stream.task.name}",
    }

"""Prompt search: the best prompt is chosen on one half of the problems, reported on the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from interp.arithmetic.formats import format as format_named
from interp.arithmetic.formats import format_names
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.behaviour.results.accuracy import PromptSearch
from interp.engine.answers import greedy
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import InputError
from interp.models.asking import Asked, sample
from interp.models.model import Model
from interp.results.intervals import wilson

Score = dict[str, float]  # n, accuracy with low and high, readable

_CHAINS = ("scratchpad", "icot")


@shows_progress
def search_prompts(
    model: Model,
    asked: Asked,
    *,
    n: int = 200,
    seed: int = 0,
    held_out: bool = True,
    styles: Sequence[str] | None = None,
    shots: Sequence[int] = (0, 1, 2, 4),
    baseline: str | None = None,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> PromptSearch:
    """The accuracy of every style and number of examples on half of the problems, and of the best
    candidate and the baseline on the other half.

    Args:
        asked, n, seed, held_out: as in `accuracy`; of prompts only the problems matter.
        styles: formats by name; None means those of the task without chain of thought, most
            significant digit first, as people write it.
        shots: numbers of solved examples before the question, drawn with `seed`; a problem is never
            among its own examples.
        baseline: the format to compare with; None means the model's first format, without examples.
        memory, cancel, progress: as in `engine.generate`.

    Returns:
        Every candidate's accuracy on the selection half; for the best and the baseline also on the
        reported half. Ties go to the first in the given order. Prompts with identical text for
        these problems and answers (commas in numbers below a thousand) are one candidate, which
        lists its other names.

    Does not show: that no other prompt is better.

    Raises:
        InputError: for fewer than two distinct problems, no style, or a prompt too long for the
            model's context (ask for fewer shots).
    """
    drawn = sample(model, asked, n=n, seed=seed, held_out=held_out)
    problems = drawn.problems
    if len(problems) < 2:
        raise InputError("a search needs at least two distinct problems: one for each half")
    styles = _as_people_write(problems.task) if styles is None else tuple(styles)
    shots = tuple(shots)
    if not styles or not shots:
        raise InputError("there is no prompt to try: name a style and a number of shots")
    reference = baseline or model.formats[0]
    names = [with_shots(style, count, seed) for style in styles for count in shots]
    alike = written_alike(problems, [*names, reference], reference)
    names = list(alike)
    choosing, reporting = _halves(problems, seed)
    steps = _Steps(len(names) + 2, progress)
    resources = Resources(memory, cancel, None)
    first = {name: steps.after(_asked(model, choosing, name, resources)) for name in names}
    best = max(names, key=lambda name: first[name]["accuracy"])  # of equals, the first
    told = dict.fromkeys([best, reference])
    second = {name: steps.after(_asked(model, reporting, name, resources)) for name in told}
    steps.finish()
    rows = [
        _row(name, first[name], second.get(name), best, reference) | {"also": ", ".join(others)}
        for name, others in alike.items()
    ]
    return PromptSearch(
        model=model.id,
        task=problems.task.name,
        n=len(problems),
        n_distinct=len(problems),
        seed=seed,
        settings=drawn.settings | {"styles": styles, "shots": shots, "baseline": baseline},
        candidates=pd.DataFrame(rows),
        best=best,
        baseline=reference,
    )


def with_shots(style: str, count: int, seed: int) -> str:
    """The name of the format with `count` examples, drawn with `seed`, before the question."""
    if count < 0:
        raise InputError(f"shots={count}: there cannot be fewer than 0 examples")
    return f"{style}@{count}:{seed}" if count else style


class _Steps:
    """Progress counter."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._done, self._progress = total, 0, progress

    def after(self, found: Score) -> Score:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
        return found

    def finish(self) -> None:
        """Report the last step: if the baseline is the best, one announced step was not needed."""
        if self._progress is not None and self._done < self._total:
            self._progress(self._total, self._total)


def _halves(problems: Problems, seed: int) -> tuple[Problems, Problems]:
    order = np.random.default_rng(seed).permutation(len(problems))
    return problems[order[: len(order) // 2]], problems[order[len(order) // 2 :]]


def _asked(model: Model, problems: Problems, name: str, resources: Resources) -> Score:
    answered = greedy(model, problems, name, resources)
    right = int(answered.exact.sum())
    low, high = wilson(right, len(problems))
    return {
        "n": float(len(problems)),
        "accuracy": right / len(problems),
        "low": float(low),
        "high": float(high),
        "readable": float(answered.readable.mean()),
    }


def _row(
    name: str, first: Score, second: Score | None, best: str, reference: str
) -> dict[str, object]:
    style, _, examples = name.partition("@")
    row: dict[str, object] = {
        "format": name,
        "style": style,
        "shots": int(examples.partition(":")[0])
        if ":" in examples
        else examples.count(",") + bool(examples),
        "best": name == best,
        "baseline": name == reference,
    }
    for half, found in (("chosen_on", first), ("reported", second)):
        for key in ("n", "accuracy", "readable"):
            row[f"{key}_{half}"] = np.nan if found is None else found[key]
        for end in ("low", "high"):
            row[f"accuracy_{half}_{end}"] = np.nan if found is None else found[end]
    return row


def written_alike(problems: Problems, names: Sequence[str], reference: str) -> dict[str, list[str]]:
    """Formats grouped by the text of these problems: one name → the other names of its group.

    The reference names its group, at the position of the group's first format.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(names):
        texts = tuple(written.text for written in format_named(name).render(problems))
        groups.setdefault(texts, []).append(name)
    kept = {}
    for group in groups.values():
        chosen = reference if reference in group else group[0]
        kept[chosen] = [name for name in group if name != chosen]
    return kept


def _as_people_write(task: Task) -> tuple[str, ...]:
    """Formats without chain of thought or padding, most significant digit first."""
    names = [name for name in format_names(task) if format_named(name).answer_width(task) is None]
    return tuple(name for name in names if not name.startswith(_CHAINS))

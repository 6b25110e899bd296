"""Knock-out: remove heads one by one in the order of their effect, and in random orders.

A removed head's output is replaced at every position. By what, changes the story, so it is named:

    "mean"            its mean over the reference half's prompts, role by role
    "counterfactual"  its mean over prompts with all operands swapped, role by role
    "resample"        its output in another prompt, a different one for each row
    "zero"            zeros, far from what later layers are used to

Heads are ranked on one half of the prompts and removed on the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.arithmetic.subtasks import has_classes
from interp.engine._run import run, run_variants
from interp.engine.interventions import Replace, Rows, Zero, selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read, Resources, Savings, Variant
from interp.engine.targets import true_tokens
from interp.errors import InputError
from interp.heads.effects import estimate, halves, mean_of
from interp.heads.kept import Cells, kept_cells
from interp.heads.nodes import Node, check_nodes, node, nodes_of
from interp.heads.pairs import pairs
from interp.heads.results.knockout import KnockOut
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import check_true_answers
from interp.models.tokens import digits_in
from interp.results.grid import Axis
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

REMOVALS = ("mean", "counterfactual", "resample", "zero")
Floats = npt.NDArray[np.float64]


@shows_progress
def knockout(
    model: Model,
    asked: Asked,
    *,
    n: int = 256,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    by: str = "mean",
    order: Sequence[str] | str | None = None,
    random_orders: int = 20,
    only_right: bool = True,
    keep: str | Path | None = None,
    memory: int = 2**30,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> KnockOut:
    """Accuracy as heads are removed, in the order of their effect against random orders.

    Args:
        asked, n, seed, format, held_out: as in `interp.heads.patch`.
        by: what replaces a removed head (above).
        order: heads in the order of their removal; None: by their own effect, the mean loss of the
            right tokens' log-probability on the first half, largest first. With an order, the
            curve ends with its last head, and only its heads are also removed alone; the random
            orders are of all heads.
        random_orders: number of random orders; their spread is the interval of the control.
        only_right: keep the prompts whose every answer token is the model's first choice, given the
            right ones before it; what is left is `n`.
        keep: a folder in which finished removals are kept: a call that was killed goes on where the
            last one ended (`interp.heads.kept`).
        memory, savings, cancel, progress: as in `engine.run_variants`.

    Does not show: what a head computes; a removed head can also do harm by being unusual.

    Raises InputError for an unknown replacement or head, and where the model gets no prompt right.
    """
    if by not in REMOVALS:
        raise InputError(f"by={by!r} is no replacement: choose from {', '.join(REMOVALS)}")
    if random_orders < 2:
        raise InputError("the control needs at least two random orders")
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    check_true_answers(model, batch)
    resources = Resources(memory, cancel, progress, savings)
    roles = batch.answer_roles_least_first
    asked_for = len(batch)
    if only_right:
        batch = _right_ones(model, batch, roles, resources)
    first, second = halves(batch.problems, seed)
    if not len(first) or not len(second):
        raise InputError("knock-out ranks on one half and scores on the other: give more prompts")
    every = nodes_of(model.shape, "head")
    remove = _Removal(model, batch, first, second, by, seed, resources, keep)
    ranked, losses = _ranked(model, remove, every, order, roles)
    alone = every if order is None else ranked
    singles = remove.scores([(one,) for one in alone], second, roles)
    steps = _steps(len(ranked))
    orders = [ranked, *_random(every, random_orders, seed)]
    removed = [tuple(o[:k]) for o in orders for k in steps]
    found = remove.scores(removed, second, roles).correct
    curves = found.reshape(len(orders), len(steps), *found.shape[1:])
    plain = remove.scores([()], second, roles).correct[0]
    settings = {
        "format": batch.format,
        **sampled,
        "by": by,
        "order": None if order is None else [one.name for one in ranked],
        "random_orders": random_orders,
        "only_right": only_right,
        "asked_for": asked_for,
        "ranked_on": len(first),
    }
    part = batch[second]
    return KnockOut(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(part),
        n_distinct=part.n_distinct,
        seed=seed,
        settings=settings,
        ranking=pd.DataFrame({"head": [x.name for x in ranked], "loss": losses}),
        curve=_curve(curves, steps, part, seed),
        by_digit=estimate(
            np.moveaxis(curves[0], 0, 1),
            resampling(part.problems).groups,
            (Axis("removed", tuple(map(str, steps))), Axis("answer_digit", roles)),
            seed,
        ),
        **_matrix(plain, singles.correct, alone, part, roles, seed),
        resampled=resampling(part.problems).over,
    )


class _Scores:
    """`correct` and `logprob` of the right tokens, [variants, n, roles], NaN where absent."""

    def __init__(self, found: Floats) -> None:
        self.correct, self.logprob = np.moveaxis(found, -1, 0)


class _Removal:
    """Replacement values, and scores of prompts without some heads."""

    def __init__(
        self, model: Model, batch: PromptBatch, first: Any, second: Any, by: str, seed: int,
        resources: Resources, keep: str | Path | None,
    ) -> None:  # fmt: skip
        self.model, self.batch, self.by, self.resources = model, batch, by, resources
        self.seed, self.keep = seed, keep
        self.roles = tuple(role for role in batch.roles if role != "last")
        self._values: Mapping[int, torch.Tensor] = {}
        if by == "zero":
            return
        reference = batch[first]
        if by == "counterfactual":
            reference = pairs(
                model, reference, swap="all", corrupted=None, answers=None, prefix="keep",
                n=len(first), seed=seed, format=None, held_out=True,
            ).corrupted  # fmt: skip
        if by == "resample":
            reference = batch
        done = run(
            model, reference, reads=[Read("z", None, self.roles)], logits=None,
            memory=resources.memory, cancel=resources.cancel,
        )  # fmt: skip
        self._values = {layer: value for (_, layer), value in done.activations.items()}
        if by == "resample":
            self._other = _others(batch, seed)

    def scores(self, sets: Sequence[tuple[Node, ...]], rows: Any, roles: Sequence[str]) -> _Scores:
        """Scores of the prompts `rows` without each set of heads."""
        part, labels = self.batch[rows], true_tokens(self.batch[rows], roles)
        source = {la: self._rows(la, rows) for la in {x.layer for s in sets for x in s}}
        cells = {
            f"{i}: without {len(heads)}": self._without(heads, source)
            for i, heads in enumerate(sets)
        }

        def measure(some: Cells, resources: Resources) -> Floats:
            runs = run_variants(
                self.model, part, [Variant(name, what) for name, what in some.items()],
                logits=roles, reduce=_reader(labels), memory=resources.memory,
                savings=resources.savings, cancel=resources.cancel, progress=resources.progress,
            )  # fmt: skip
            return torch.stack([one.logits for one in runs if one.logits is not None]).numpy()

        return _Scores(
            kept_cells(
                measure, self.model, part, cells, self.resources,
                shape=(len(part), len(roles), 2), reads=(labels.numpy(),),
                about={"reads": "correct and logprob", "roles": [*roles]}, keep=self.keep,
            )
        )  # fmt: skip

    def _rows(self, layer: int, rows: Any) -> Rows | None:
        if self.by == "zero":
            return None
        if self.by == "resample":
            return Rows({layer: self._values[layer][self._other[rows]]})
        mean = self._values[layer].double().nanmean(dim=0)
        values = mean.to(self._values[layer].dtype).expand(len(rows), *mean.shape)
        return Rows({layer: values})

    def _without(
        self, heads: Sequence[Node], source: Mapping[int, Rows | None]
    ) -> tuple[Replace, ...]:
        by_layer: dict[int, list[int]] = {}
        for one in heads:
            by_layer.setdefault(one.layer, []).append(one.index)
        return tuple(
            Replace("z", source[la] or Zero(), layers=(la,), heads=tuple(sorted(which)),
                    roles=self.roles)
            for la, which in sorted(by_layer.items())
        )  # fmt: skip


def _others(batch: PromptBatch, seed: int) -> npt.NDArray[np.intp]:
    """For each row another one of the same layout; itself where there is none."""
    rng = np.random.default_rng([seed, 2])
    out = np.arange(len(batch))
    for layout in np.unique(batch.layout_of):
        rows = rng.permutation(np.flatnonzero(batch.layout_of == layout))
        out[rows] = np.roll(rows, 1)
    return out


def _reader(labels: torch.Tensor) -> Any:
    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        mine = labels[rows].to(logits.device)
        right = (logits.argmax(-1) == mine).double()
        wide = logits.double()
        own = wide.gather(-1, mine.clamp(min=0)[..., None])[..., 0] - wide.logsumexp(-1)
        both = torch.stack([right, own], dim=-1)
        return both.masked_fill((mine < 0)[..., None], torch.nan).cpu()

    return reduce


def _right_ones(
    model: Model, batch: PromptBatch, roles: Sequence[str], resources: Resources
) -> PromptBatch:
    found = run(
        model, batch, logits=roles, reduce=_reader(true_tokens(batch, roles)),
        memory=resources.memory,
        cancel=resources.cancel,
    ).logits  # fmt: skip
    assert found is not None
    right = np.flatnonzero(np.nan_to_num(found[..., 0].numpy(), nan=1.0).min(axis=1) > 0)
    if len(right) < 2:
        raise InputError(
            f"{model.name} answers {len(right)} of these {len(batch)} prompts: there is no answer "
            "to lose. Choose a task or format that it can do (arithmoscope doctor), or "
            "only_right=False"
        )
    return batch[right]


def _ranked(
    model: Model,
    remove: _Removal,
    every: Sequence[Node],
    order: str | Sequence[str] | None,
    roles: Sequence[str],
) -> tuple[list[Node], Floats]:
    """Heads in the order of removal, and the loss of log-probability without each alone, on the
    first half."""
    first, _ = halves(remove.batch.problems, remove.seed)
    if order is not None:
        named = [node(name) for name in selection("roles", order) or ()]
        check_nodes(model.shape, named, model.name)
        if any(one.kind != "head" or one.role for one in named) or len({*named}) < len(named):
            raise InputError("the order names each head once: order=['L0H3', 'L1H0']")
        every = named
    found = remove.scores([(), *((one,) for one in every)], first, roles).logprob
    loss = mean_of(np.moveaxis((found[0] - found[1:]).reshape(len(every), -1), 1, 0))
    if order is not None:
        return list(every), loss
    largest = np.argsort(-loss, kind="stable")
    return [every[i] for i in largest], loss[largest]


def _random(every: Sequence[Node], orders: int, seed: int) -> list[list[Node]]:
    rng = np.random.default_rng([seed, 3])
    return [[every[i] for i in rng.permutation(len(every))] for _ in range(orders)]


def _steps(heads: int) -> list[int]:
    """Numbers of removed heads: all up to 16, then half as many again, and all."""
    steps = list(range(min(heads, 16) + 1))
    while steps[-1] < heads:
        steps.append(min(heads, steps[-1] * 3 // 2))
    return steps


def _curve(curves: Floats, steps: Sequence[int], part: PromptBatch, seed: int) -> pd.DataFrame:
    """Exact accuracy by number of removed heads: effect order with its interval over prompts,
    random orders with the 2.5 to 97.5 % range over orders."""
    exact = np.nan_to_num(curves, nan=1.0).min(axis=-1)  # [orders, steps, n]
    groups = resampling(part.problems).groups
    low, high = mean_interval(exact[0].T, groups, seed=seed)
    by_order = exact[1:].mean(axis=-1)
    spread = np.percentile(by_order, [2.5, 97.5], axis=0)
    return pd.DataFrame(
        {
            "removed": list(steps),
            "accuracy": exact[0].mean(axis=-1),
            "accuracy_low": low,
            "accuracy_high": high,
            "random": by_order.mean(axis=0),
            "random_low": spread[0],
            "random_high": spread[1],
        }
    )


def _matrix(
    plain: Floats,
    single: Floats,
    every: Sequence[Node],
    part: PromptBatch,
    roles: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Loss of accuracy without each head alone, by answer digit and by subtask class."""
    lost = np.moveaxis(plain[None] - single, 1, 0)  # [n, heads, roles]
    groups = resampling(part.problems).groups
    heads = Axis("head", tuple(one.name for one in every))
    digits = estimate(lost, groups, (heads, Axis("answer_digit", tuple(roles))), seed)
    if not has_classes(part.problems.task):
        return {"digits": digits, "subtasks": None, "subtask_counts": None}
    table = part.problems.columns("class")
    classes = np.full(lost.shape[::2], "", dtype=object)
    for column, role in enumerate(roles):
        found = digits_in(role)
        if found is not None and len(found[1]) == 1 and found[1].start < table.shape[1]:
            classes[:, column] = table[:, found[1].start]
    known = sorted({c for c in classes.ravel() if c})
    if not known:
        return {"digits": digits, "subtasks": None, "subtask_counts": None}
    each = np.stack(
        [
            mean_of(np.moveaxis(np.where((classes == c)[:, None], lost, np.nan), 2, 0))
            for c in known
        ],
        axis=-1,
    )
    subtasks = estimate(each, groups, (heads, Axis("subtask", tuple(known))), seed)
    counts = pd.DataFrame({"subtask": known, "columns": [int((classes == c).sum()) for c in known]})
    return {"digits": digits, "subtasks": subtasks, "subtask_counts": counts}

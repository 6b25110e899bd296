"""Screens: estimates of every node's patching effect from gradients, checked against exact ones.

With a the activation of a node, v the metric and * the source's prompt,

    effect ≈ Σ (a* − a) · ∂v/∂a                       attribution patching (Nanda 2023)

The gradient is taken in the prompt that is run (`steps=1`), or averaged over `steps` points on the
straight line between the two prompts' embeddings (integrated gradients on inputs, Hanna et al.,
arXiv 2403.17806). Queries and keys act through a softmax that a gradient misjudges where attention
is saturated, so their patterns are recomputed: Σ (pattern* − pattern) · ∂v/∂pattern (AtP*, Kramár
et al., arXiv 2403.00745).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import InputError
from interp.heads.effects import discoveries, estimate, mean_of, over_answers, told
from interp.heads.estimates import Estimates, agreement
from interp.heads.metrics import Direction, Floats
from interp.heads.nodes import Kind, Node, nodes_of
from interp.heads.pairs import pairs
from interp.heads.results.screen import Screen
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix
from interp.results.grid import Axis, Grid
from interp.results.resampling import resampling

SCREENED: tuple[Kind, ...] = (
    "head", "mlp", "attn", "v", "q", "k", "resid_pre", "resid_mid", "resid_post",
)  # fmt: skip
_MOST_CHECKED = 64  # nodes
_TOP = 0.1  # of the checked nodes, whose overlap is printed


@shows_progress
def screen(
    model: Model,
    asked: Asked,
    *,
    n: int = 64,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    kind: str = "head",
    steps: int = 1,
    direction: Direction = "noise",
    check: int = 16,
    swap: str | None = None,
    corrupted: Problems | PromptBatch | None = None,
    answers: Sequence[str] | str | None = None,
    prefix: Prefix = "keep",
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Screen:
    """Estimated effect of every node on the logit difference, and how far it can be trusted.

    Args:
        asked, n, seed, format, held_out, direction, swap, corrupted, answers, prefix: as in
            `interp.heads.patch`, whose effects are estimated.
        kind: "head", "mlp", "attn", "v", "q", "k", "resid_pre", "resid_mid" or "resid_post".
        steps: points of the gradient, 1 or more.
        check: prompts on which up to 64 nodes are patched exactly; the Result has Pearson's r of
            both and the overlap of their top tenths, with intervals over prompts.
        memory, cancel, progress: as in `engine.gradients`.

    Does not show: effects where the model saturates: a gradient is 0 there, and a node that matters
    looks idle. Read the agreement first.

    Raises InputError for an unknown kind, and for prompts that do not align.
    """
    if kind not in SCREENED:
        raise InputError(f"no screen of kind {kind!r}: choose from {', '.join(SCREENED)}")
    if steps < 1 or check < 2:
        raise InputError("a screen takes at least one step, and two prompts to check it on")
    if direction not in get_args(Direction):
        raise InputError(f"unknown direction {direction!r}: choose denoise or noise")
    found = pairs(
        model, asked, swap=swap, corrupted=corrupted, answers=selection("roles", answers),
        prefix=prefix, n=n, seed=seed, format=format, held_out=held_out,
    )  # fmt: skip
    every = [node for one in SCREENED if one == kind for node in nodes_of(model.shape, one)]
    made = Estimates(model, found, every, direction, Resources(memory, cancel))
    effects = made.estimated(steps, progress)  # [n, nodes, answers]
    axes = _axes(every, found.answers)
    groups, over = resampling(found.clean.problems)
    shape = tuple(len(axis.labels) for axis in axes)
    grid = estimate(effects.reshape(len(found), *shape), groups, axes, seed)
    checked = _checked(every, effects, seed)
    rows = np.arange(min(check, len(found)))
    exact = made.exact([every[i] for i in checked])[rows]
    return Screen(
        model=found.clean.model,
        task=found.clean.problems.task.name,
        n=len(found),
        n_distinct=found.clean.n_distinct,
        seed=seed,
        settings=dict(found.settings) | {
            "kind": kind,
            "steps": steps,
            "direction": direction,
            "check": check,
            "answers": None if answers is None else found.answers,
        },
        effect=grid,
        q=Grid(discoveries(grid), axes),
        checked=_table(every, checked, effects[rows], exact),
        agreement=told(agreement(effects[rows][:, checked], exact, seed, top=_TOP)),
        resampled=over,
    )  # fmt: skip


def _axes(every: Sequence[Node], answers: tuple[str, ...]) -> tuple[Axis, ...]:
    layers = tuple(map(str, dict.fromkeys(one.layer for one in every)))
    axes = [Axis("layer", layers)]
    if every[0].heads is not None:
        name = "group" if every[0].kind in ("k", "v") else "head"
        axes.append(Axis(name, tuple(map(str, dict.fromkeys(one.index for one in every)))))
    return (*axes, Axis("answer_digit", answers))


def _checked(every: Sequence[Node], effects: Floats, seed: int) -> list[int]:
    """All nodes, or of many the upper half by estimate and as many others at random."""
    if len(every) <= _MOST_CHECKED:
        return list(range(len(every)))
    size = np.abs(mean_of(over_answers(effects)))
    order = np.argsort(-np.nan_to_num(size), kind="stable")
    rest = np.random.default_rng([seed, 6]).permutation(order[_MOST_CHECKED // 2 :])
    return sorted([*order[: _MOST_CHECKED // 2].tolist(), *rest[: _MOST_CHECKED // 2].tolist()])


def _table(
    every: Sequence[Node], checked: Sequence[int], effects: Floats, exact: Floats
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "node": [every[i].name for i in checked],
            "estimate": mean_of(over_answers(effects[:, checked])),
            "exact": mean_of(over_answers(exact)),
        }
    )

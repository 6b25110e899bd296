"""MLP neurons: which carry the answer, by gradients and exactly, alone and together.

Every neuron's patching effect is estimated by attribution patching (`interp.heads.screen`),

    effect_i ≈ Σ over positions of (a*_i − a_i) · ∂v/∂a_i,

with a_i its activation, * the source's prompt and v the logit difference. The neurons with the
largest |mean estimate| on one half of the prompts are patched exactly on the other, one by one and
all at once, beside as many neurons drawn at random from the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import InputError
from interp.heads.effects import halves, mean_of, over_answers, told
from interp.heads.estimates import Estimates, agreement
from interp.heads.metrics import Direction, Floats
from interp.heads.nodes import Node, nodes_of
from interp.heads.number_directions import number_cosines
from interp.heads.pairs import pairs
from interp.heads.results.neurons import NeuronEffects
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

_DRAWS = 10  # random sets of each size


@shows_progress
def neurons(
    model: Model,
    asked: Asked,
    *,
    n: int = 64,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    top: int = 32,
    steps: int = 1,
    direction: Direction = "noise",
    swap: str | None = None,
    corrupted: Problems | PromptBatch | None = None,
    answers: Sequence[str] | str | None = None,
    prefix: Prefix = "keep",
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> NeuronEffects:
    """Effects of the `top` neurons on the logit difference, and cosines of MLPs with numbers.

    Args:
        asked, n, seed, format, held_out, direction, swap, corrupted, answers, prefix: as in
            `interp.heads.patch`.
        top: neurons that are patched exactly; as many random ones are the control.
        steps: points of the gradient, as in `interp.heads.screen`.
        memory, cancel, progress: as in `engine.gradients`.

    Does not show: neurons that a gradient misses because they are saturated; what a neuron
    computes (`interp.geometry.grid`).

    Raises:
        InputError: for an unknown direction, a `top` that leaves no neurons for the control, and
            prompts that do not align.
        SiteError: for a model without MLPs.
    """
    model.require_site("mlp_post")
    if steps < 1:
        raise InputError("a gradient takes at least one step")
    if direction not in get_args(Direction):
        raise InputError(f"unknown direction {direction!r}: choose denoise or noise")
    count = model.shape.n_layers * model.shape.d_mlp
    if not 1 <= top <= count // 2:
        raise InputError(
            f"top={top}: {model.name} has {count} neurons, and as many random ones are the "
            f"control; choose 1 to {count // 2}"
        )
    found = pairs(
        model, asked, swap=swap, corrupted=corrupted, answers=selection("roles", answers),
        prefix=prefix, n=n, seed=seed, format=format, held_out=held_out,
    )  # fmt: skip
    first, second = halves(found.clean.problems, seed)
    if len(first) < 1 or len(second) < 2:
        raise InputError("neurons are chosen on one half and scored on the other: give more n")
    resources = Resources(memory, cancel)
    every = nodes_of(model.shape, "neuron")
    made = Estimates(model, found, every, direction, resources)
    effects = made.estimated(steps, progress)  # [n, neurons, answers]
    chosen, random = _choice(mean_of(over_answers(effects[first])), top, seed)
    exact = made.exact([every[i] for i in (*chosen, *random)])[second]
    estimates = effects[second][:, [*chosen, *random]]
    groups, over = resampling(found.clean.problems[second])
    return NeuronEffects(
        model=found.clean.model,
        task=found.clean.problems.task.name,
        n=len(second),
        n_distinct=found.clean[second].n_distinct,
        seed=seed,
        settings=dict(found.settings) | {
            "top": top,
            "steps": steps,
            "direction": direction,
            "answers": None if answers is None else found.answers,
            "neurons": count,
            "chosen_on": len(first),
        },
        effects=_table([every[i].name for i in (*chosen, *random)], top, estimates, exact, groups,
                       seed),
        together=_together(made, every, chosen, second, groups, seed),
        total=float(np.nanmean(made.total[second])),
        agreement=told(agreement(estimates, exact, seed, top=0.5)),
        **vars(number_cosines(model, found.clean, found.answers, resources, seed)),
        resampled=over,
    )  # fmt: skip


def _choice(estimates: Floats, top: int, seed: int) -> tuple[list[int], list[int]]:
    """Indices of the neurons with the largest |estimate|, and of as many others at random."""
    order = np.argsort(-np.abs(np.nan_to_num(estimates)), kind="stable")
    rest = np.random.default_rng([seed, 8]).permutation(order[top:])
    return order[:top].tolist(), rest[:top].tolist()


def _table(
    names: Sequence[str],
    top: int,
    estimates: Floats,
    exact: Floats,
    groups: npt.NDArray[np.int64],
    seed: int,
) -> pd.DataFrame:
    """One row a neuron: whether it was chosen, estimate and exact effect on the other half."""
    values = over_answers(exact)
    low, high = mean_interval(values, groups, seed=seed)
    return pd.DataFrame(
        {
            "neuron": list(names),
            "chosen": np.arange(len(names)) < top,
            "estimate": mean_of(over_answers(estimates)),
            "exact": mean_of(values),
            "exact_low": low,
            "exact_high": high,
        }
    )


def _together(
    made: Estimates,
    every: Sequence[Node],
    chosen: Sequence[int],
    rows: npt.NDArray[np.intp],
    groups: npt.NDArray[np.int64],
    seed: int,
) -> pd.DataFrame:
    """Effect of patching the first neurons at once, random ones, and all there are."""
    sizes = _sizes(len(chosen))
    rng = np.random.default_rng([seed, 10])
    draws = [rng.permutation(len(every))[: sizes[-1]] for _ in range(_DRAWS)]
    sets: list[Sequence[int]] = [chosen[:k] for k in sizes]
    sets += [drawn[:k].tolist() for drawn in draws for k in sizes]
    sets += [range(len(every))]
    values = over_answers(made.exact_sets([[every[i] for i in one] for one in sets])[rows])
    own = np.concatenate([values[:, : len(sizes)], values[:, -1:]], axis=1)
    low, high = mean_interval(own, groups, seed=seed)
    random = mean_of(values[:, len(sizes) : -1]).reshape(_DRAWS, len(sizes))
    whole = [*sizes, len(every)]
    spread = np.percentile(random, [2.5, 97.5], axis=0)

    def with_all(column: Floats) -> Floats:
        return np.append(column, np.nan)

    return pd.DataFrame(
        {
            "neurons": whole,
            "effect": mean_of(own),
            "effect_low": low,
            "effect_high": high,
            "random": with_all(random.mean(axis=0)),
            "random_low": with_all(spread[0]),
            "random_high": with_all(spread[1]),
        }
    )


def _sizes(top: int) -> list[int]:
    """1, 2, 4, … and `top`."""
    return sorted({*(2**i for i in range(top.bit_length()) if 2**i <= top), top})

"""Counterfactual logit attribution: effect of each operand digit on each answer digit's logit.

    D[t, k] = mean over prompts of  logit_{c_k}(ORIG) − logit_{c_k}(COUNTER_t)

after Fig. 2 of arXiv 2510.00184, for every operand digit t and answer digit k, with the exact
probability that c_k changes. `targets` defines the token whose logit is read, `swaps` the changed
prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import numpy.typing as npt

from interp.attribution.measure import Floats, Measured, measure
from interp.attribution.oracle import answer_changes, change_probability
from interp.attribution.results.counterfactual import CounterfactualAttribution
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources, Savings
from interp.engine.targets import Target
from interp.errors import InputError
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Draws, Prefix, Swap, check_true_answers, swaps
from interp.results.grid import Axis, Grid
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling


@shows_progress
def counterfactual(
    model: Model,
    asked: Asked,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    prefix: Prefix = "keep",
    target: Target = "argmax",
    draws: Draws = "one",
    operand_digits: str | Sequence[str] | None = None,
    memory: int = 2**30,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> CounterfactualAttribution:
    """Effect of each operand digit on each answer digit's logit, with the oracle.

    Args:
        asked: a task's name, a Task, Problems, or a PromptBatch with the true answers.
        n, seed, held_out: the sample of the task's problems (`interp.models.asking`).
        format: the format of the prompts; None means the model's first.
        prefix: "keep" leaves the original's answer before each digit that is read; "recompute"
            puts the changed problem's own true answer there.
        target: the token whose logit is read (`targets`).
        draws: "one" replacement a prompt and digit, drawn with `seed`; "all" other values of the
            digit, averaged within the prompt, for spaces small enough to enumerate.
        operand_digits: the digits to replace; None means every one that the prompts write.
        memory, savings, cancel, progress: as in `engine.run_variants`.

    Returns:
        The matrix with intervals, oracle and noise floor. The noise floor is the difference, at the
        same token, between the engine's run with its savings and a plain one.

    Does not show: where in the model the dependence arises.

    Raises:
        InputError: for an unknown policy or operand digit, or prompts without their true answers.
    """
    _check_choice("prefix", prefix, get_args(Prefix))
    _check_choice("target", target, get_args(Target))
    _check_choice("draws", draws, get_args(Draws))
    batch, sampled = prompts(
        model, asked, n=n, seed=seed, format=format, held_out=held_out
    )  # fmt: skip
    check_true_answers(model, batch)
    written = batch.operand_digit_roles
    roles = selection("operand_digits", operand_digits) or written
    for role in roles:
        _check_choice("operand digit", role, written)
    answers = batch.answer_roles_least_first
    # One seed per digit, so that its replacements do not depend on the other digits selected.
    seeds = dict(
        zip(written, np.random.SeedSequence(seed).generate_state(len(written)), strict=True)
    )
    every = [swap for role in roles for swap in swaps(batch, role, draws, int(seeds[role]))]
    if not every:
        raise InputError("no operand digit of these prompts has another value to take")
    resources = Resources(memory, cancel, progress, savings)
    measured = measure(model, batch, every, answers, prefix, target, resources)
    settings = {
        "format": batch.format,
        **sampled,
        "prefix": prefix,
        "target": target,
        "draws": draws,
        "operand_digits": None if operand_digits is None else roles,
    }
    return _result(batch, roles, answers, every, measured, settings, seed)


def _result(
    batch: PromptBatch,
    roles: Sequence[str],
    answers: Sequence[str],
    swaps: Sequence[Swap],
    measured: Measured,
    settings: Mapping[str, object],
    seed: int,
) -> CounterfactualAttribution:
    groups, over = resampling(batch.problems)
    prefix = str(settings["prefix"])
    mine = [[i for i, swap in enumerate(swaps) if swap.role == role] for role in roles]

    def by_prompt(values: Floats) -> Floats:
        """The mean over each role's draws, [n, roles, answers]."""
        return np.stack([_mean(values[draws]) for draws in mine], axis=1)

    moved = np.abs(measured.delta)
    changes = np.stack([answer_changes(batch, swap, answers, prefix) for swap in swaps])
    signed, size = by_prompt(measured.delta), by_prompt(moved)
    chance = [change_probability(batch, role, answers, prefix) for role in roles]
    left_out = np.isnan(size)
    axes = (Axis("operand_digit", tuple(roles)), Axis("answer_digit", tuple(answers)))
    return CounterfactualAttribution(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings=settings,
        effect=_estimate(signed, groups, axes, seed),
        magnitude=_estimate(size, groups, axes, seed),
        oracle=Grid(_mean(np.where(left_out, np.nan, np.stack(chance, axis=1))), axes),
        used=Grid((~left_out).sum(axis=0), axes),
        noise=Grid(np.broadcast_to(measured.noise, (len(roles), len(answers))), axes),
        by_prompt=size.astype(np.float32),
        changed=by_prompt(np.where(changes, moved, np.nan)).astype(np.float32),
        stayed=by_prompt(np.where(changes, np.nan, moved)).astype(np.float32),
        group=groups,
        resampled=over,
        correct=measured.correct,
        pairs=int(sum(swap.valid.sum() for swap in swaps)),
    )


def _estimate(
    values: Floats, group: npt.NDArray[np.int64], axes: tuple[Axis, ...], seed: int
) -> Grid:
    return Grid(_mean(values), axes, *mean_interval(values, group, seed=seed))


def _mean(values: Floats) -> Floats:
    """Mean over axis 0 without NaN; NaN where all are NaN."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")

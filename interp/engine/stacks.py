"""Variants that start at the same place, run as one pass: their rows one after the other.

A variant's pass over a few positions of a few rows is too small for the matrix products to run at
full speed, and each block call has a fixed cost. K variants of the same prompts that start at the
same position and block share both: rows k·m … (k+1)·m of the pass belong to variant k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from interp.engine.interventions import UserHook
from interp.engine.passes import Job, Outcome
from interp.engine.plan import Plan

_POSITIONS = 4096  # row-positions per pass; the matrix products are at full speed below that


def stackable(plan: Plan) -> bool:
    """Whether a variant's pass may share rows with others: a UserHook must see its own alone."""
    return bool(plan.edits) and not any(isinstance(e.what, UserHook) for e in plan.edits)


def at_once(rows: int, width: int, fits: int) -> int:
    """Number of passes over `rows` rows of `width` positions to stack, at least 1; `fits` rows fit
    into memory."""
    return max(1, min(fits // rows, _POSITIONS // (rows * max(1, width))))


def stacked(jobs: Sequence[Job]) -> Job:
    """One pass for passes that differ in their edits alone."""
    first, count = jobs[0], len(jobs)
    if count == 1:
        return first

    def repeated(x: torch.Tensor | None) -> torch.Tensor | None:
        return None if x is None else x.repeat(count, *[1] * (x.ndim - 1))

    picked = {key: x.repeat(count, 1) for key, x in first.pick.items()}
    return replace(
        first,
        tokens=first.tokens.repeat(count, 1),
        resid=repeated(first.resid),
        edits=[edit for job in jobs for edit in job.edits],
        stack_of=[number for number, job in enumerate(jobs) for _ in job.edits],
        stacks=count,
        clean={key: value for job in jobs for key, value in job.clean.items()},
        pick=picked,
        logit_positions=repeated(first.logit_positions),
    )


def unstacked(outcome: Outcome, jobs: Sequence[Job]) -> list[Outcome]:
    """Each variant's part of a stacked pass."""
    if len(jobs) == 1:
        return [outcome]
    parts, fired, rows = [], iter(outcome.fired), len(jobs[0].tokens)
    for number, job in enumerate(jobs):
        mine = slice(number * rows, (number + 1) * rows)
        parts.append(
            Outcome(
                outcome.start,
                None if outcome.logits is None else outcome.logits[mine],
                {key: value[mine] for key, value in outcome.kept.items()},
                {},
                {},
                [next(fired) for _ in job.edits],
            )
        )
    return parts

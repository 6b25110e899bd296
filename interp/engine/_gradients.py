"""Gradients of a logit metric with respect to named activations."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch

from interp.engine._run import DEFAULT_MEMORY
from interp.engine.cost import pass_flops, plain_flops, rows_in_memory
from interp.engine.gather import Collected, gather
from interp.engine.interventions import Intervention, as_interventions
from interp.engine.passes import Job, Outcome, forward
from interp.engine.plan import Logits, Plan, check_subject, make_plan
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Cost, Progress, ReadLike, Run, Savings, as_reads
from interp.errors import InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch

Metric = Callable[[torch.Tensor, PromptBatch], torch.Tensor]


@shows_progress
def gradients(
    model: Model,
    batch: PromptBatch,
    reads: Sequence[ReadLike],
    *,
    of: Literal["true"] | Metric = "true",
    logits: Logits = "answer",
    interventions: Sequence[Intervention] = (),
    memory: int = DEFAULT_MEMORY,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Run:
    """Gradients d m / d x of a metric m, one number per row, for every activation x that is read.

    `of="true"` is the sum over the requested roles of the true token's logit; a function takes
    (logits [m, roles, d_vocab], NaN where a row lacks the role, and the batch of these rows) and
    returns one number a row. Rows are independent prompts, so the gradient of the sum gives each
    row's gradient. `Run.gradients` and `Run.activations` map (site, layer) to [n, roles, …].
    The gradient at `resid_mid` is that of the stream: the effect of a small change of attn_out.

    A vanishing gradient does not show that an activation is unused: a saturated unit has none.
    """
    if of != "true" and not callable(of):
        raise InputError(f"of={of!r} is no metric: give 'true' or a function of logits and batch.")
    check_subject(model, batch)
    reads = as_reads(reads)
    if not reads:
        raise InputError("gradients of what with respect to what? Give at least one Read.")
    everything = Savings(prefix=False, layers=False, logits=True, early_stop=True)
    plan = make_plan(model, batch, as_interventions(interventions), reads, logits, everything)
    if plan.logit_positions is None:
        raise InputError("gradients need logits: name the roles that the metric reads.")
    if any(edit.needs_clean() or edit.needs_mean() for edit in plan.edits):
        raise InputError("gradients take no Freeze or Mean: run the clean pass and pass Rows.of.")
    step = rows_in_memory(
        model,
        length=plan.end,
        logit_positions=len(plan.logit_roles),
        read_width=sum(len(r.layers) for r in plan.readings) * plan.end * model.shape.d_mlp,
        kept_resids=0,
        memory=memory,
        grad=True,
    )
    values: list[Collected] = []
    slopes: list[Collected] = []
    fired = [0] * len(plan.edits)
    began = time.perf_counter()
    starts = range(0, len(batch), step)
    for done, first in enumerate(starts):
        if cancel is not None:
            cancel.check()
        rows = slice(first, min(first + step, len(batch)))
        value, slope, places = _minibatch(model, plan, rows, of)
        values.append(value.to_cpu())
        slopes.append(slope.to_cpu())
        fired = [a + b for a, b in zip(fired, places, strict=True)]
        if progress is not None:
            progress(done + 1, len(starts))
    if 0 in fired:
        raise InputError(
            f"the intervention {plan.edits[fired.index(0)].what.spec()} fired on nothing."
        )
    whole = Collected.concatenate(values)
    forward_flops = pass_flops(
        model,
        rows=len(batch),
        start=0,
        end=plan.end,
        layers=model.shape.n_layers,
        unembedded=len(plan.logit_roles),
    )
    cost = Cost(
        2 * forward_flops,  # weights are frozen: backward costs about one forward
        2 * plain_flops(model, rows=len(batch), length=plan.end),
        time.perf_counter() - began,
    )
    return Run(
        name="gradients",
        logits=whole.logits,
        logit_roles=plan.logit_roles,
        activations=whole.activations,
        gradients=Collected.concatenate(slopes).activations,
        fired=tuple(fired),
        changed=None,
        cost=cost,
    )


def _minibatch(
    model: Model, plan: Plan, rows: slice, of: Literal["true"] | Metric
) -> tuple[Collected, Collected, list[int]]:
    positions = plan.logit_positions
    assert positions is not None
    job = Job(
        plan.batch.tokens[rows, : plan.end].to(model.device),
        rows,
        plan.batch.n_input,
        edits=plan.edits,
        want=frozenset((r.site, layer) for r in plan.readings for layer in r.layers),
        logit_positions=positions[rows].to(model.device),
        grad=True,
    )
    with model.lock:
        outcome = forward(model.adapter, job)
        assert outcome.logits is not None
        part = plan.batch[rows]
        total = _metric(outcome.logits, part, plan, rows, of).sum()
        keys = list(outcome.on_path)
        found = torch.autograd.grad(
            total, [outcome.on_path[key] for key in keys], allow_unused=True
        )
    slopes = Outcome(0, None, {}, {}, {}, [])
    for key, slope in zip(keys, found, strict=True):
        if slope is None:  # the metric does not depend on it
            slope = torch.zeros_like(outcome.on_path[key])
        slopes.kept[key] = slope.transpose(1, 2) if key[0] == "pattern" else slope
    outcome.logits = outcome.logits.detach()
    outcome.kept = {key: value.detach() for key, value in outcome.kept.items()}
    value = gather(plan, job, outcome, None)
    slope_rows = gather(_without_logits(plan), job, slopes, None)
    return value, slope_rows, outcome.fired


def _metric(
    logits: torch.Tensor,
    batch: PromptBatch,
    plan: Plan,
    rows: slice,
    of: Literal["true"] | Metric,
) -> torch.Tensor:
    """Metric m of each row, [n]; raises InputError for any other return value."""
    if not callable(of):
        return _true_logits(logits, batch, plan.logit_roles)
    assert plan.logit_positions is not None
    absent = (plan.logit_positions[rows] < 0).to(logits.device)
    value = of(logits.masked_fill(absent[..., None], torch.nan), batch)
    shape = list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
    if shape != [len(batch)]:
        raise InputError(
            f"the metric must return one number a row, [{len(batch)}], not {shape}. "
            f"Sum over roles and tokens inside it."
        )
    if not value.requires_grad:
        raise InputError("the metric does not depend on the logits: it has no gradient.")
    return value


def _without_logits(plan: Plan) -> Plan:
    return replace(plan, logit_positions=None)


def _true_logits(logits: torch.Tensor, batch: PromptBatch, roles: Sequence[str]) -> torch.Tensor:
    """Sum over roles of the logit of the token at the role; absent roles count 0."""
    total = torch.zeros(len(logits), dtype=logits.dtype, device=logits.device)
    for column, role in enumerate(roles):
        labels = batch.labels(role).to(logits.device)
        picked = logits[:, column].gather(1, labels.clamp(min=0)[:, None])[:, 0]
        total = total + torch.where(labels >= 0, picked, torch.zeros_like(picked))
    return total

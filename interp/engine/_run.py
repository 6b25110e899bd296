"""Run a model on prompts: plain, with interventions, or as many variants of one clean run.

The clean run is computed once per minibatch. A variant starts at the first position and block where
it can differ from the clean run, with the clean run's keys, values and residual stream; earlier
results are the clean run's. `Savings` switches each of these off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from interp.engine.edits import Edit
from interp.engine.interventions import Intervention, as_interventions, kind
from interp.engine.plan import Logits, Plan, check_subject, last_position, make_plan
from interp.engine.progress import shows_progress
from interp.engine.requests import (
    Cancel,
    Progress,
    Read,
    ReadLike,
    Run,
    Savings,
    Variant,
    as_reads,
)
from interp.engine.sweep import Reduce, Sweep
from interp.errors import InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch

DEFAULT_MEMORY = 2**30


@shows_progress
def run(
    model: Model,
    batch: PromptBatch,
    interventions: Sequence[Intervention] = (),
    *,
    reads: Sequence[ReadLike] = (),
    logits: Logits = "answer",
    reduce: Reduce | None = None,
    memory: int = DEFAULT_MEMORY,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run `batch` once; with interventions also the clean run, to report which logits changed.

    `logits` names the roles whose predictions are returned: "answer", "all", "last", some roles, or
    None for none. `reduce(logits [m, roles, d_vocab], rows)` replaces the logits of each minibatch
    by something smaller. `memory` bounds a minibatch, in bytes.

    Raises InputError for an intervention that never fires, SiteError for a site that this model
    lacks (or the self-check refused), RoleError for a role that no prompt has, Cancelled on
    request.
    """
    variant = Variant("run", as_interventions(interventions))
    return run_variants(
        model,
        batch,
        [variant],
        reads=reads,
        logits=logits,
        reduce=reduce,
        memory=memory,
        savings=savings,
        cancel=cancel,
        progress=progress,
    )[0]


@shows_progress
def run_variants(
    model: Model,
    batch: PromptBatch,
    variants: Sequence[Variant],
    *,
    reads: Sequence[ReadLike] = (),
    logits: Logits = "answer",
    reduce: Reduce | None = None,
    memory: int = DEFAULT_MEMORY,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Several runs that share one clean pass: one Run per variant, in order. A Variant without
    prompts and interventions is the clean run. Arguments and errors as in `run`.

    The first Run's cost includes the clean pass. Numbers equal those of separate complete forwards
    within `tolerance`.
    """
    check_subject(model, batch)
    if isinstance(variants, Variant | str) or not all(isinstance(v, Variant) for v in variants):
        raise InputError(
            f"variants is a list of Variant, not a {kind(variants)} of anything else: write "
            f"[Variant(name, [Replace(site, source)])]."
        )
    if not variants:
        raise InputError("there is nothing to run: give at least one Variant.")
    savings = _possible(model, savings or Savings())
    wanted = as_reads(reads)
    base = make_plan(model, batch, (), wanted, logits, savings)
    plans = [_variant_plan(model, base, v, wanted, savings, memory, cancel) for v in variants]
    # The clean run must reach every position that a variant starts from or is held at.
    ends = [p.end for p in plans if p.batch is base.batch]
    ends += [last_position(p.held, batch.n_input) for p in plans]
    base = replace(base, end=max([base.end, *ends]))
    sweep = Sweep(model, base, plans, savings, reduce)
    step = sweep.rows_at_once(memory)
    starts = range(0, len(batch), step)
    total, done = len(starts) * (1 + len(plans)), 0
    for first in starts:
        rows = slice(first, min(first + step, len(batch)))
        _check(cancel)
        clean = sweep.clean_pass(rows)
        done += 1
        if progress is not None:
            progress(done, total)
        for numbers in sweep.groups(rows, memory):
            _check(cancel)
            sweep.variant_passes(numbers, clean)
            done += len(numbers)
            if progress is not None:
                progress(done, total)
    return sweep.runs([v.name for v in variants])


def _check(cancel: Cancel | None) -> None:
    if cancel is not None:
        cancel.check()


def _possible(model: Model, savings: Savings) -> Savings:
    """Savings available for this model: a wrapped module always runs from its first token and
    block, and without a causal mask every position depends on all tokens."""
    if model.adapter.whole:
        return replace(savings, prefix=False, layers=False)
    return savings if model.adapter.causal else replace(savings, prefix=False)


def _variant_plan(
    model: Model,
    base: Plan,
    variant: Variant,
    reads: Sequence[Read],
    savings: Savings,
    memory: int,
    cancel: Cancel | None,
) -> Plan:
    own = variant.batch if variant.batch is not None else base.batch
    if len(own) != len(base.batch):
        raise InputError(
            f"variant {variant.name!r} must have the {len(base.batch)} rows of the clean batch, "
            f"not {len(own)}."
        )
    wanted = base.logit_roles or None
    plan = make_plan(
        model, own, variant.interventions, reads, wanted, savings, strict=False, clean=base.batch
    )
    edits = tuple(
        _with_means(model, own, edit, memory, savings, cancel) if edit.needs_mean() else edit
        for edit in plan.edits
    )
    return replace(plan, edits=edits)


def _with_means(
    model: Model,
    batch: PromptBatch,
    edit: Edit,
    memory: int,
    savings: Savings,
    cancel: Cancel | None,
) -> Edit:
    """Mean over rows at each role, in float64, from a clean run of the whole batch."""
    read = Read(edit.site, None if edit.site == "ln_final" else edit.layers, edit.what.roles)
    found = run(
        model, batch, reads=[read], logits=None, memory=memory, savings=savings, cancel=cancel
    ).activations
    means = {layer: value.double().nanmean(dim=0) for (_, layer), value in found.items()}
    return replace(edit, means=means)

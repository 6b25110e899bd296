"""Activation patching: put one node's activation of another prompt in, and read the answer.

Denoising runs the corrupted prompt with one clean activation: an effect shows that the node's
information is enough to restore the answer. Noising runs the clean prompt with one corrupted
activation: an effect shows that the node is needed (Heimersheim & Nanda, arXiv 2404.15255).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from interp.arithmetic.problems import Problems
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources, Savings, tolerance
from interp.errors import InputError, RoleError
from interp.heads.cells import Donor, Reader, read_plain, reader, reads_of
from interp.heads.effects import chosen_and_scored, discoveries, estimate, over_answers
from interp.heads.kept import read_cells_kept, shard_of
from interp.heads.metrics import Direction, Floats, Readout, check_varies, metric, own_answer
from interp.heads.nodes import INDEXED, KINDS, Kind, Node, nodes_of
from interp.heads.pairs import Pairs, control, pairs
from interp.heads.results.patch import ActivationPatching
from interp.heads.workers import in_workers
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix
from interp.results.grid import Axis, Grid
from interp.results.resampling import resampling

DEFAULT_METRICS = ("logit_difference", "probability", "relative_logit", "indirect_effect", "flip")


@shows_progress
def patch(
    model: Model,
    asked: Asked,
    *,
    n: int = 64,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    kind: str = "head",
    roles: Sequence[str] | str | None = None,
    direction: Direction = "denoise",
    metrics: Sequence[str] | str = DEFAULT_METRICS,
    swap: str | None = None,
    corrupted: Problems | PromptBatch | None = None,
    answers: Sequence[str] | str | None = None,
    prefix: Prefix = "keep",
    same_answer: bool = True,
    keep: str | Path | None = None,
    shard: str | None = None,
    n_jobs: int = 1,
    memory: int = 2**30,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> ActivationPatching:
    """Effect of every node of a kind on every answer digit, with interval and controls.

    Args:
        asked: a task's name, a Task, Problems, or a PromptBatch with the true answers.
        n, seed, held_out: the sample of the task's problems (`interp.models.asking`); the seed also
            draws the swaps, the two halves and the resamples.
        format: the format of the prompts; None means the model's first.
        kind: "head" (outputs z), "q", "k", "v", "pattern", "mlp", "attn", "resid_pre", "resid_mid",
            "resid_post". With fewer key/value groups than heads, k and v are patched by group.
        roles: None patches a node at all positions at once; role names, or "each", make a cell for
            each node and role.
        direction: "denoise" or "noise".
        metrics: names of `interp.heads.metrics`; the first leads: it is what is tested, chosen and
            scored. "kl" is slower and needs memory.
        swap, corrupted, answers, prefix: the pairs (`interp.heads.pairs`).
        same_answer: whether to run the control: sources with other operands and the same answer.
        keep: a folder that keeps finished cells, for long sweeps: a call with the same folder goes
            on where the last one ended (`interp.heads.kept`).
        shard: "1/4" measures a quarter of the cells into `keep`; the others are NaN until a call
            without a shard merges them.
        n_jobs: processes, each with cores // n_jobs threads, that share the cells in chunks of 64
            (`interp.heads.workers`); the model must be one that its name opens.
        memory, savings, cancel, progress: as in `engine.run_variants`.

    Does not show: the path by which a node acts (`interp.heads.paths`), nor what several nodes do
    together: effects do not add up where one node replaces another.

    Raises:
        InputError: for an unknown kind, direction or metric, for prompts that do not align, and for
            a metric that is constant over clean and corrupted prompts.
        RoleError: for a role that no prompt has, or at which nothing can change.
        SiteError: for a site that the model lacks, or that its self-check refused.
    """
    if n_jobs != 1:
        options = {
            "n": n, "seed": seed, "format": format, "held_out": held_out, "kind": kind,
            "roles": roles, "direction": direction, "metrics": metrics, "swap": swap,
            "corrupted": corrupted, "answers": answers, "prefix": prefix,
            "same_answer": same_answer, "memory": memory, "savings": savings,
        }  # fmt: skip
        if shard is not None:
            raise InputError("shard= splits over machines, n_jobs= over processes: give one")
        merged: ActivationPatching = in_workers(
            patch, model, asked, options, n_jobs=n_jobs, keep=keep, progress=progress,
            cancel=cancel,
        )  # fmt: skip
        return merged
    if kind not in KINDS or kind == "neuron":
        known = ", ".join(k for k in KINDS if k != "neuron")
        raise InputError(
            f"no nodes of kind {kind!r} are patched: choose from {known}, or interp.heads.neurons"
        )
    if direction not in get_args(Direction):
        raise InputError(f"unknown direction {direction!r}: choose denoise or noise")
    names = selection("roles", metrics) or ()
    for name in names:
        metric(name)
    found = pairs(
        model,
        asked,
        swap=swap,
        corrupted=corrupted,
        answers=selection("roles", answers),
        prefix=prefix,
        n=n,
        seed=seed,
        format=format,
        held_out=held_out,
    )
    every = [node for one in KINDS if one == kind for node in nodes_of(model.shape, one)]
    places = _places(found, roles)
    cells = [node.at(role) for node in every for role in places or ("",)]
    resources = Resources(memory, cancel, progress, savings)
    kept = {"keep": keep, "shard": shard}
    shard_of(shard)
    measured = _measure(model, found, cells, direction, names, same_answer, seed, resources, kept)
    settings = dict(found.settings) | {
        "kind": kind,
        "roles": None if roles is None else places,
        "direction": direction,
        "metrics": list(names),
        "answers": None if answers is None else found.answers,
        "same_answer": same_answer,
    }
    return _result(model, found, measured, cells, places, direction, names, settings, seed)


def _places(found: Pairs, roles: str | Sequence[str] | None) -> tuple[str, ...]:
    """The roles of separate cells; () for one cell a node."""
    if roles is None:
        return ()
    named = selection("roles", roles) or ()
    if named == ("each",):
        return found.roles
    for role in named:
        where = found.clean.position_array(role)
        if where.max() < found.first:
            raise RoleError(
                f"clean and corrupted prompts are still equal at {role!r}, so a patch there has no "
                f"effect: choose from {', '.join(found.roles)}"
            )
    return tuple(named)


class _Measured:
    """Readouts of the plain runs [n, answers], of the cells [cells, n, answers], of the control and
    of the no-op patches."""

    clean: Readout
    corrupted: Readout
    base: Readout
    cells: Readout
    same: Readout | None = None
    has_control: Any = None
    noop: Readout
    largest: float


def _measure(
    model: Model,
    found: Pairs,
    cells: Sequence[Node],
    direction: Direction,
    names: Sequence[str],
    same_answer: bool,
    seed: int,
    resources: Resources,
    kept: dict[str, Any],
) -> _Measured:
    read = reader(model, found, names, resources)
    out = _Measured()
    run, source = found.run_and_source(direction)
    roles = tuple(dict.fromkeys([*found.roles, *(node.role for node in cells if node.role)]))
    reads = reads_of({node.kind for node in cells}, roles)
    base, mine = read_plain(model, run, found, read, resources, reads)
    given, theirs = read_plain(model, source, found, read, resources, reads)
    out.base = base
    out.clean, out.corrupted = (given, base) if direction == "denoise" else (base, given)
    lead = metric(names[0])
    total = lead.total(out.clean, out.corrupted)
    if total is not None:
        check_varies(names[0], total)
    out.largest = float(np.nanmax(np.abs(np.stack([base.right, base.other]))))
    donor = Donor(theirs, roles)
    out.cells = _patched(model, run, cells, donor, found, read, resources, **kept)
    quiet = replace(resources, progress=None)
    own = Donor(mine, roles)
    few = [cells[i] for i in np.linspace(0, len(cells) - 1, min(5, len(cells))).astype(int)]
    out.noop = _patched(model, run, few, own, found, read, quiet)
    if same_answer:
        batch, out.has_control = control(model, found, direction, seed)
        if out.has_control.any():
            _, other = read_plain(model, batch, found, read, quiet, reads)
            donor = Donor(other, roles)
            out.same = _patched(model, run, cells, donor, found, read, quiet, **kept)
    return out


def _patched(
    model: Model,
    run: PromptBatch,
    cells: Sequence[Node],
    donor: Donor,
    found: Pairs,
    read: Reader,
    resources: Resources,
    *,
    keep: str | Path | None = None,
    shard: str | None = None,
) -> Readout:
    interventions = {node.name: (donor.patch(node),) for node in cells}
    return read_cells_kept(
        model, run, interventions, found, read, resources, keep=keep, shard=shard
    )


def _result(
    model: Model,
    found: Pairs,
    measured: _Measured,
    cells: Sequence[Node],
    places: tuple[str, ...],
    direction: Direction,
    names: Sequence[str],
    settings: dict[str, Any],
    seed: int,
) -> ActivationPatching:
    lead = metric(names[0])
    shape, axes = _axes(model, cells, places, found.answers)
    groups, over = resampling(found.clean.problems)

    def arranged(effects: Floats) -> Floats:
        """[cells, n, answers] → [n, …cells, answers]."""
        return np.moveaxis(effects, 1, 0).reshape(len(found), *shape, len(found.answers))

    by_metric = [
        arranged(metric(name).effect(measured.cells, measured.base, direction)) for name in names
    ]
    effect = estimate(
        np.stack(by_metric, axis=1), groups, (Axis("metric", tuple(names)), *axes), seed
    )
    main = estimate(by_metric[0], groups, axes, seed)
    totals = [metric(name).total(measured.clean, measured.corrupted) for name in names]
    empty = np.full((len(found), len(found.answers)), np.nan)
    total = estimate(
        np.stack([empty if t is None else t for t in totals], axis=1),
        groups,
        (Axis("metric", tuple(names)), axes[-1]),
        seed,
    )
    noop = np.abs(lead.effect(measured.noop, measured.base, direction))
    noise = float(np.nanmax(noop, initial=0.0))
    floor = tolerance(model.dtype) * measured.largest
    same = by_control = None
    if measured.same is not None:
        both = (measured.same, measured.base)
        if names[0] == "indirect_effect":
            both = (own_answer(both[0], direction), own_answer(both[1], direction))
        by_control = arranged(lead.effect(*both, direction))
        by_control[~measured.has_control] = np.nan
        same = estimate(by_control, groups, axes, seed)
    flat = over_answers(by_metric[0].reshape(len(found), len(cells), -1))
    return ActivationPatching(
        model=found.clean.model,
        task=found.clean.problems.task.name,
        n=len(found),
        n_distinct=found.clean.n_distinct,
        seed=seed,
        settings=settings,
        effect=effect,
        q=Grid(discoveries(main, max(noise, floor)), axes),
        total=total,
        same_answer=same,
        with_control=0 if measured.has_control is None else int(measured.has_control.sum()),
        used=Grid(
            (~np.isnan(totals[0] if totals[0] is not None else measured.base.right)).sum(axis=0),
            axes[-1:],
        ),
        noise=noise,
        floor=floor,
        small_logits=float(np.nanmean(np.abs(measured.base.right) < 1.0)),
        chosen=chosen_and_scored(flat, tuple(c.name for c in cells), found.clean.problems, seed),
        by_prompt=by_metric[0].astype(np.float32),
        same_by_prompt=None if by_control is None else by_control.astype(np.float32),
        resampled=over,
    )


def _axes(
    model: Model, cells: Sequence[Node], places: tuple[str, ...], answers: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[Axis, ...]]:
    """Shape of the cells and axes layer, head or group, role, answer_digit; those that exist."""
    kind: Kind = cells[0].kind
    layers = dict.fromkeys(cell.layer for cell in cells)
    axes = [Axis("layer", tuple(map(str, layers)))]
    if kind in INDEXED:
        name = "group" if kind in ("k", "v") else "head"
        axes.append(Axis(name, tuple(map(str, dict.fromkeys(cell.index for cell in cells)))))
    if places:
        axes.append(Axis("role", places))
    shape = tuple(len(axis.labels) for axis in axes)
    return shape, (*axes, Axis("answer_digit", answers))

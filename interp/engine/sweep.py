"""State of one `run_variants` call: a clean pass per minibatch, and partial variant passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import torch

from interp.engine.cost import pass_flops, plain_flops, projection_flops, rows_in_memory
from interp.engine.edits import Edit
from interp.engine.gather import Collected, gather
from interp.engine.passes import Job, Key, Outcome, forward
from interp.engine.plan import Plan, first_difference, first_position
from interp.engine.prefix import SharedPrefix, common_prefix
from interp.engine.requests import Cost, Run, Savings, tolerance
from interp.engine.sources import place_shape
from interp.engine.stacks import at_once, stackable, stacked, unstacked
from interp.engine.tail import tail_start
from interp.errors import InputError
from interp.models.model import Model

_FEW = 64  # tokens that usually show a change

Reduce = Callable[[torch.Tensor, slice], torch.Tensor]


class CleanPass:
    """The parts of a minibatch's clean run that its variants need."""

    def __init__(self, rows: slice, outcome: Outcome, collected: Collected) -> None:
        self.rows, self.outcome, self.collected = rows, outcome, collected
        self._largest: dict[int, float] = {}  # by logit role, |clean logits|

    def differ(self, changed: torch.Tensor, present: torch.Tensor, equal: float) -> bool:
        """True if any logit [n, roles, d_vocab] moved by more than `equal`, as a share of the
        largest, or became NaN, at the `present` [n, roles] places. Computed role by role, since
        logits of a whole vocabulary are large; a few tokens are enough to see that something moved.
        """
        clean = self.collected.logits
        assert clean is not None
        places = [(role, present[:, role].to(clean.device)) for role in range(clean.shape[1])]
        places = [(role, rows) for role, rows in places if rows.any()]
        largest = max((self._size(role, rows) for role, rows in places), default=0.0)
        for tokens in (slice(0, _FEW), slice(_FEW, None)):
            for role, rows in places:
                before, after = clean[rows, role, tokens], changed[rows, role, tokens]
                if before.numel() and not (float((before - after).abs().max()) <= equal * largest):
                    return True  # NaN moved too
        return False

    def _size(self, role: int, rows: torch.Tensor) -> float:
        """Largest |clean logit| of a role; over all rows that have it, once."""
        clean = self.collected.logits
        assert clean is not None
        if not bool(rows.all()):
            return float(clean[rows, role].abs().max())
        if role not in self._largest:
            self._largest[role] = float(clean[:, role].abs().max())
        return self._largest[role]


class Sweep:
    """One `run_variants` call: shared state of its plans, and the results so far."""

    def __init__(
        self,
        model: Model,
        base: Plan,
        plans: list[Plan],
        savings: Savings,
        reduce: Reduce | None,
    ) -> None:
        self.model, self.base, self.plans = model, base, plans
        self.savings, self.reduce = savings, reduce
        self.results: list[list[Collected]] = [[] for _ in plans]
        self.fired = [[0] * len(plan.edits) for plan in plans]
        self.changed = [False] * len(plans)
        self.costs = [Cost(0.0, 0.0, 0.0) for _ in plans]
        stops = [plan.stop_layer for plan in (base, *plans)]
        self._stop = None if None in stops else max(stop or 0 for stop in stops)
        self._shared_prefix = SharedPrefix(model, self._stop)

    def rows_at_once(self, memory: int) -> int:
        held, picked = self._wanted(self.base) | self._clean_sources(), self._picked(self.base)
        width = 0
        for site, layer in held:
            roles = picked[site, layer].shape[1] if (site, layer) in picked else self.base.end
            width += roles * prod(place_shape(self.model, self.base.batch, site))
        read = max(len(self.base.logit_roles), 1)
        deep = {plan.first_edited_layer(self.model.shape.n_layers) for plan in self.plans}
        return rows_in_memory(
            self.model,
            length=max(plan.end for plan in [self.base, *self.plans]),
            logit_positions=read if self.savings.logits else self.base.end,
            read_width=width,
            kept_resids=len(deep),
            keys_values=any(self._reuses(plan) for plan in self.plans),
            memory=memory,
            grad=False,
        )

    def clean_pass(self, rows: slice) -> CleanPass:
        """Run the clean prompts of `rows`; shared positions are computed for one row."""
        began = time.perf_counter()
        width = self.base.batch.n_input
        tokens = self.base.batch.tokens[rows, : self.base.end].to(self.model.device)
        shared, start, spent = None, 0, 0.0
        needed = min([self.base.first_needed(rows), *(self._start(p, rows) for p in self.plans)])
        needed = min([needed, *(first_position(p.held, rows, needed) for p in self.plans)])
        common = common_prefix(tokens) if self.savings.prefix else 0
        if min(common, needed) > 1 and len(tokens) > 1:
            start = min(common, needed, self.base.end - 1)
            shared, head = self._shared_prefix(tokens[:, :start], rows, width)
            spent = 0.0 if head is None else self._job_flops(head)
        job = Job(
            tokens,
            rows,
            width,
            start=start,
            earlier=shared,
            stop_layer=self._stop,
            want=self._wanted(self.base) | self._clean_sources(),
            pick=self._picked(self.base, rows),
            keep=any(self._reuses(plan) for plan in self.plans),
            keep_resid=frozenset(self._first_layer(plan, rows) for plan in self.plans),
            logit_positions=_on(self.base.logit_positions, rows, self.model.device),
            all_logits=not self.savings.logits,
        )
        outcome = self._forward(job)
        collected = gather(self.base, job, outcome, None)
        spent += self._job_flops(job)
        self._charge(
            0, spent, plain_flops(self.model, rows=len(tokens), length=self.base.end), began
        )
        return CleanPass(rows, outcome, collected)

    def groups(self, rows: slice, memory: int) -> list[list[int]]:
        """Plans by pass: those of a group differ in their edits alone, and share a pass."""
        found: dict[tuple[object, ...], list[int]] = {}
        for number, plan in enumerate(self.plans):
            key: tuple[object, ...] = ("alone", number)
            if self.savings.stacks and not self.model.adapter.whole and stackable(plan):
                place = self._start(plan, rows), self._first_layer(plan, rows)
                key = (id(plan.batch), *place, plan.end, plan.stop_layer)
            found.setdefault(key, []).append(number)
        out = []
        for numbers in found.values():
            step = 1 if len(numbers) == 1 else self._at_once(self.plans[numbers[0]], rows, memory)
            out += [numbers[i : i + step] for i in range(0, len(numbers), step)]
        return out

    def _at_once(self, plan: Plan, rows: slice, memory: int) -> int:
        """Number of variants like `plan` in one pass."""
        read = len(plan.logit_roles)
        wide = sum(prod(place_shape(self.model, plan.batch, r.site)) for r in plan.readings)
        start = self._start(plan, rows)
        fits = rows_in_memory(
            self.model,
            length=plan.end,
            logit_positions=read if self.savings.logits else plan.end - start,
            read_width=wide * plan.end * self.model.shape.n_layers,
            kept_resids=1,
            keys_values=False,
            memory=memory,
            grad=False,
        )
        return at_once(rows.stop - rows.start, plan.end - start, fits)

    def variant_passes(self, numbers: Sequence[int], clean: CleanPass) -> None:
        """Run the variants of a group on the rows of `clean`, from their first difference."""
        began = time.perf_counter()
        rows = clean.rows
        jobs = [self._variant_job(self.plans[number], clean) for number in numbers]
        outcomes = unstacked(self._forward(stacked(jobs)), jobs)
        for number, job, outcome in zip(numbers, jobs, outcomes, strict=True):
            self._collect(number, job, outcome, clean)
        seconds = (time.perf_counter() - began) / len(numbers)
        for number, job in zip(numbers, jobs, strict=True):
            plan = self.plans[number]
            plain = plain_flops(self.model, rows=rows.stop - rows.start, length=plan.end)
            self.costs[number] += Cost(self._job_flops(job), plain, seconds)

    def _collect(self, number: int, job: Job, outcome: Outcome, clean: CleanPass) -> None:
        plan, rows = self.plans[number], clean.rows
        collected = gather(plan, job, outcome, clean.collected)
        for i, places in enumerate(outcome.fired):
            self.fired[number][i] += places
        present = None if self.changed[number] else self._compared(plan, rows)
        if present is not None:
            assert collected.logits is not None
            equal = tolerance(self.model.dtype)
            self.changed[number] = clean.differ(collected.logits, present, equal)
        if self.reduce is not None and collected.logits is not None:
            collected = replace(collected, logits=_reduced(self.reduce, collected.logits, rows))
        self.results[number].append(collected.to_cpu())

    def _variant_job(self, plan: Plan, clean: CleanPass) -> Job:
        rows = clean.rows
        start = self._start(plan, rows)
        layer = self._first_layer(plan, rows) if start < plan.end else 0
        base_start = clean.outcome.start
        resid = None
        if layer > 0:
            resid = clean.outcome.resid_before[layer][:, start - base_start : plan.end - base_start]
        earlier = None
        if start > 0:
            earlier = {
                la: (k[:, :, :start], v[:, :, :start])
                for la, (k, v) in clean.outcome.keys_values.items()
            }
        return Job(
            plan.batch.tokens[rows, : plan.end].to(self.model.device),
            rows,
            plan.batch.n_input,
            start=start,
            first_layer=layer,
            stop_layer=plan.stop_layer,
            resid=resid,
            earlier=earlier,
            edits=plan.edits,
            clean=_whole(clean.outcome, plan.edits),
            want=self._wanted(plan),
            pick=self._picked(plan, rows),
            logit_positions=_on(plan.logit_positions, rows, self.model.device),
            all_logits=not self.savings.logits,
            tail=self.savings.early_stop,
        )

    def _compared(self, plan: Plan, rows: slice) -> torch.Tensor | None:
        """Mask of comparable logits of clean run and variant, bool [n, roles]; None for the clean
        run itself, and without requested logits.
        """
        mine, clean = plan.logit_positions, self.base.logit_positions
        same = not plan.edits and plan.batch is self.base.batch
        if same or mine is None or clean is None:
            return None
        return (mine[rows] >= 0) & (clean[rows] >= 0)

    def _start(self, plan: Plan, rows: slice) -> int:
        """First position at which `plan` can differ from the clean run, or must be computed."""
        if not plan.edits and plan.batch is self.base.batch:
            return self.base.end  # the clean run itself: its numbers are there
        if not self.savings.prefix or self._rounds_otherwise(plan):
            return 0
        first = min(plan.first_edit(rows), self.base.end)
        if plan.batch is not self.base.batch:
            first = min(first, first_difference(self.base, plan, rows))
            for mine, clean in zip(plan.needed, self.base.needed, strict=True):
                if mine is not None and clean is not None:
                    moved = mine[rows].masked_fill(mine[rows] == clean[rows], -1)
                    first = first_position([moved], slice(None), first)
        return first

    def _rounds_otherwise(self, plan: Plan) -> bool:
        """Whether the plain forward of the variant rounds the shared positions otherwise."""
        widths = {self.base.batch.n_input, plan.batch.n_input}
        return self.model.adapter.rounds_by_width and len(widths) > 1

    def _first_layer(self, plan: Plan, rows: slice) -> int:
        if not self.savings.layers or not plan.edits:
            return 0
        if plan.batch is not self.base.batch and first_difference(self.base, plan, rows) < plan.end:
            return 0
        return min(
            plan.first_edited_layer(self.model.shape.n_layers), self.model.shape.n_layers - 1
        )

    def _reuses(self, plan: Plan) -> bool:
        """True if the variant continues from keys and values of the clean pass."""
        other = bool(plan.edits) or plan.batch is not self.base.batch
        return self.savings.prefix and other and not self.model.adapter.whole

    def _wanted(self, plan: Plan) -> frozenset[Key]:
        return frozenset((r.site, layer) for r in plan.readings for layer in r.layers)

    def _picked(self, plan: Plan, rows: slice = slice(None)) -> dict[Key, torch.Tensor]:
        """Positions of reads at selected roles; a clean run that is a source of edits keeps its
        whole window.
        """
        whole = self._clean_sources() if plan is self.base else frozenset()
        return {
            (reading.site, layer): reading.positions[rows].to(self.model.device)
            for reading in plan.readings
            if reading.positions is not None
            for layer in reading.layers
            if (reading.site, layer) not in whole
        }

    def _clean_sources(self) -> frozenset[Key]:
        """Clean activations to keep, because an edit replaces an activation by its clean value."""
        return frozenset(
            (edit.site, layer)
            for plan in self.plans
            for edit in plan.edits
            if edit.needs_clean()
            for layer in edit.layers
        )

    def _forward(self, job: Job) -> Outcome:
        with self.model.lock:
            return forward(self.model.adapter, job)

    def _job_flops(self, job: Job) -> float:
        stop = self.model.shape.n_layers if job.stop_layer is None else job.stop_layer
        read = 0 if job.logit_positions is None else job.logit_positions.shape[1]
        end, rows = job.tokens.shape[1], len(job.tokens)
        unembedded = end - job.start if job.all_logits else read
        tail = job.start
        if not self.model.adapter.whole and job.start < end:
            tail = tail_start(self.model.shape.n_layers, job)
        if tail == job.start:
            return self._flops(rows, job.start, end, stop - job.first_layer, unembedded)
        # In the last block, keys, values and queries everywhere, the rest from the tail on.
        layers = stop - job.first_layer - 1
        total = self._flops(rows, job.start, end, layers, 0)
        total += rows * projection_flops(self.model, end - job.start)
        return total + self._flops(rows, tail, end, 1, unembedded)

    def _flops(self, rows: int, start: int, end: int, layers: int, unembedded: int) -> float:
        return pass_flops(
            self.model, rows=rows, start=start, end=end, layers=layers, unembedded=unembedded
        )

    def _charge(self, number: int, flops: float, plain: float, began: float) -> None:
        self.costs[number] += Cost(flops, plain, time.perf_counter() - began)

    def runs(self, names: Sequence[str]) -> list[Run]:
        """The finished Runs; raises for an intervention that never fired."""
        out = []
        for number, (plan, parts) in enumerate(zip(self.plans, self.results, strict=True)):
            for edit, places in zip(plan.edits, self.fired[number], strict=True):
                if places == 0:
                    raise InputError(
                        f"the intervention {edit.what.spec()} fired on nothing. Check its roles, "
                        f"layers and keys against batch.positions."
                    )
            compared = self._compared(plan, slice(None)) is not None
            whole = Collected.concatenate(parts)
            out.append(
                Run(
                    name=names[number],
                    logits=whole.logits,
                    logit_roles=self.base.logit_roles,
                    activations=whole.activations,
                    gradients={},
                    fired=tuple(self.fired[number]),
                    changed=self.changed[number] if compared else None,
                    cost=self.costs[number],
                )
            )
        return out


def _reduced(reduce: Reduce, logits: torch.Tensor, rows: slice) -> torch.Tensor:
    reduced = reduce(logits, rows)
    if not isinstance(reduced, torch.Tensor) or len(reduced) != len(logits):
        what = list(reduced.shape) if isinstance(reduced, torch.Tensor) else repr(reduced)
        raise InputError(
            f"reduce must return a tensor with one entry for each of the {len(logits)} rows it is "
            f"given, not {what}."
        )
    return reduced


def _on(positions: torch.Tensor | None, rows: slice, device: torch.device) -> torch.Tensor | None:
    return None if positions is None else positions[rows].to(device)


def _whole(outcome: Outcome, edits: Sequence[Edit]) -> dict[Key, torch.Tensor]:
    """Clean activations over all positions [n, T, …], zero before the clean window (no edit uses
    those: the clean run starts no later than the first position an edit holds)."""
    out = {}
    for edit in edits:
        if edit.needs_clean():
            for layer in edit.layers:
                value = outcome.kept[edit.site, layer]
                pad = value.new_zeros(value.shape[0], outcome.start, *value.shape[2:])
                out[edit.site, layer] = torch.cat([pad, value], dim=1)
    return out

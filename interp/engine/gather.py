"""Select the requested roles from a pass's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from interp.engine.passes import Job, Key, Outcome, window_places
from interp.engine.plan import Plan
from interp.engine.sources import with_keys


@dataclass(frozen=True)
class Collected:
    """Logits [n, roles, d_vocab] and activations (site, layer) → [n, roles, …] of some rows."""

    logits: torch.Tensor | None
    activations: Mapping[Key, torch.Tensor]

    def to_cpu(self) -> Collected:
        logits = None if self.logits is None else self.logits.cpu()
        return Collected(logits, {key: value.cpu() for key, value in self.activations.items()})

    @staticmethod
    def concatenate(parts: Sequence[Collected]) -> Collected:
        first = parts[0]
        logits = None
        if first.logits is not None:
            logits = torch.cat([part.logits for part in parts if part.logits is not None])
        return Collected(
            logits,
            {
                key: torch.cat([part.activations[key] for part in parts])
                for key in first.activations
            },
        )


def gather(plan: Plan, job: Job, outcome: Outcome, clean: Collected | None) -> Collected:
    """Select the roles; values that the pass skipped come from the clean run."""
    logits = None
    if plan.logit_positions is not None:
        positions = plan.logit_positions[job.rows].to(job.tokens.device)
        before = None if clean is None else clean.logits
        logits = logit_rows(outcome.logits, positions, job.start, before)
    activations = {}
    for reading in plan.readings:
        for layer in reading.layers:
            key = (reading.site, layer)
            before = None if clean is None else clean.activations[key]
            window = outcome.kept.get(key)
            if reading.site == "pattern":  # a pass ends at the last position needed; keys are all
                keys = plan.batch.n_input
                window = None if window is None else with_keys(window, keys)
                before = None if before is None else with_keys(before, keys)
            activations[key] = _pick(key, window, reading.positions, job, outcome.start, before)
    return Collected(logits, activations)


def logit_rows(
    computed: torch.Tensor | None,
    positions: torch.Tensor,
    start: int,
    before: torch.Tensor | None,
) -> torch.Tensor:
    """Logits at `positions`: computed from `start` on, the clean run's before, NaN if absent.
    Written into `computed` in place: logits of a whole vocabulary are large.
    """
    if computed is None:
        assert before is not None  # a pass that computes nothing changed nothing
        return _without_absent(before, positions)
    if before is not None:
        earlier = (positions >= 0) & (positions < start)
        computed[earlier] = before[earlier]
    computed[positions < 0] = torch.nan
    return computed


def _without_absent(before: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Clean values, NaN where these prompts lack the role."""
    absent = positions < 0
    if not absent.any():
        return before
    out = before.clone()
    out[absent] = torch.nan
    return out


def _pick(
    key: Key,
    window: torch.Tensor | None,
    positions: torch.Tensor | None,
    job: Job,
    start: int,
    before: torch.Tensor | None,
) -> torch.Tensor:
    if window is None:
        assert before is not None  # below the first layer, or nothing ran: clean values
        if positions is None:
            return before[:, : job.tokens.shape[1]]
        return _without_absent(before, positions[job.rows].to(before.device))
    if positions is None:
        if start == 0 or before is None:
            return window
        return torch.cat([before[:, :start], window], dim=1)
    index = positions[job.rows].to(window.device)
    out = window if key in job.pick else window[window_places(index, start)]
    if before is not None:
        earlier = (index >= 0) & (index < start)
        out[earlier] = before[earlier]
    if (index < 0).any():
        out[index < 0] = torch.nan
    return out

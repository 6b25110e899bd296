"""Estimates of patching effects from gradients, and how far they agree with exact ones.

With a the activation of a node, v the metric and * the source's prompt, effect ≈ Σ (a* − a) · ∂v/∂a
over positions (`interp.heads._screen` has the formulas and sources).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from interp.engine._gradients import gradients
from interp.engine._run import run
from interp.engine.interventions import Replace, Rows
from interp.engine.requests import Progress, Read, Resources
from interp.heads.cells import Donor, read_cells, read_plain, reader, reads_of
from interp.heads.effects import mean_of, over_answers
from interp.heads.metrics import Direction, Floats, logit_difference, metric
from interp.heads.nodes import SITES, Kind, Node
from interp.heads.pairs import Pairs
from interp.models.model import Model
from interp.models.prompts import PromptBatch

METRIC = "logit_difference"
_RESAMPLES = 1000


class Estimates:
    """Activations of both runs, gradients of the one, and exact effects, of nodes of one kind."""

    def __init__(
        self,
        model: Model,
        found: Pairs,
        every: Sequence[Node],
        direction: Direction,
        resources: Resources,
    ) -> None:
        self.model, self.found, self.every = model, found, every
        self.direction, self.resources = direction, resources
        self.kind: Kind = every[0].kind
        self._read = reader(model, found, [METRIC], resources)
        self.run, self.source = found.run_and_source(direction)
        reads = [*reads_of([self.kind], found.roles)]
        if self.kind != "resid_pre":
            reads.append(Read("resid_pre", (0,), found.roles))
        self.base, self._mine = read_plain(model, self.run, found, self._read, resources, reads)
        self._given, self._theirs = read_plain(
            model, self.source, found, self._read, resources, reads
        )

    @property
    def sign(self) -> float:
        """The effect of a noising patch is what is lost."""
        return 1.0 if self.direction == "denoise" else -1.0

    def estimated(self, steps: int, progress: Progress | None) -> Floats:
        """Estimates [n, nodes, answers]."""
        moved = self._moved()
        site = "pattern" if self.kind in ("q", "k") else SITES[self.kind]
        layers = sorted({one.layer for one in self.every})
        columns = []
        total, done = len(self.found.answers) * steps, 0
        for column, role in enumerate(self.found.answers):
            slopes = {layer: torch.zeros(()) for layer in layers}
            for step in range(steps):
                at = self._between((step + 0.5) / steps) if steps > 1 else ()
                found = gradients(
                    self.model, self.run, [Read(site, None, self.found.roles)],
                    of=self._difference(column), logits=[role], interventions=at,
                    memory=self.resources.memory, cancel=self.resources.cancel,
                ).gradients  # fmt: skip
                for layer in layers:
                    slopes[layer] = slopes[layer] + found[site, layer].double() / steps
                done += 1
                if progress is not None:
                    progress(done, total)
            columns.append(self._summed({la: moved[la] * slopes[la] for la in layers}))
        values = self.sign * np.stack(columns, axis=-1)
        known = self.found.right >= 0
        return np.where(known[:, None], values, np.nan)

    def _moved(self) -> dict[int, torch.Tensor]:
        """What the source changes, [n, roles, …], by layer; of patterns for queries and keys."""
        site = SITES[self.kind]
        layers = sorted({one.layer for one in self.every})
        both = (self._mine.activations, self._theirs.activations)
        if self.kind not in ("q", "k"):
            return {la: (both[1][site, la] - both[0][site, la]).double() for la in layers}
        donor = Donor(self._theirs, self.found.roles)
        plain = self._patterns((), layers)
        moved = {}
        for layer in layers:
            what = donor.patch(Node(layer, self.kind))
            what = Replace(site, what.source, layers=(layer,), roles=self.found.roles)
            moved[layer] = (self._patterns((what,), [layer])[layer] - plain[layer]).double()
        return moved

    def _patterns(self, what: tuple[Any, ...], layers: Sequence[int]) -> dict[int, torch.Tensor]:
        done = run(
            self.model, self.run, what, logits=None, memory=self.resources.memory,
            reads=[Read("pattern", tuple(layers), self.found.roles)],
        )  # fmt: skip
        return {layer: done.activations["pattern", layer] for layer in layers}

    def _summed(self, products: dict[int, torch.Tensor]) -> Floats:
        """[n, nodes] from products of change and slope by layer, [n, roles, heads or width, …]."""
        parts = []
        for layer in sorted(products):
            x = products[layer].nan_to_num(0.0)
            if self.kind == "neuron":
                parts.append(x.sum(dim=1))
                continue
            mine = [one for one in self.every if one.layer == layer]
            if len(mine) == 1 and mine[0].heads is None:
                parts.append(x.flatten(1).sum(1)[:, None])
                continue
            by_head = x.sum(dim=(1, 3))
            if self.kind == "k":  # a group's keys belong to several heads
                by_head = by_head.unflatten(1, (len(mine), -1)).sum(2)
            parts.append(by_head)
        return np.asarray(torch.cat(parts, dim=1).numpy(), dtype=float)

    def _between(self, share: float) -> tuple[Replace, ...]:
        """Embeddings `share` of the way from the prompt that is run to the source's."""
        key = ("resid_pre", 0)
        mine, theirs = self._mine.activations[key], self._theirs.activations[key]
        rows = Rows({0: mine + share * (theirs - mine)})
        return (Replace("resid_pre", rows, layers=(0,), roles=self.found.roles),)

    def _difference(self, column: int) -> Callable[[torch.Tensor, PromptBatch], torch.Tensor]:
        """x[r] − x[r'] of each row; 0 where they are equal. Minibatches come in order."""
        done = 0

        def difference(logits: torch.Tensor, batch: PromptBatch) -> torch.Tensor:
            nonlocal done
            rows = slice(done, done + len(batch))
            done = rows.stop
            right, other = (
                torch.from_numpy(x[rows, column]).to(logits.device)
                for x in (self.found.right, self.found.other)
            )
            x = logits[:, 0].nan_to_num(0.0)
            picked = [x.gather(1, t.clamp(min=0)[:, None])[:, 0] for t in (right, other)]
            return (picked[0] - picked[1]) * (right >= 0)

        return difference

    def exact(self, nodes: Sequence[Node]) -> Floats:
        """Exact effects [n, nodes, answers] of patching each node."""
        return self.exact_sets([[one] for one in nodes])

    def exact_sets(self, sets: Sequence[Sequence[Node]]) -> Floats:
        """Exact effects [n, sets, answers] of patching all nodes of a set at once."""
        donor = Donor(self._theirs, self.found.roles)
        cells = {str(i): donor.patches(nodes) for i, nodes in enumerate(sets)}
        patched = read_cells(self.model, self.run, cells, self.found, self._read, self.resources)
        return np.moveaxis(metric(METRIC).effect(patched, self.base, self.direction), 0, 1)

    @property
    def total(self) -> Floats:
        """What changing the whole prompt does, [n, answers]."""
        return self.sign * (logit_difference(self._given) - logit_difference(self.base))


def agreement(effects: Floats, exact: Floats, seed: int, *, top: float) -> dict[str, float]:
    """Pearson's r of the nodes' mean effects and the overlap of the share `top` with the largest
    |mean effect|, each with a bootstrap interval over prompts.

    Args:
        effects, exact: estimates and exact effects of the same nodes, [prompts, nodes, answers].
    """
    both = over_answers(effects), over_answers(exact)  # [prompts, nodes]
    rng = np.random.default_rng([seed, 7])
    n, nodes = both[0].shape
    size = max(1, round(top * nodes))

    def measured(rows: Any) -> tuple[float, float]:
        a, b = (np.nan_to_num(mean_of(x[rows])) for x in both)
        flat = a.std() == 0 or b.std() == 0
        r = float("nan") if flat else float(np.corrcoef(a, b)[0, 1])
        tops = (set(np.argsort(-np.abs(x), kind="stable")[:size].tolist()) for x in (a, b))
        return r, len(set.intersection(*tops)) / size

    drawn = np.array([measured(rng.integers(0, n, n)) for _ in range(_RESAMPLES)])
    r, overlap = measured(np.arange(n))
    drawn = drawn[~np.isnan(drawn).any(axis=1)] if not np.isnan(r) else drawn
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {
        "pearson": r, "pearson_low": float(low[0]), "pearson_high": float(high[0]),
        "overlap": overlap, "overlap_low": float(low[1]), "overlap_high": float(high[1]),
        "overlap_random": size / nodes, "checked_nodes": float(nodes), "checked_prompts": float(n),
    }  # fmt: skip

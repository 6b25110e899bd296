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

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch

from interp.arithmetic.problems import Problems
from interp.engine._gradients import gradients
from interp.engine._run import run
from interp.engine.interventions import Replace, Rows, selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read, Resources
from interp.errors import InputError
from interp.heads.cells import Donor, read_cells, read_plain, reader, reads_of
from interp.heads.effects import discoveries, estimate, mean_of, over_answers, told
from interp.heads.metrics import Direction, Floats, metric
from interp.heads.nodes import SITES, Kind, Node, nodes_of
from interp.heads.pairs import Pairs, pairs
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
_RESAMPLES = 1000
_METRIC = "logit_difference"


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
    made = _Screen(model, found, every, direction, Resources(memory, cancel))
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
        agreement=told(_agreement(effects[rows][:, checked], exact, seed)),
        resampled=over,
    )  # fmt: skip


class _Screen:
    """Activations of both runs, gradients of the one, and exact effects."""

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
        self._read = reader(model, found, [_METRIC], resources)
        self.run, self.source = found.run_and_source(direction)
        reads = [*reads_of([self.kind], found.roles)]
        if self.kind != "resid_pre":
            reads.append(Read("resid_pre", (0,), found.roles))
        self.base, self._mine = read_plain(model, self.run, found, self._read, resources, reads)
        _, self._theirs = read_plain(model, self.source, found, self._read, resources, reads)

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
        """Exact effects [n, nodes, answers] of patching."""
        donor = Donor(self._theirs, self.found.roles)
        cells = {one.name: (donor.patch(one),) for one in nodes}
        patched = read_cells(self.model, self.run, cells, self.found, self._read, self.resources)
        return np.moveaxis(metric(_METRIC).effect(patched, self.base, self.direction), 0, 1)


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


def _agreement(effects: Floats, exact: Floats, seed: int) -> dict[str, float]:
    """Pearson's r of the nodes' mean effects and the overlap of their top tenths, each with a
    bootstrap interval over prompts."""
    both = over_answers(effects), over_answers(exact)  # [prompts, nodes]
    rng = np.random.default_rng([seed, 7])
    n, nodes = both[0].shape
    top = max(1, round(_TOP * nodes))

    def measured(rows: Any) -> tuple[float, float]:
        a, b = (np.nan_to_num(mean_of(x[rows])) for x in both)
        flat = a.std() == 0 or b.std() == 0
        r = float("nan") if flat else float(np.corrcoef(a, b)[0, 1])
        tops = (set(np.argsort(-np.abs(x), kind="stable")[:top].tolist()) for x in (a, b))
        return r, len(set.intersection(*tops)) / top

    drawn = np.array([measured(rng.integers(0, n, n)) for _ in range(_RESAMPLES)])
    r, overlap = measured(np.arange(n))
    drawn = drawn[~np.isnan(drawn).any(axis=1)] if not np.isnan(r) else drawn
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {
        "pearson": r, "pearson_low": float(low[0]), "pearson_high": float(high[0]),
        "overlap": overlap, "overlap_low": float(low[1]), "overlap_high": float(high[1]),
        "overlap_random": top / nodes, "checked_nodes": float(nodes), "checked_prompts": float(n),
    }  # fmt: skip

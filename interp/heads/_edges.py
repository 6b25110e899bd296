"""Edges: how much of the answer goes from one node into one input of another, by gradients.

With Δ_u what the source's activation of a sender u adds to the stream, and g_w the gradient of the
logit difference with respect to what a receiver w alone reads of it,

    score(u → w) = Σ over positions of Δ_u · g_w        edge attribution patching (arXiv 2310.10348)

With `steps` > 1, g_w is averaged over points on the straight line between the embeddings of both
prompts (EAP-IG, arXiv 2403.17806). Senders are the embeddings, heads and MLPs; receivers are each
head's queries, each key/value group's keys and values, each MLP and the logits. Over all receivers
the scores of a sender sum to its node's attribution (`interp.heads.screen`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.arithmetic.problems import Problems
from interp.engine._gradients import gradients
from interp.engine.input_gradients import input_gradients
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read, Resources
from interp.errors import InputError
from interp.heads._paths import _check_blocks, _Paths
from interp.heads.cells import reader
from interp.heads.effects import halves, mean_of, over_answers, told
from interp.heads.estimates import METRIC, Estimates, agreement
from interp.heads.metrics import Direction, Floats, metric
from interp.heads.nodes import Edge, Node, nodes_of
from interp.heads.pairs import pairs
from interp.heads.results.edges import EdgeScores
from interp.heads.senders import Senders, every_sender
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling


@shows_progress
def edges(
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
) -> EdgeScores:
    """The edges with the largest scores, scored on other prompts and beside exact path patching.

    Args:
        asked, n, seed, format, held_out, direction, swap, corrupted, answers, prefix: as in
            `interp.heads.patch`.
        top: edges that are listed, chosen on one half of the prompts and scored on the other; as
            many random ones are the control. Those that path patching can reach (no embedding, no
            MLP as receiver) are patched exactly there.
        steps: points of the gradient, 1 or more.
        memory, cancel, progress: as in `engine.gradients`.

    Does not show: edges that a gradient misses because something saturates between them and the
    logits; what several edges do together.

    Raises:
        InputError: for an unknown option, and prompts that do not align.
        ModelError: for a wrapped module, and a family whose heads do not write linearly.
    """
    _check_blocks(model)
    if steps < 1 or top < 1:
        raise InputError("a gradient takes at least one step, and the list at least one edge")
    if direction not in get_args(Direction):
        raise InputError(f"unknown direction {direction!r}: choose denoise or noise")
    found = pairs(
        model, asked, swap=swap, corrupted=corrupted, answers=selection("roles", answers),
        prefix=prefix, n=n, seed=seed, format=format, held_out=held_out,
    )  # fmt: skip
    first, second = halves(found.clean.problems, seed)
    if len(first) < 1 or len(second) < 2:
        raise InputError("edges are chosen on one half and scored on the other: give more n")
    resources = Resources(memory, cancel)
    made = _Graph(model, found, direction, resources)
    scores = made.scores(steps, progress)  # [n, edges]
    chosen = mean_of(scores[first])
    order = np.argsort(-np.abs(chosen), kind="stable")
    rest = np.random.default_rng([seed, 41]).permutation(order[top:])[:top]
    listed = [*order[:top].tolist(), *rest.tolist()]
    groups, over = resampling(found.clean.problems[second])
    own = scores[second][:, listed]
    low, high = mean_interval(own, groups, seed=seed)
    exact = made.exact([made.edges[i] for i in listed], resources)[second]
    known = np.flatnonzero(~np.isnan(exact).all(axis=(0, 2)))
    names = [made.edges[i] for i in listed]
    return EdgeScores(
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
            "edges": len(made.edges),
            "chosen_on": len(first),
        },
        scores=pd.DataFrame(
            {
                "edge": [one.name for one in names],
                "chosen": np.arange(len(names)) < top,
                "chosen_on": chosen[listed],
                "score": mean_of(own),
                "score_low": low,
                "score_high": high,
                "exact": mean_of(over_answers(exact)),
            }
        ),
        for_90=_for_most(mean_of(scores[second])),
        agreement=told(
            agreement(own[:, known, None], exact[:, known], seed, top=0.5) if len(known) > 1 else {}
        ),
        resampled=over,
    )  # fmt: skip


class _Graph(Estimates):
    """Every edge, its estimate and its exact effect."""

    def __init__(
        self, model: Model, found: Any, direction: Direction, resources: Resources
    ) -> None:
        super().__init__(model, found, nodes_of(model.shape, "head"), direction, resources)
        s = model.shape
        self.senders = (Node(0, "embed"), *every_sender(model))
        self.receivers: list[Node | None] = []
        for layer in range(s.n_layers):
            for kind in ("q", "k", "v", "mlp"):
                self.receivers += [one for one in nodes_of(s, kind) if one.layer == layer]
        self.receivers.append(None)
        parallel = bool(getattr(model.adapter, "parallel", False))
        self.below = np.array(
            [[_below(u, w, parallel) for w in self.receivers] for u in self.senders]
        )
        self.edges = [
            Edge(self.senders[u], self.receivers[w]) for u, w in np.argwhere(self.below).tolist()
        ]
        self._made = _Paths(
            model, found, self.run, self.source, reader(model, found, [METRIC], resources),
            every_sender(model), "all", resources,
        )  # fmt: skip

    def scores(self, steps: int, progress: Any) -> Floats:
        """Scores [n, edges], means over the answer digits that differ in a pair."""
        last = self.model.shape.n_layers - 1
        writes = self._writes()  # [senders, n, P, d_model]
        reads = [Read(site, None, self.found.roles) for site in
                 ("q", "k", "v", "mlp_out", "resid_pre", "attn_out")]  # fmt: skip
        reads.append(Read("resid_post", (last,), self.found.roles))
        total = torch.zeros(len(self.found), *self.below.shape, dtype=torch.float64)
        for column, role in enumerate(self.found.answers):
            for step in range(steps):
                at = self._between((step + 0.5) / steps) if steps > 1 else ()
                done = gradients(
                    self.model, self.run, reads, of=self._difference(column), logits=[role],
                    interventions=at, memory=self.resources.memory, cancel=self.resources.cancel,
                )  # fmt: skip
                first = 0
                for slopes in self._slopes(done):
                    part = torch.einsum("snpd,rnpd->nsr", writes, slopes.double())
                    total[..., first : first + len(slopes)] += part / steps
                    first += len(slopes)
                if progress is not None:
                    progress(column * steps + step + 1, len(self.found.answers) * steps)
        count = (self.found.right >= 0).sum(axis=1)
        values = self.sign * total.numpy() / np.maximum(count, 1)[:, None, None]
        values[count == 0] = np.nan
        return np.asarray(values[:, self.below])

    def _writes(self) -> torch.Tensor:
        index = [self._made._roles.index(role) for role in self.found.roles]
        both = (
            {key: value[:, index] for key, value in x.items()}
            for x in (self._made._senders.run, self._made._senders.source)
        )
        senders = Senders(self.model, *both).rows(slice(None))
        parts = [senders.source["resid_pre", 0] - senders.run["resid_pre", 0]]
        for _, mine in senders._by_layer(every_sender(self.model)):
            parts += list(mine)
        return torch.stack(parts).double().nan_to_num(0.0).cpu()

    def _slopes(self, done: Any) -> Any:
        """Gradients of what each receiver reads, [receivers, n, P, d_model], in their order."""
        for layer in range(self.model.shape.n_layers):
            stream = done.activations["resid_pre", layer]
            for site in ("q", "k", "v"):
                slope = done.gradients[site, layer]
                each = []
                for head in range(slope.shape[2]):
                    one = torch.zeros_like(slope)
                    one[:, :, head] = slope[:, :, head]
                    each.append(one)
                yield input_gradients(self.model, layer, stream, site, each).nan_to_num(0.0)
            yield input_gradients(
                self.model, layer, stream, "mlp_out", [done.gradients["mlp_out", layer]],
                done.activations["attn_out", layer],
            ).nan_to_num(0.0)  # fmt: skip
        yield done.gradients["resid_post", self.model.shape.n_layers - 1][None].nan_to_num(0.0)

    def exact(self, listed: Sequence[Any], resources: Resources | None = None) -> Floats:
        """Exact effects [n, edges, answers] by path patching; NaN where it does not reach."""
        out = np.full((len(self.found), len(listed), len(self.found.answers)), np.nan)
        by_receiver: dict[Node | None, list[int]] = {}
        for i, one in enumerate(listed):
            reached = one.sender.kind != "embed"
            if reached and (one.receiver is None or one.receiver.kind != "mlp"):
                by_receiver.setdefault(one.receiver, []).append(i)
        for receiver, which in by_receiver.items():
            nodes = [listed[i].sender for i in which]
            if receiver is None:
                patched, base, _ = self._made.to(None)
                rows = [self._made.nodes.index(one) for one in nodes]
                effect = metric(METRIC).effect(patched[rows], base, self.direction)
            else:
                order = sorted(range(len(nodes)), key=lambda k: every_order(nodes[k]))
                which, nodes = [which[k] for k in order], [nodes[k] for k in order]
                patched = self._made._to_head(receiver, nodes)
                effect = metric(METRIC).effect(patched, self._made.plain, self.direction)
            out[:, which] = np.moveaxis(effect, 0, 1)
        return out


def every_order(one: Node) -> tuple[int, bool, int]:
    """The order in which nodes write into the stream."""
    return one.layer, one.kind == "mlp", one.index


def _below(sender: Node, receiver: Node | None, parallel: bool) -> bool:
    """Whether the receiver reads what the sender writes."""
    if receiver is None or sender.kind == "embed":
        return True
    if receiver.kind == "mlp" and sender.kind == "head" and not parallel:
        return sender.layer <= receiver.layer
    return sender.layer < receiver.layer


def _for_most(scores: npt.NDArray[Any]) -> float:
    """Share of edges that carry 90 % of Σ |score|."""
    size = np.sort(np.abs(np.nan_to_num(scores)))[::-1]
    if not size.sum():
        return float("nan")
    return float((np.searchsorted(np.cumsum(size) / size.sum(), 0.9) + 1) / len(size))

"""Runs of a model with some nodes or edges replaced, and the faithfulness of what is kept.

An edge u → w is replaced by giving w alone the sender's output of the corrupted prompt. With the
edges K kept, a receiver w (a head's queries, a group's keys or values, an MLP, the logits) reads

    x_w(K) = x_w(corrupted) + Σ over kept u → w of [out_u(K) − out_u(corrupted)]

where out_u(K) is what the sender writes in this run, so that kept edges carry what their own inputs
make of it (arXiv 2403.17806, 2504.13151). All edges kept is the clean run, none the corrupted one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from interp.engine.frozen import attended, frozen_block, inputs
from interp.engine.readout import unembed
from interp.engine.requests import Read, Resources
from interp.engine.writes import head_writes
from interp.errors import InputError, ModelError
from interp.heads._edges import _Graph
from interp.heads.cells import Donor, read_cells, read_plain, reader, reads_of
from interp.heads.effects import over_answers
from interp.heads.metrics import Floats, Readout, check_varies, metric
from interp.heads.nodes import Edge
from interp.heads.pairs import Pairs
from interp.heads.senders import reads
from interp.models.model import Model

# Of the effect: how far the sums of all edges may lie from the plain runs.
_SHARE = {torch.float64: 1e-4, torch.float32: 1e-2}
_HALF = 0.1  # of half-precision models, whose streams are rounded after every block


class Runs:
    """Values [sets, n, answers] of the clean prompts with some nodes replaced.

    full, empty   of the plain clean run, and with every node replaced
    thinned       largest circuit that is tried without each of its members
    """

    thinned = sys.maxsize

    def __init__(
        self,
        model: Model,
        found: Pairs,
        every: Sequence[Any],
        name: str,
        resources: Resources,
    ) -> None:
        self.model, self.found, self.every, self.resources = model, found, every, resources
        self._metric = metric(name)
        self._read = reader(model, found, [name], resources)
        self.full, other = self._plain()
        check_varies(name, self.full - other)
        self.empty = self.values([every])[0]
        if not np.nanmax(np.abs(self.full - self.empty)) > 0:
            raise InputError("replacing every node changes nothing: choose other kinds or swaps")

    def _plain(self) -> tuple[Floats, Floats]:
        """Values of the clean and the corrupted run, which keeps what patches need."""
        wanted = reads_of({one.kind for one in self.every}, self.found.roles)
        clean, _ = read_plain(self.model, self.found.clean, self.found, self._read, self.resources)
        other, run = read_plain(
            self.model, self.found.corrupted, self.found, self._read, self.resources, wanted
        )
        self._donor = Donor(run, self.found.roles)
        return self._value(clean), self._value(other)

    def _value(self, readout: Readout) -> Floats:
        assert self._metric.value is not None
        return self._metric.value(readout)

    def values(self, replaced: Sequence[Sequence[Any]]) -> Floats:
        """The metric with each set of nodes replaced."""
        cells = {str(i): self._donor.patches(nodes) for i, nodes in enumerate(replaced)}
        quiet = self.resources if len(replaced) > 1 else replace(self.resources, progress=None)
        return self._value(
            read_cells(self.model, self.found.clean, cells, self.found, self._read, quiet)
        )

    def outside(self, kept: Sequence[Any]) -> list[Any]:
        """Every node that is not kept."""
        inside = set(kept)
        return [one for one in self.every if one not in inside]

    def keeping(self, sets: Sequence[Sequence[Any]]) -> Floats:
        """The metric with only each set of nodes kept."""
        return self.values([self.outside(kept) for kept in sets])

    def in_order(self, kept: Sequence[Any]) -> list[Any]:
        """The nodes of a circuit, lowest layer first."""
        return sorted(kept)

    def parts(self, kept: Sequence[Any], rows: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Numerator and denominator [rows] of a circuit's faithfulness, mean over answers."""
        value = self.keeping([kept])[0]
        return (
            over_answers((value - self.empty)[rows]),
            over_answers((self.full - self.empty)[rows]),
        )

    def faithfulness(self, values: Floats, rows: npt.NDArray[np.intp]) -> Floats:
        """f [sets] on some prompts, of values [sets, n, answers]."""
        gained = np.nanmean((values - self.empty[None])[:, rows], axis=(1, 2))
        return np.asarray(gained / np.nanmean((self.full - self.empty)[rows]))


class EdgeRuns(Runs):
    """The same of edges. Raises ModelError where the senders' outputs do not sum to the stream."""

    thinned = 128

    def __init__(self, model: Model, found: Pairs, name: str, resources: Resources) -> None:
        self.graph = _Graph(model, found, "noise", resources)
        self._number = {one: i for i, one in enumerate(self.graph.edges)}
        self._at = np.argwhere(self.graph.below)  # sender and receiver of each edge
        super().__init__(model, found, self.graph.edges, name, resources)

    def in_order(self, kept: Sequence[Edge]) -> list[Edge]:
        """The edges of a circuit, lowest sender first."""
        return sorted(kept, key=self._number.__getitem__)

    def _plain(self) -> tuple[Floats, Floats]:
        first, stop = self.found.first, self.found.last + 1
        self._sum = torch.promote_types(self.model.dtype, torch.float32)  # what sums are taken in
        wanted = [Read(x.site, x.layers) for x in reads(self.model, self.found.roles)]
        values, activations = [], []
        for batch in (self.found.clean, self.found.corrupted):
            read, run = read_plain(
                self.model, batch, self.found, self._read, self.resources, wanted
            )
            values.append(self._value(read))
            activations.append({key: x[:, :stop] for key, x in run.activations.items()})
        clean, corrupted = activations
        self._streams = [corrupted["resid_pre", la] for la in range(self.model.shape.n_layers)]
        self._corrupted = {key: x[:, first:].to(self._sum) for key, x in corrupted.items()}
        self._embedded = clean["resid_pre", 0][:, first:] - self._corrupted["resid_pre", 0]
        places = [self.found.clean.predicting_positions(role) for role in self.found.answers]
        # Absent digits are -1: any position does, since the reader leaves them out.
        self._asking = torch.from_numpy(np.stack(places, axis=1) - first).clamp(min=0)
        ends = self.values([[], self.graph.edges])
        effect = np.nanmax(np.abs(values[0] - values[1]))
        off = np.nanmax(np.abs(ends - np.stack(values)))
        if off > _SHARE.get(self.model.dtype, _HALF) * effect:
            exact = self.model.dtype in _SHARE
            raise ModelError(
                f"the edges of {self.model.name} do not sum to its stream (with all of them, or "
                f"none, the metric is {off:.3g} off the plain run): choose nodes instead, "
                f"kinds=['head', 'mlp']{'' if exact else ', or load it with dtype=float32'}"
            )
        return values[0], values[1]

    def values(self, replaced: Sequence[Sequence[Edge]]) -> Floats:
        """The metric with each set of edges replaced."""
        kept = torch.zeros(len(replaced), *self.graph.below.shape, dtype=self._sum)
        kept[:, self._at[:, 0], self._at[:, 1]] = 1
        for i, edges in enumerate(replaced):
            at = self._at[[self._number[one] for one in edges]].reshape(-1, 2)
            kept[i, at[:, 0], at[:, 1]] = 0
        s = self.model.shape
        wide = len(self.graph.senders) + 3 * s.n_heads * (1 + s.n_heads)
        each = wide * self._embedded.nbytes
        step = max(1, self.resources.memory // each)
        parts, starts = [], range(0, len(kept), step)
        for done, first in enumerate(starts):
            if self.resources.cancel is not None:
                self.resources.cancel.check()
            parts.append(self._readout(kept[first : first + step]))
            if self.resources.progress is not None and len(replaced) > 1:
                self.resources.progress(done + 1, len(starts))
        return self._value(self._read.readout(torch.cat(parts)))

    def _readout(self, kept: torch.Tensor) -> torch.Tensor:
        """Parts of a Readout [circuits, n, answers, parts] of kept edges [circuits, senders,
        receivers], layer by layer."""
        s, old = self.model.shape, self._corrupted
        parallel = bool(getattr(self.model.adapter, "parallel", False))
        moved = self._embedded.expand(len(kept), 1, *self._embedded.shape)
        first = 0  # of this layer's receivers
        for layer in range(s.n_layers):
            stop = first + s.n_heads + 2 * s.n_kv_heads
            before = old["resid_pre", layer]
            read = before + _sums(kept[..., first:stop], moved)
            z = self._attention(layer, read)
            change = z.to(self._sum) - old["z", layer]  # [circuits, n, P, heads, d_head]
            weights = head_writes(self.model, layer).to(change)
            heads = torch.einsum("cnphe,hed->chnpd", change, weights)
            if parallel:
                read = before + _sums(kept[..., stop : stop + 1], moved)
                moved = torch.cat([moved, heads], dim=1)
            else:
                moved = torch.cat([moved, heads], dim=1)
                read = before + old["attn_out", layer] + _sums(kept[..., stop : stop + 1], moved)
            given = read[:, 0].to(self.model.device, self.model.dtype)
            wrote = frozen_block(self.model, layer, given, torch.zeros_like(given)) - given
            change = wrote.cpu() - old["mlp_out", layer]
            moved = torch.cat([moved, change[:, None]], dim=1)
            first = stop + 1
        end = old["resid_post", s.n_layers - 1] + _sums(kept[..., first:], moved)[:, 0]
        at = torch.arange(len(self.found))[:, None], self._asking
        rows = slice(0, len(self.found))
        return torch.stack(
            [self._read(unembed(self.model, one[at].to(self.model.dtype)), rows) for one in end]
        )

    def _attention(self, layer: int, read: torch.Tensor) -> torch.Tensor:
        """z [circuits, n, P, heads, d_head] of heads whose queries, keys and values read streams of
        their own, [circuits, receivers, n, P, d_model]."""
        s, device = self.model.shape, self.model.device
        given, first = {}, 0
        for site, width in (("q", s.n_heads), ("k", s.n_kv_heads), ("v", s.n_kv_heads)):
            mine = read[:, first : first + width].flatten(0, 1).to(device, self.model.dtype)
            every = inputs(self.model, layer, mine, site).unflatten(0, (-1, width))
            own = [every[:, i, ..., i, :] for i in range(width)]
            given[site] = torch.stack(own, dim=-2)  # [circuits, n, P, width, d_head]
            first += width
        stream = self._streams[layer].to(device)
        return attended(self.model, layer, stream, given, self.found.first).cpu()


def _sums(kept: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """What the kept edges bring to each receiver, [circuits, receivers, n, P, d_model].

    kept [circuits, senders, receivers], moved [circuits, senders so far, n, P, d_model].
    """
    return torch.einsum("csr,csnpd->crnpd", kept[:, : moved.shape[1]], moved)

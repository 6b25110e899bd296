"""Senders of path patching: what each adds to the stream, and how that spreads while heads hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import torch

from interp.engine.frozen import frozen_block
from interp.engine.requests import Read, Run
from interp.engine.writes import check_linear, head_writes
from interp.heads.nodes import Node, nodes_of
from interp.models.model import Model

Frozen = Literal["all", "heads"]
Key = tuple[str, int]
_SHARE = {torch.float64: 1e-6, torch.float32: 1e-3}  # of the largest number, for linearity


def every_sender(model: Model) -> tuple[Node, ...]:
    """Every head and every MLP, in the order in which they write into the stream."""
    return ordered([*nodes_of(model.shape, "head"), *nodes_of(model.shape, "mlp")])


def ordered(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Lowest layer first; in a layer heads before the MLP."""
    return tuple(sorted(nodes, key=lambda one: (one.layer, one.kind == "mlp", one.index)))


def reads(model: Model, roles: Sequence[str]) -> list[Read]:
    """Activations that senders and their spread need, at some roles."""
    last = model.shape.n_layers - 1
    every = [Read(site, None, tuple(roles)) for site in ("z", "attn_out", "mlp_out", "resid_pre")]
    return [*every, Read("resid_post", (last,), tuple(roles))]


@dataclass(frozen=True, eq=False)
class Senders:
    """Some prompts' activations of the run and of the source, (site, layer) → [n, P, …]."""

    model: Model
    run: Mapping[Key, torch.Tensor]
    source: Mapping[Key, torch.Tensor]

    @classmethod
    def of(cls, model: Model, run: Run, source: Run) -> Senders:
        """From two runs. Raises ModelError where heads do not write linearly (`engine.writes`)."""
        share = _SHARE.get(model.dtype, 5e-2)
        for layer in (0, model.shape.n_layers - 1):
            z, out = run.activations["z", layer], run.activations["attn_out", layer]
            check_linear(model, layer, z, out, share)
        return cls(model, run.activations, source.activations)

    def rows(self, rows: slice) -> Senders:
        """The same for some prompts, on the model's device."""
        device = self.model.device
        both = ({k: v[rows].to(device) for k, v in x.items()} for x in (self.run, self.source))
        return Senders(self.model, *both)

    def stream(self, layer: int) -> torch.Tensor:
        """The run's own stream before `layer`, [n, P, d_model]; after the last block at the end."""
        if layer < self.model.shape.n_layers:
            return self.run["resid_pre", layer]
        return self.run["resid_post", layer - 1]

    def writes(self, layer: int, nodes: Sequence[Node]) -> torch.Tensor:
        """What the source's activations of nodes of one layer add, [nodes, n, P, d_model]."""
        parts = []
        weights = head_writes(self.model, layer) if any(n.kind == "head" for n in nodes) else None
        for node in nodes:
            if node.kind == "mlp":
                parts.append(self.source["mlp_out", layer] - self.run["mlp_out", layer])
                continue
            assert weights is not None
            moved = self.source["z", layer] - self.run["z", layer]
            parts.append(moved[..., node.index, :] @ weights[node.index])
        return torch.stack(parts)

    def spread(self, nodes: Sequence[Node], frozen: Frozen, stop: int) -> torch.Tensor:
        """Streams before layer `stop` [nodes, n, P, d_model] with one sender changed each.

        frozen="all": every other node keeps its output, so the change arrives as it was written.
        frozen="heads": every other head keeps its output, MLPs are recomputed. `nodes` are
        `ordered` and lie below `stop`.
        """
        if frozen == "all":
            clean = self.stream(stop)
            return torch.cat([clean + part for _, part in self._by_layer(nodes)])
        streams = self.stream(0)[None][:0]
        pending = dict(self._by_layer(nodes))
        for layer in range(min(pending), stop):
            here = [node for node in nodes if node.layer == layer]
            heads = sum(node.kind == "head" for node in here)
            new = pending.get(layer)
            held = self.run["attn_out", layer].expand_as(streams)
            if new is not None and heads:
                clean = self.run["resid_pre", layer].expand_as(new[:heads])
                streams = torch.cat([streams, clean])
                held = torch.cat([held, self.run["attn_out", layer] + new[:heads]])
            if len(streams):
                streams = frozen_block(self.model, layer, streams, held)
            if new is not None and heads < len(new):
                streams = torch.cat([streams, self.stream(layer + 1) + new[heads:]])
        return streams

    def _by_layer(self, nodes: Sequence[Node]) -> Iterator[tuple[int, torch.Tensor]]:
        for layer, mine in groupby(nodes, key=lambda node: node.layer):
            yield layer, self.writes(layer, list(mine))

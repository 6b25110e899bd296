"""Patching and paths, made wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from interp.heads._circuit import _Runs
from interp.heads._knockout import _Removal
from interp.heads._screen import _Screen
from interp.heads.cells import Donor
from interp.heads.nodes import Node
from interp.heads.pairs import Pairs
from interp.heads.senders import Senders
from tests.planted.mutations import Mutation

_SENDERS = "interp.heads.senders"
Function = Callable[..., Any]


def _next_head(patch: Function) -> Function:
    def patched(donor: Donor, node: Node) -> Any:
        what = patch(donor, node)
        count = next(iter(what.source.values.values())).shape[2]
        return replace(what, heads=tuple((h + 1) % count for h in what.heads))

    return patched


def _own_source(run_and_source: Function) -> Function:
    return lambda pairs, direction: (run_and_source(pairs, direction)[0],) * 2


def _next_weights(head_writes: Function) -> Function:
    return lambda model, layer: torch.roll(head_writes(model, layer), 1, dims=0)


def _later_layer(stream: Function) -> Function:
    return lambda senders, layer: stream(senders, max(0, layer - 1))


def _next_removed(without: Function) -> Function:
    def removed(self: Any, heads: Any, source: Any) -> Any:
        count = self.model.shape.n_heads
        moved = [replace(one, index=(one.index + 1) % count) for one in heads]
        return without(self, moved, source)

    return removed


def _own_values(others: Function) -> Function:
    return lambda batch, seed: np.arange(len(batch))


def _inside_out(outside: Function) -> Function:
    return lambda runs, kept: list(kept)


def _nothing(outside: Function) -> Function:
    return lambda runs, kept: []


def _negated(sign: Any) -> property:
    return property(lambda screen: -sign.fget(screen))


def _heads_rolled(summed: Function) -> Function:
    return lambda screen, products: np.roll(summed(screen, products), 1, axis=1)


HEADS = (
    Mutation("screen", "the sign of noising forgotten", _Screen, "sign", _negated),
    Mutation("screen", "estimates of the next head", _Screen, "_summed", _heads_rolled),
    Mutation("circuit", "the circuit replaced, the rest kept", _Runs, "outside", _inside_out),
    Mutation("circuit", "nothing replaced", _Runs, "outside", _nothing),
    Mutation("knockout", "the next head removed", _Removal, "_without", _next_removed),
    Mutation(
        "knockout", "replaced by a prompt's own", "interp.heads._knockout", "_others", _own_values
    ),
    Mutation("patching", "the next head patched", Donor, "patch", _next_head),
    Mutation("patching", "a prompt's own activations", Pairs, "run_and_source", _own_source),
    Mutation("paths", "a head with the next one's weights", _SENDERS, "head_writes", _next_weights),
    Mutation("paths", "the stream one layer early", Senders, "stream", _later_layer),
)

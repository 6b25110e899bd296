"""Patching and paths, made wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

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


HEADS = (
    Mutation("patching", "the next head patched", Donor, "patch", _next_head),
    Mutation("patching", "a prompt's own activations", Pairs, "run_and_source", _own_source),
    Mutation("paths", "a head with the next one's weights", _SENDERS, "head_writes", _next_weights),
    Mutation("paths", "the stream one layer early", Senders, "stream", _later_layer),
)

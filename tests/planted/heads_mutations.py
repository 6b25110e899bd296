"""Patching and paths, made wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from interp.heads._edges import _Graph
from interp.heads._knockout import _Removal
from interp.heads.cells import Donor
from interp.heads.circuit_runs import Runs
from interp.heads.estimates import Estimates
from interp.heads.exchanges import Exchanges
from interp.heads.nodes import Node
from interp.heads.pairs import Pairs
from interp.heads.senders import Senders
from tests.planted.mutations import Mutation

_RUNS = "interp.heads.circuit_runs"
_DIRECTIONS = "interp.heads.number_directions"
_EXCHANGES = "interp.heads.exchanges"
_LEARNED = "interp.heads.learned"
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


def _next_neuron(patches: Function) -> Function:
    def patched(donor: Donor, nodes: Any) -> Any:
        count = next(iter(donor._run.activations.values())).shape[-1]
        return patches(donor, [replace(one, index=(one.index + 1) % count) for one in nodes])

    return patched


def _sides_swapped(streams: Function) -> Function:
    other = {"input": "output", "output": "input"}
    return lambda *args: {(other[s], la): x for (s, la), x in streams(*args).items()}


def _another_source(swap: Function) -> Function:
    def swapped(self: Any, cell: Node, predicted: bool, other: Any, *args: Any) -> Any:
        return swap(self, cell, predicted, np.roll(other, 1), *args)

    return swapped


def _answers_kept(answer_if: Function) -> Function:
    """The carry over the changed digit forgotten: only that digit moves."""

    def answers(problems: Any, name: str, values: Any) -> Any:
        own, moved = problems.answer.astype(np.int64), answer_if(problems, name, values)
        moved[:, 1:] = own[:, 1:]
        return moved

    return answers


def _senders_rolled(writes: Function) -> Function:
    return lambda graph: writes(graph).roll(1, dims=0)


def _receivers_rolled(slopes: Function) -> Function:
    """Over all receivers: a layer may have a single group of keys and values."""

    def rolled(graph: Any, done: Any) -> Any:
        parts = list(slopes(graph, done))
        return iter(torch.cat(parts).roll(1, dims=0).split([len(part) for part in parts]))

    return rolled


def _next_receiver(sums: Function) -> Function:
    """With all edges kept, or none, nothing changes."""
    return lambda kept, moved: sums(kept.roll(1, dims=2), moved)


def _next_targets(swap: Function) -> Function:
    """What the next problem should say."""

    def shifted(made: Any, cell: Any, rows: Any) -> Any:
        found = swap(made, cell, rows)
        return replace(found, targets=found.targets.roll(1))

    return shifted


def _own_sources(swap: Function) -> Function:
    """Every base is its own source: nothing moves."""

    def own(made: Any, cell: Any, rows: Any) -> Any:
        found = swap(made, cell, rows)
        return replace(found, source=found.base, source_at=found.at)

    return own


HEADS = (
    Mutation("subspace", "the next problem's digit", _LEARNED, "_swap", _next_targets),
    Mutation("subspace", "every base its own source", _LEARNED, "_swap", _own_sources),
    Mutation("edge_circuit", "the next receiver's edges", _RUNS, "_sums", _next_receiver),
    Mutation("edge_circuit", "the circuit replaced, the rest kept", Runs, "outside", _inside_out),
    Mutation("edges", "what the next sender writes", _Graph, "_writes", _senders_rolled),
    Mutation("edges", "what the next receiver reads", _Graph, "_slopes", _receivers_rolled),
    Mutation("interchange", "another source", Exchanges, "_swap", _another_source),
    Mutation("interchange", "no carry in the prediction", _EXCHANGES, "answer_if", _answers_kept),
    Mutation("neurons", "the next neuron patched", Donor, "patches", _next_neuron),
    Mutation("neurons", "estimates of the next neuron", Estimates, "_summed", _heads_rolled),
    Mutation("neurons", "input and output swapped", _DIRECTIONS, "_streams", _sides_swapped),
    Mutation("screen", "the sign of noising forgotten", Estimates, "sign", _negated),
    Mutation("screen", "estimates of the next head", Estimates, "_summed", _heads_rolled),
    Mutation("circuit", "the circuit replaced, the rest kept", Runs, "outside", _inside_out),
    Mutation("circuit", "nothing replaced", Runs, "outside", _nothing),
    Mutation("knockout", "the next head removed", _Removal, "_without", _next_removed),
    Mutation(
        "knockout", "replaced by a prompt's own", "interp.heads._knockout", "_others", _own_values
    ),
    Mutation("patching", "the next head patched", Donor, "patch", _next_head),
    Mutation("patching", "a prompt's own activations", Pairs, "run_and_source", _own_source),
    Mutation("paths", "a head with the next one's weights", _SENDERS, "head_writes", _next_weights),
    Mutation("paths", "the stream one layer early", Senders, "stream", _later_layer),
)

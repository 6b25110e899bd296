"""Replacement states of the waiting tokens, for one batch and one replacement, at every depth.

Tokens with the same replacement state at every depth share a number, so that a caller computes the
later layers of each once (`interp.ablation.batched_schedules`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation.conditions import conditions, donors
from interp.ablation.own_states import OwnStates
from interp.ablation.places import Places
from interp.ablation.replacements import Replacement
from interp.ablation.sink import Sink
from interp.ablation.tables import Table, build_table, table_problems
from interp.engine.block_steps import embed, step
from interp.engine.requests import Cancel
from interp.models.model import Model

Ints = npt.NDArray[np.int64]
Fill = Callable[[int], torch.Tensor]  # depth ≥ 1 → [numbers, d_model]


@dataclass(frozen=True, eq=False)
class ReplacementStates:
    """The replacement state of each token after the sink, before any layer.

    number    int64 [n, columns], -1 beyond a prompt's end; columns count from the sink
    tokens, positions, sinks   int64 [numbers], the token, position and sink of each number
    by_mask   True if waiting is a mask and not a replacement (`own`)
    """

    model: Model
    number: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    sinks: torch.Tensor
    by_mask: bool
    fill: Fill

    def at(self, depth: int) -> torch.Tensor:
        """The states before layer `depth`, [numbers, d_model]; before layer 0 their embeddings."""
        if depth == 0:
            return embed(self.model, self.tokens, self.positions)
        return self.fill(depth).to(self.model.device, self.model.dtype)

    def rows(self, depth: int) -> torch.Tensor:
        """The states of every prompt and column, [n, columns, d_model]; zeros beyond the end."""
        states = self.at(depth)
        out = states[self.number.clamp(min=0)]
        return out.masked_fill((self.number < 0)[..., None].to(out.device), 0.0)


def replacement_states(
    model: Model,
    places: Places,
    replacement: Replacement,
    sink: Sink,
    *,
    table: Table | None,
    known: bool = True,
    memory: int,
    cancel: Cancel | None = None,
) -> ReplacementStates:
    """The replacement states of a batch. `table` comes from `table_for`; without `known`, a token
    after a wrong answer token whose key is not in the table gets zeros. A token whose key no other
    prompt has is conditioned on less (`interp.ablation.conditions`).

    Raises InputError for a role that no other prompt has.
    """
    name = replacement.name
    if name == "resample":
        return _resampled(model, places, replacement, sink, memory, cancel)
    if name in ("cama", "role-mean"):
        assert table is not None
        return _conditional(model, places, table, sink, known, memory, cancel)
    numbered = _Numbered.of(places, sink, np.zeros(places.roles.shape, dtype=np.int64))
    if name == "own":
        return numbered.states(model, _Alone(model, numbered, sink), by_mask=True)
    width = model.shape.d_model
    if name == "zero":
        return numbered.states(model, lambda depth: torch.zeros(len(numbered.tokens), width))
    assert table is not None
    total = table.counts.sum()
    means = table.sums.sum(dim=1) / total  # [n_layers, d_model]
    return numbered.states(model, lambda depth: means[depth - 1].expand(len(numbered.tokens), -1))


def table_for(
    model: Model,
    places: Places,
    replacement: Replacement,
    *,
    memory: int,
    cancel: Cancel | None = None,
) -> Table | None:
    """The table of a replacement for these prompts, None for a replacement without a table."""
    if replacement.table_key is None:
        return None
    problems = table_problems(places.batch.problems, replacement.n, replacement.seed)
    prompts = model.prompts(problems, format=places.batch.format)
    return build_table(model, prompts, replacement.table_key, memory=memory, cancel=cancel)


@dataclass(frozen=True, eq=False)
class _Numbered:
    """Tokens numbered by position, role, token, sink and a variant int64 [n, columns]."""

    number: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    sinks: torch.Tensor
    rows: Ints  # one row and column of each number
    columns: Ints

    @classmethod
    def of(cls, places: Places, sink: Sink, variant: Ints) -> _Numbered:
        rows, columns = np.nonzero(places.present)
        tokens = places.batch.tokens.numpy()[rows, places.sink + columns]
        roles = np.unique(places.roles[rows, columns], return_inverse=True)[1]
        groups = sink.group.numpy()[rows]
        told = np.stack([columns, roles, tokens, groups, variant[rows, columns]], axis=1)
        _, first, numbers = np.unique(told, axis=0, return_index=True, return_inverse=True)
        number = np.full(places.roles.shape, -1, dtype=np.int64)
        number[rows, columns] = numbers.ravel()
        return cls(
            torch.from_numpy(number),
            torch.from_numpy(tokens[first]),
            torch.from_numpy(places.sink + columns[first]),
            torch.from_numpy(groups[first]),
            rows[first],
            columns[first],
        )

    def states(self, model: Model, fill: Fill, *, by_mask: bool = False) -> ReplacementStates:
        return ReplacementStates(
            model, self.number, self.tokens, self.positions, self.sinks, by_mask, fill
        )


class _Alone:
    """States, layer by layer, of tokens that see only the sink and themselves."""

    def __init__(self, model: Model, numbered: _Numbered, sink: Sink) -> None:
        self.model, self.sink, self.numbered = model, sink, numbered
        self.states = [embed(model, numbered.tokens, numbered.positions)]

    def __call__(self, depth: int) -> torch.Tensor:
        while len(self.states) <= depth:
            layer = len(self.states) - 1
            out, _ = step(
                self.model,
                layer,
                self.states[-1][:, None],
                self.numbered.positions[:, None],
                self.sink.keys(layer, self.numbered.sinks),
            )
            self.states.append(out[:, 0])
        return self.states[depth]


def _conditional(
    model: Model,
    places: Places,
    table: Table,
    sink: Sink,
    known: bool,
    memory: int,
    cancel: Cancel | None,
) -> ReplacementStates:
    """Conditional means, leaving out the evaluated prompt if it is in the table."""
    true = np.ones(places.roles.shape, dtype=bool) if known else _as_in_table(model, places)
    means = conditions(places, table, true)
    variant = np.where(means.inside, len(means.pools) + np.arange(len(true))[:, None], means.pool)
    numbered = _Numbered.of(places, sink, variant)
    which = torch.from_numpy(means.pool[numbered.rows, numbered.columns])
    out = torch.from_numpy(means.inside[numbered.rows, numbered.columns])
    count = means.pooled(table.counts)[which.clamp(min=0)] - out.long()
    own = OwnStates(model, places, memory, cancel) if means.inside.any() else None

    def fill(depth: int) -> torch.Tensor:
        total = means.pooled(table.sums[depth - 1])[which.clamp(min=0)]
        if own is not None:
            rows, columns = numbered.rows[out.numpy()], numbered.columns[out.numpy()]
            total[out] -= own.at(depth, rows, columns).double()
        return (total / count[:, None]).masked_fill((which < 0)[:, None], 0.0)

    return numbered.states(model, fill)


def _as_in_table(model: Model, places: Places) -> npt.NDArray[np.bool_]:
    """True where a prompt so far has the true answer, as in the table, bool [n, columns]: after
    a wrong answer token its states are in no table."""
    batch = places.batch
    true = model.prompts(batch.problems, format=batch.format).tokens[:, : places.end]
    same = (batch.tokens[:, : places.end] == true).int().cumprod(dim=1).bool()
    return np.asarray(same[:, places.sink :].numpy())


def _resampled(
    model: Model,
    places: Places,
    replacement: Replacement,
    sink: Sink,
    memory: int,
    cancel: Cancel | None,
) -> ReplacementStates:
    """States of the same role (and key) in another prompt of the batch, drawn anew for each
    token."""
    donor = donors(places, replacement)
    numbered = _Numbered.of(places, sink, donor[0] * donor.shape[2] + donor[1])
    own = OwnStates(model, places, memory, cancel)
    rows, columns = donor[:, numbered.rows, numbered.columns]
    return numbered.states(model, lambda depth: own.at(depth, rows, columns))

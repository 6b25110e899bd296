"""Batched schedules: each distinct token row and each shared prefix of layers computed once.

After the layers that wait, a token of the prompt sees only itself and the sink. So one row (a
*lane*) serves all prompts that contain the token, and the last tokens of every prompt read its keys
and values. In self-peek layers only the last tokens change. Schedules with the same first layers
share them: each layer has one state for each distinct history of looks.

Equal to `complete` within `engine.tolerance` (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from interp.ablation.answers import Answers, read
from interp.ablation.places import Places
from interp.ablation.replacement_states import ReplacementStates
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Setting
from interp.ablation.visible import OPEN, SELF, visible
from interp.engine.block_steps import KeysValues, TokenLogits, step
from interp.engine.readout import unembed
from interp.engine.requests import tolerance
from interp.errors import InputError

Look = tuple[int, ...] | None  # heads that look in one layer; None: all, (): none
NOBODY: Look = ()
_UNEMBED = 256  # most positions whose full-vocabulary logits are held at once


@dataclass(frozen=True)
class StagedSchedule:
    """A schedule in which every layer after the wait transfers or computes."""

    wait: int
    looks: tuple[Look, ...]  # of layers wait … n_layers − 1

    @classmethod
    def of(cls, schedule: Schedule, n_layers: int) -> StagedSchedule:
        """The looks of a schedule. Raises InputError for a schedule with unmodified layers or with
        compute masks other than self peek: these need complete forwards."""
        after = range(schedule.wait, n_layers)
        left = set(after) - set(schedule.transfer) - set(schedule.compute)
        if left or schedule.compute_mask != SELF or schedule.transfer_mask == OPEN:
            raise InputError("this schedule needs complete forwards: use evaluate.")
        looks = (schedule.looking(la) if la in schedule.transfer else NOBODY for la in after)
        return cls(schedule.wait, tuple(looks))

    def history(self, layer: int) -> tuple[Look, ...]:
        """The looks before `layer`, from the first look on; () if there was none."""
        past = self.looks[: layer - self.wait]
        first = next((i for i, look in enumerate(past) if look != NOBODY), len(past))
        return past[first:]


class BatchedSchedules:
    """Runs many schedules on one setting, under one transfer mask.

    `stream` [n, answers, d_model] is the full model's residual stream after its last block where
    answers are emitted. With it every cell computes KL, from the full vocabulary. Without it the
    full vocabulary is read only where the right token leads the other answers' tokens (the result
    is the same), and only where the `full` model is right, as faithfulness needs no more: elsewhere
    `right` is NaN.
    """

    def __init__(
        self,
        setting: Setting,
        replaced: ReplacementStates,
        mask: str,
        full: Answers,
        stream: torch.Tensor | None = None,
    ) -> None:
        self.setting, self.replaced, self.stream = setting, replaced, stream
        self.asked = torch.from_numpy(full.right == 1)  # bool [n, answers]
        self.model, places = setting.model, setting.places
        lengths = torch.from_numpy(places.batch.prompt_lengths)
        width = int((places.ends - places.batch.prompt_lengths).max()) + 1
        self.slots = lengths[:, None] - 1 + torch.arange(width)  # [n, E], the last tokens
        columns = (self.slots - places.sink).clamp(max=replaced.number.shape[1] - 1)
        self.last_lanes = replaced.number.gather(1, columns).clamp(min=0)
        waiting = int(lengths.max()) - 1 - places.sink
        self.lanes_seen = replaced.number[:, :waiting].clamp(min=0)  # [n, W]
        self.seen = _seen(places, mask, self.slots, waiting)  # bool [n, 1, E, S + W + E]
        self.tokens = TokenLogits(self.model, setting.truth.tokens)

    @property
    def at_once(self) -> int:
        """The number of cells that fit in `memory`: the last tokens' states four times (before,
        joined, after and read), and the logits of the right tokens in both precisions."""
        truth, itemsize = self.setting.truth, self.model.dtype.itemsize
        states = 4 * self.slots.numel() * self.model.shape.d_model * itemsize
        logits = truth.labels.numel() * len(truth.tokens) * (itemsize + 16)
        return max(1, self.setting.resources.memory // (states + logits))

    def run(self, cells: Sequence[StagedSchedule]) -> list[Answers]:
        """The answers of each cell, in order, in batches that fit in `memory`. Raises Cancelled
        on request."""
        out: dict[StagedSchedule, Answers] = {}
        waits = sorted({cell.wait for cell in cells})
        resources = self.setting.resources
        for done, wait in enumerate(waits):
            here = list(dict.fromkeys(cell for cell in cells if cell.wait == wait))
            for first in range(0, len(here), self.at_once):
                out |= self._from(wait, here[first : first + self.at_once])
            if resources.progress is not None:
                resources.progress(done + 1, len(waits))
        return [out[cell] for cell in cells]

    def _from(self, wait: int, cells: list[StagedSchedule]) -> dict[StagedSchedule, Answers]:
        lanes = self.replaced.at(wait)
        states: dict[tuple[Look, ...], torch.Tensor] = {}
        for layer in range(wait, self.model.shape.n_layers):
            if self.setting.resources.cancel is not None:
                self.setting.resources.cancel.check()
            after = {cell.history(layer + 1): cell for cell in cells}
            sink = self.setting.sink.keys(layer, self.replaced.sinks)
            moved, own = step(
                self.model, layer, lanes[:, None], self.replaced.positions[:, None], sink
            )
            next_states: dict[tuple[Look, ...], torch.Tensor] = {}
            alone = []
            for history, cell in after.items():
                look = cell.looks[layer - wait]
                before = states.get(cell.history(layer))
                if look != NOBODY:
                    before = lanes[self.last_lanes] if before is None else before
                    next_states[history] = self._look(layer, before, own, look)
                elif before is not None:
                    alone.append((history, before))
            next_states |= self._alone(layer, alone)
            lanes, states = moved[:, 0], next_states
        unlooked = lanes[self.last_lanes]
        last = [states.get(cell.history(self.model.shape.n_layers), unlooked) for cell in cells]
        return dict(zip(cells, self._read(torch.stack(last)), strict=True))

    def _alone(
        self, layer: int, states: list[tuple[tuple[Look, ...], torch.Tensor]]
    ) -> dict[tuple[Look, ...], torch.Tensor]:
        """One self-peek layer for the last tokens of several histories, as one batch."""
        if not states:
            return {}
        n, width = self.slots.shape
        rows = torch.cat([state.reshape(n * width, 1, -1) for _, state in states])
        positions = self.slots.reshape(-1, 1).repeat(len(states), 1)
        groups = self.setting.sink.group[:, None].expand(n, width).reshape(-1).repeat(len(states))
        out, _ = step(self.model, layer, rows, positions, self.setting.sink.keys(layer, groups))
        parts = out.reshape(len(states), n, width, -1)
        return {history: part for (history, _), part in zip(states, parts, strict=True)}

    def _look(self, layer: int, state: torch.Tensor, lanes: KeysValues, look: Look) -> torch.Tensor:
        """One layer in which the last tokens attend to lanes and sink, [n, E, d_model]."""
        n, waiting = self.lanes_seen.shape
        rows = self.lanes_seen.reshape(-1).to(lanes.k.device)
        held = [x[rows, :, 0].reshape(n, waiting, *x.shape[1::2]) for x in lanes]
        seen = KeysValues(held[0].transpose(1, 2), held[1].transpose(1, 2))
        sink = self.setting.sink.keys(layer, self.setting.sink.group)
        if sink is not None:
            seen = KeysValues.beside([sink, seen])
        mask = self.seen
        if look is not None:
            mask = mask.repeat(1, self.model.shape.n_heads, 1, 1)
            others = [h for h in range(self.model.shape.n_heads) if h not in look]
            mask[:, others] &= self._self_and_sink()
        out, _ = step(self.model, layer, state, self.slots, seen, mask)
        return out

    def _self_and_sink(self) -> torch.Tensor:
        width = self.slots.shape[1]
        alone = torch.zeros(width, self.seen.shape[-1], dtype=torch.bool)
        alone[:, : self.setting.places.sink] = True
        alone[:, -width:] = torch.eye(width, dtype=torch.bool)
        return alone

    def _read(self, states: torch.Tensor) -> list[Answers]:
        """The answers of each cell from the last tokens' states after the last block,
        [cells, n, E, d_model]."""
        emits = torch.from_numpy(self.setting.places.emits)
        slot = (emits - self.slots[:, :1]).clamp(min=0).to(states.device)
        where = slot[None, ..., None].expand(len(states), -1, -1, states.shape[-1])
        streams = states.gather(2, where)  # [cells, n, answers, d_model]
        if self.stream is None:
            return self._whether_first(streams)
        n, answers = emits.shape
        rows_at_once = max(1, self._positions // answers)
        parts: list[list[torch.Tensor]] = [[] for _ in streams]
        for first in range(0, n, rows_at_once):
            rows = slice(first, first + rows_at_once)
            log_p = _log_softmax(unembed(self.model, self.stream[rows]))
            for part, stream in zip(parts, streams, strict=True):
                logits = unembed(self.model, stream[rows])
                labels = self.setting.truth.labels[rows]
                found = read(self.setting.truth, logits, _log_softmax(logits), log_p, labels)
                part.append(found)
        return [Answers.of(torch.cat(part)) for part in parts]

    @property
    def _positions(self) -> int:
        """The number of positions per full-vocabulary batch: logits, both log-probabilities and
        their products, eight bytes each."""
        room = self.setting.resources.memory // (6 * 8 * self.model.shape.d_vocab_out)
        return max(1, min(_UNEMBED, room))

    def _whether_first(self, streams: torch.Tensor) -> list[Answers]:
        """The answers of all cells together, so that the unembedding is read few times."""
        truth = self.setting.truth
        labels = truth.labels.expand(len(streams), -1, -1)
        few = self.tokens(streams).cpu()  # [cells, n, answers, tokens]
        column = torch.searchsorted(truth.tokens, labels.clamp(min=int(truth.tokens[0])))
        own = few.gather(-1, column[..., None])[..., 0]
        best = few.amax(-1)
        close = tolerance(self.model.dtype) * few.abs().amax(-1)
        leads = (own >= best - close) & self.asked
        right = torch.zeros_like(own, dtype=torch.float64)
        if leads.any():
            first = self._first(streams[leads.to(streams.device)])
            right[leads] = (first == labels[leads]).double()
        right.masked_fill_(~self.asked, torch.nan)
        unknown = torch.full_like(right[0], torch.nan).numpy()
        return [
            Answers(kept.numpy(), truth.difference(values, truth.labels).numpy(), unknown)
            for kept, values in zip(right, few, strict=True)
        ]

    def _first(self, stream: torch.Tensor) -> torch.Tensor:
        return torch.cat([unembed(self.model, x).argmax(-1) for x in stream.split(self._positions)])


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Log-softmax, in double precision for a double model, else in single."""
    kind = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return torch.log_softmax(logits.to(kind), -1)


def _seen(places: Places, mask: str, slots: torch.Tensor, waiting: int) -> torch.Tensor:
    """Mask of the last tokens over sink, lanes and last tokens, bool [n, 1, E, S + W + E].
    Positions that a prompt lacks see only themselves, and no other token sees them."""
    allowed = torch.from_numpy(visible(places, mask))
    width, end = slots.shape[1], allowed.shape[-1]
    sink, first = places.sink, slots[:, :1]
    queries = allowed.gather(1, slots.clamp(max=end - 1)[..., None].expand(-1, -1, end))
    lanes = queries[:, :, sink : sink + waiting].clone()
    lanes &= (torch.arange(sink, sink + waiting)[None] < first)[:, None]
    others = queries.gather(2, slots.clamp(max=end - 1)[:, None].expand(-1, width, -1))
    there = slots < torch.from_numpy(places.ends)[:, None]
    others = others & there[:, :, None] & there[:, None]
    others |= torch.eye(width, dtype=torch.bool)
    others &= torch.ones(width, width, dtype=torch.bool).tril()
    return torch.cat([queries[:, :, :sink], lanes, others], dim=-1)[:, None]

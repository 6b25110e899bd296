"""Positions of a prompt: the sink, the tokens that wait, and the last tokens.

The *sink* is the first positions, visible to every token: attention rests there when it has nothing
to fetch. The *last* tokens are the positions that emit the answer: the prompt's last one and, in an
answer of several tokens, each answer token except the final one. Every other token *waits*.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from interp.errors import InputError, RoleError
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SINKS = ("first", "shots", "none")


@dataclass(frozen=True, eq=False)
class Places:
    """The positions of one batch under one choice of sink.

    sink        the number of positions in the sink, from the first on
    emits       int64 [n, answers], the position that emits each of `batch.answer_roles`, -1 absent
    ends        int64 [n], one past the last position that emits an answer token
    """

    batch: PromptBatch
    sink: int
    emits: Ints
    ends: Ints

    @classmethod
    def of(cls, batch: PromptBatch, sink: str = "first") -> Places:
        """The positions of a batch. Raises InputError for an unknown sink, prompts without answers,
        and prompts that are all sink; RoleError for the sink "shots" without few-shot examples."""
        if sink not in SINKS:
            raise InputError(f"unknown sink {sink!r}: choose one of {', '.join(SINKS)}.")
        if not batch.answer_roles:
            raise InputError(
                "these prompts hold no answer, so nothing says which tokens are right. Make them "
                "with model.prompts(problems), answer='true'."
            )
        emits = np.stack([batch.predicting_positions(r) for r in batch.answer_roles], axis=1)
        first = _sink_length(batch, sink)
        if (batch.prompt_lengths <= first).any():
            raise InputError(
                f"the sink {sink!r} takes up a whole prompt ({first} tokens): nothing is left to "
                f"wait. Use sink='first' or 'none'."
            )
        places = cls(batch, first, emits, emits.max(axis=1) + 1)
        if both := set(places.lasts) & set(places.waiting):
            raise InputError(
                f"{min(both)!r} emits the answer in some of these prompts and waits in others: "
                f"make prompts of one layout, or take them apart."
            )
        return places

    @property
    def end(self) -> int:
        """One past the last position that emits an answer token in any row."""
        return int(self.ends.max())

    @property
    def sink_roles(self) -> tuple[str, ...]:
        """The roles of the sink, the same in every prompt."""
        return tuple(self.batch.layouts[int(self.batch.layout_of[0])][: self.sink])

    @cached_property
    def roles(self) -> npt.NDArray[np.str_]:
        """The role at each position from the sink on, [n, end − sink]; "" beyond a row's end."""
        columns = range(self.sink, self.end)
        layouts = np.array(
            [[layout[c] if c < len(layout) else "" for c in columns]
             for layout in self.batch.layouts]
        )  # fmt: skip
        rows = layouts[self.batch.layout_of]
        return np.where(self.present, rows, "")

    @cached_property
    def present(self) -> Bools:
        """True where a row reaches each position from the sink on, bool [n, end − sink]."""
        return np.arange(self.sink, self.end)[None] < self.ends[:, None]

    @cached_property
    def is_last(self) -> Bools:
        """True where a position emits part of the answer, bool [n, end − sink]."""
        columns = np.arange(self.sink, self.end)[None]
        return self.present & (columns >= self.batch.prompt_lengths[:, None] - 1)

    @cached_property
    def lasts(self) -> tuple[str, ...]:
        """The roles at positions that emit the answer, in order of print."""
        return self._named(self.is_last)

    @cached_property
    def waiting(self) -> tuple[str, ...]:
        """The roles of the prompt's other tokens, in order of print."""
        return self._named(self.present & ~self.is_last)

    @property
    def operands(self) -> tuple[str, ...]:
        """The waiting roles of operand digits."""
        return tuple(role for role in self.waiting if digits_in(role) is not None)

    @property
    def tells(self) -> bool:
        """True if the sink differs between prompts, so that every token sees part of the prompt."""
        held = self.batch.tokens[:, : self.sink]
        return bool((held != held[:1]).any())

    def _named(self, chosen: Bools) -> tuple[str, ...]:
        found = dict.fromkeys(self.roles[chosen].tolist())
        return tuple(role for role in self.batch.roles if role in found)


def beginning_alike(batch: PromptBatch, sink: str) -> PromptBatch:
    """The prompts whose sink has the same roles as most of these prompts' sinks: all of them in a
    format of fixed width, and in one that begins with a word.

    Operands of different lengths begin with different roles (`a1`, `a0`); of such prompts those
    with the commonest beginning stay, the first of equally common ones.
    """
    if sink == "none" or sink not in SINKS:
        return batch
    found = np.unique(batch.layout_of)
    sinks = [_sink_roles(batch.layouts[int(i)], sink) for i in found]
    if len(set(sinks)) == 1:
        return batch
    counts = dict.fromkeys(sinks, 0)
    for roles, number in zip(sinks, found, strict=True):
        counts[roles] += int((batch.layout_of == number).sum())
    most = max(counts, key=lambda roles: counts[roles])
    if counts[most] < 2:
        raise _no_common_sink()
    kept = [int(i) for i, roles in zip(found, sinks, strict=True) if roles == most]
    return batch[np.flatnonzero(np.isin(batch.layout_of, kept))]


def _sink_roles(layout: tuple[str, ...], sink: str) -> tuple[str, ...]:
    return layout[: max(_leading(layout, sink == "shots"), 1)]


def _sink_length(batch: PromptBatch, sink: str) -> int:
    if sink == "none":
        return 0
    layouts = [batch.layouts[int(i)] for i in np.unique(batch.layout_of)]
    starts = {_leading(layout, sink == "shots") for layout in layouts}
    if len(starts) > 1:
        raise InputError("prompts with sinks of different lengths can't be run together.")
    length = max(starts.pop(), 1)
    if len({layout[:length] for layout in layouts}) > 1:
        raise _no_common_sink()
    if sink == "shots" and not any(role.startswith("shot") for role in layouts[0]):
        raise RoleError(
            f"these prompts ({batch.format}) have no few-shot examples to be the sink. Use "
            f"sink='first', or a format such as 'plain@2:0'."
        )
    return length


def _no_common_sink() -> InputError:
    return InputError(
        "these prompts begin with tokens of different roles, so they have no sink in common. "
        "Use a format that begins with a word ('calculate', 'qa-short') or has a fixed width "
        "('padded'), sink='none', or let all begin alike: model.starting_with('\\n')."
    )


def _leading(layout: tuple[str, ...], shots: bool) -> int:
    names = ("bos", "shot") if shots else ("bos",)
    return next((i for i, role in enumerate(layout) if not role.startswith(names)), len(layout))

"""Prompts with named positions, the input of every analysis.

`positions` maps a role to its index, `predicts(role)` to the position whose logits emit it. Rows
are right-padded, which under a causal mask leaves earlier positions unchanged.

The model reads the first `n_input` tokens of a row. That is all of them where they fit its context;
the last answer token is predicted and needs no place, so it may lie beyond, as a label without
activations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.arithmetic.problems import Problems
from interp.errors import InputError, RoleError, RowError
from interp.models.tokens import Encoded, Layout, digits_in
from interp.results.identity import ModelId

Position = int | npt.NDArray[np.int64]

_BEFORE = re.compile(r"predicts\((.+)\)")


def predicted(role: str) -> str:
    """The role that a position's logits emit: "c2" for "predicts(c2)"; any other unchanged."""
    before = _BEFORE.fullmatch(role)
    return before[1] if before else role


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Tokenised problems of one format for one model; immutable, and indexable by row.

    `tokens` is [n, longest], right-padded; `lengths` and `prompt_lengths` are [n]. A role's
    position is an int where all rows agree, else one index a row with -1 where that row lacks the
    role.
    """

    model: ModelId
    problems: Problems
    format: str
    texts: tuple[str, ...]
    tokens: torch.Tensor
    lengths: npt.NDArray[np.int64]
    prompt_lengths: npt.NDArray[np.int64]
    layouts: tuple[Layout, ...]
    layout_of: npt.NDArray[np.int64]
    context: int | None = None  # positions that the model can read; None: as many as there are

    @classmethod
    def build(
        cls,
        model: ModelId,
        problems: Problems,
        format: str,
        texts: Sequence[str],
        encoded: Encoded,
        context: int | None = None,
    ) -> PromptBatch:
        return cls(
            model,
            problems,
            format,
            tuple(texts),
            torch.from_numpy(encoded.ids),
            encoded.lengths,
            encoded.prompt_lengths,
            encoded.layouts,
            encoded.layout_of,
            context,
        )

    def __len__(self) -> int:
        return int(self.tokens.shape[0])

    def __repr__(self) -> str:
        return (
            f"PromptBatch({self.problems.task.name}, {len(self)} prompts in {self.format!r} for "
            f"{self.model.name}, the first {self.texts[0]!r})"
        )

    @property
    def n(self) -> int:
        return len(self)

    @cached_property
    def n_distinct(self) -> int:
        """Number of distinct token rows; a repeated prompt is no new evidence."""
        return len(np.unique(self.tokens.numpy(), axis=0))

    @property
    def n_input(self) -> int:
        """Number of positions that the model reads, at most the number of token columns."""
        longest = int(self.tokens.shape[1])
        return longest if self.context is None else min(longest, self.context)

    @property
    def inputs(self) -> torch.Tensor:
        """The token ids that the model reads, [n, n_input]."""
        return self.tokens[:, : self.n_input]

    @cached_property
    def input_roles(self) -> tuple[str, ...]:
        """The roles whose token the model reads in every row: those with activations."""
        return tuple(r for r in self.roles if (self.position_array(r) < self.n_input).all())

    def require_input(self, role: str) -> None:
        """Raise RoleError for a role beyond the positions that the model reads."""
        if (self.find(role) >= self.n_input).any():
            raise RoleError(
                f"{role!r} is an answer token that {self.model.name} predicts and does not read "
                f"(it reads {self.n_input} tokens), so it has no activation. Use "
                f"'predicts({role})', the position whose logits emit it, or one of: "
                f"{', '.join(self.input_roles)}."
            )

    @property
    def truth(self) -> pd.DataFrame:
        """Every intermediate of the schoolbook algorithm, one row a problem."""
        return self.problems.truth

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Every role of some row, in order of print, then `last`."""
        ordered = dict.fromkeys(role for i in self._layouts_used for role in self.layouts[i])
        return (*ordered, "last")

    @cached_property
    def answer_roles(self) -> tuple[str, ...]:
        """The answer's roles in order of print: `sign` where there is one, and c digits or
        spans.
        """
        roles = [
            role
            for role in self.roles
            if role == "sign" or ((digits := digits_in(role)) and digits[0] == "c")
        ]
        return tuple(sorted(roles, key=lambda role: _print_order(self.position_array(role))))

    @cached_property
    def answer_roles_least_first(self) -> tuple[str, ...]:
        """The answer's roles, the least significant digit first and the sign last."""

        def place(role: str) -> float:
            digits = digits_in(role)
            return float("inf") if digits is None else digits[1].start

        return tuple(sorted(self.answer_roles, key=place))

    @cached_property
    def prints_least_first(self) -> bool:
        """True if the answer's least significant digit is written first."""
        digits = [role for role in self.answer_roles_least_first if digits_in(role)]
        if len(digits) < 2:
            return False
        low, high = (self.position_array(role) for role in digits[:2])
        both = (low >= 0) & (high >= 0)
        return bool(both.any() and (low[both] < high[both]).all())

    @cached_property
    def operand_digit_roles(self) -> tuple[str, ...]:
        """The operand digits that some prompt writes, a0, a1, …, b0, …, packed ones singly."""
        task = self.problems.task
        widths = zip(task.operand_names, task.operand_digits, strict=True)
        every = [f"{name}{i}" for name, width in widths for i in range(width)]
        return tuple(role for role in every if self.writes(role).any())

    def operand_digit(self, role: str) -> tuple[int, int]:
        """Operand and digit index of a role, (0, 2) for "a2".

        Raises InputError for a role that is no operand digit of the task.
        """
        task, match = self.problems.task, re.fullmatch(r"([a-z])(\d+)", role)
        if match is None or match[1] == "c":
            raise InputError(f"{role!r} is no operand digit: write one such as 'a0' or 'b2'")
        name, digit, names = match[1], int(match[2]), task.operand_names
        if name not in names or digit >= task.operand_digits[names.index(name)]:
            raise InputError(f"{task.name} has no operand digit {role!r}")
        return names.index(name), digit

    def writes(self, role: str) -> npt.NDArray[np.bool_]:
        """Mask [n] of the prompts that write the operand digit `role`, alone or packed."""
        operand, digit = self.operand_digit(role)
        name = self.problems.task.operand_names[operand]
        found = np.zeros(len(self), dtype=bool)
        for token in self.roles:
            digits = digits_in(token)
            if digits is not None and digits[0] == name and digit in digits[1]:
                found |= self.position_array(token) >= 0
        return found

    @cached_property
    def positions(self) -> Mapping[str, Position]:
        """Role → index, for every role of the batch."""
        return {role: _collapse(self.position_array(role)) for role in self.roles}

    def find(self, role: str) -> npt.NDArray[np.int64]:
        """The index of `role` in each row, -1 if absent; "predicts(c2)" is the position before c2,
        whose logits emit it."""
        if role == "last":
            return self.prompt_lengths - 1
        if (emitted := predicted(role)) != role:
            return self._before(emitted, self.find(emitted))
        table = np.array(
            [layout.index(role) if role in layout else -1 for layout in self.layouts],
            dtype=np.int64,
        )
        return np.asarray(table[self.layout_of])

    def position_array(self, role: str) -> npt.NDArray[np.int64]:
        """`find(role)`, but raises RoleError when no row has the role."""
        where = self.find(role)
        if len(where) and (where < 0).all():
            raise RoleError(
                f"role {role!r} is in none of these prompts. They have: {', '.join(self.roles)}; "
                "and predicts(ROLE) is the position before one."
            )
        return where

    def predicts(self, role: str) -> Position:
        """The position whose logits emit the token at `role`: the one before it."""
        return _collapse(self.predicting_positions(role))

    def predicting_positions(self, role: str) -> npt.NDArray[np.int64]:
        """`predicts(role)` as one index a row, -1 where the row lacks the role."""
        return self._before(role, self.position_array(role))

    def _before(self, role: str, where: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if (where == 0).any():
            raise RoleError(f"role {role!r} is the first token: nothing predicts it.")
        return np.where(where > 0, where - 1, -1)

    def roles_at(self, role: str) -> npt.NDArray[np.str_]:
        """The token's role at the position of `role` in each row, [n]: `role` itself, or that of
        the token before for "predicts(…)"; '' if absent."""
        where = self.position_array(role)
        found = [
            self.layouts[layout][at] if at >= 0 else ""
            for layout, at in zip(self.layout_of, where, strict=True)
        ]
        return np.array(found, dtype=str)

    def emitted_at(self, role: str) -> str:
        """The answer role that the logits at `role` emit in every row, else ''."""
        where = self.position_array(role)
        for answer in self.answer_roles:
            there = self.predicting_positions(answer)
            both = (where >= 0) & (there >= 0)
            if both.any() and (where[both] == there[both]).all():
                return answer
        return ""

    @property
    def bos_tokens(self) -> tuple[int, ...]:
        """Token ids before the text of every prompt."""
        layout = self.layouts[self.layout_of[0]]
        count = sum(re.fullmatch(r"bos(\.\d+)?", role) is not None for role in layout)
        return tuple(self.tokens[0, :count].tolist())

    def labels(self, role: str) -> torch.Tensor:
        """The token id at `role` in each row, int64 [n]; -1 where the row lacks it."""
        where = torch.from_numpy(self.position_array(role))
        ids = self.tokens.gather(1, where.clamp(min=0)[:, None])[:, 0]
        return torch.where(where >= 0, ids, torch.full_like(ids, -1))

    def __getitem__(self, rows: Any) -> PromptBatch:
        try:
            index = np.arange(len(self))[rows]
        except IndexError as error:
            raise RowError(
                f"there are {len(self)} prompts, and {rows!r} does not select among them: {error}"
            ) from error
        if index.ndim == 0:
            index = index[None]
        return replace(
            self,
            problems=self.problems[index],
            texts=tuple(self.texts[i] for i in index),
            tokens=self.tokens[torch.from_numpy(index)],
            lengths=self.lengths[index],
            prompt_lengths=self.prompt_lengths[index],
            layout_of=self.layout_of[index],
        )

    def with_tokens(self, tokens: torch.Tensor, texts: Sequence[str]) -> PromptBatch:
        """The same problems and roles with other tokens of the same shape, and their texts."""
        if tokens.shape != self.tokens.shape:
            raise InputError(
                f"the tokens must have shape {tuple(self.tokens.shape)}, not {tuple(tokens.shape)}."
            )
        return replace(self, tokens=tokens, texts=tuple(texts))

    @property
    def _layouts_used(self) -> list[int]:
        return [int(i) for i in np.unique(self.layout_of)]


def _collapse(where: npt.NDArray[np.int64]) -> Position:
    if len(where) and (where == where[0]).all():
        return int(where[0])
    return where


def _print_order(where: npt.NDArray[np.int64]) -> float:
    present = where[where >= 0]
    return float(present.mean()) if len(present) else 0.0

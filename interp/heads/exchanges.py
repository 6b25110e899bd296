"""Sources of an interchange, and whether the predicted answers come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic.answers_if import answer_if, keeps_sign
from interp.engine._run import run, run_variants
from interp.engine.interventions import Replace
from interp.engine.interventions import Rows as RowValues
from interp.engine.requests import Read, Resources, Variant
from interp.engine.targets import true_tokens
from interp.errors import InputError
from interp.heads.nodes import Node
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sources:
    """Base problems with a source each.

    rows          [m] rows of the batch
    other         [m] a row whose value of the variable differs and changes the answer
    same, wrong   [m] rows with the base's own value, and with another value than the source's; -1
                  where there is none
    answers       [m, answer digits] the predicted answers, least digit first
    """

    rows: Rows
    other: Rows
    same: Rows
    wrong: Rows
    answers: Ints
    own: Ints

    @property
    def moved(self) -> set[int]:
        """Answer digits that change in some row."""
        return set(np.flatnonzero((self.answers != self.own).any(axis=0)).tolist())


def sources(batch: PromptBatch, variable: str, seed: int) -> Sources:
    """A source for every row that has one of the same layout, drawn at random.

    Left out: rows whose predicted answer would be written with other roles, or a digit that no
    prompt of the batch writes there.

    Raises InputError for a variable that determines no answer, and where under four rows have one.
    """
    problems, own = batch.problems, batch.problems.answer.astype(np.int64)
    answer_if(problems, variable, np.zeros(len(batch)))  # raises for a variable without an answer
    values = problems.column(variable).astype(np.int64)
    written = _Tokens.of(batch)
    rng = np.random.default_rng([seed, 21])
    chosen: list[tuple[int, ...]] = []
    answers: list[Ints] = []
    for row in range(len(batch)):
        pool = rng.permutation(np.flatnonzero(batch.layout_of == batch.layout_of[row]))
        pool = pool[pool != row]
        predicted = _first_source(batch, variable, values, row, pool, own, written)
        if predicted is None:
            continue
        other, answer = predicted
        same = pool[values[pool] == values[row]]
        wrong = pool[values[pool] != values[other]]
        chosen.append((row, other, *(int(x[0]) if len(x) else -1 for x in (same, wrong))))
        answers.append(answer)
    if len(chosen) < 4:
        raise InputError(
            f"{len(chosen)} of {len(batch)} problems have a source with another {variable} whose "
            "answer is written as theirs: give more n, or a format of fixed width (padded)"
        )
    rows, others, same, wrong = np.array(chosen).T
    return Sources(rows, others, same, wrong, np.stack(answers), own[rows])


def _first_source(
    batch: PromptBatch, variable: str, values: Ints, row: int, pool: Any, own: Ints, written: Any
) -> tuple[int, Ints] | None:
    """The first row of the pool whose value gives another answer that can be written, and that."""
    one, tried = batch.problems[row : row + 1], {int(values[row])}
    for other in pool.tolist():
        value = int(values[other])
        if value in tried:
            continue
        tried.add(value)
        new = np.array([float(value)])
        answer = answer_if(one, variable, new)[0]
        changed = (answer != own[row]).any() and keeps_sign(one, variable, new)[0]
        if changed and written.fits(row, answer):
            return other, answer
    return None


class _Tokens:
    """The token of every answer role by its digits, as the batch writes them."""

    def __init__(self, batch: PromptBatch) -> None:
        self.roles = batch.answer_roles_least_first
        self.digits = {role: held[1] for role in self.roles if (held := digits_in(role))}
        self.present = {role: batch.find(role) >= 0 for role in self.roles}
        own, labels = batch.problems.answer, true_tokens(batch, self.roles).numpy()
        self.token: dict[tuple[str, tuple[int, ...]], int] = {}
        self.highest = np.array([np.flatnonzero(x).max(initial=0) for x in own])
        for column, role in enumerate(self.roles):
            if role not in self.digits:
                continue
            for row in np.flatnonzero(self.present[role]):
                digits = tuple(own[row, list(self.digits[role])].tolist())
                self.token[role, digits] = int(labels[row, column])

    @classmethod
    def of(cls, batch: PromptBatch) -> _Tokens:
        """Raises InputError for answers with no digits."""
        made = cls(batch)
        if not made.digits:
            raise InputError("these answers hold no digits that could be predicted")
        return made

    def fits(self, row: int, answer: Ints) -> bool:
        """Whether the answer is written with the roles of the row, and its digits are known."""
        covered = [k for r, span in self.digits.items() if self.present[r][row] for k in span]
        if set(np.flatnonzero(answer).tolist()) - {*covered}:
            return False
        padded = max(covered) > self.highest[row]
        if not padded and np.flatnonzero(answer).max(initial=0) != self.highest[row]:
            return False
        return all(
            (role, tuple(answer[list(span)].tolist())) in self.token
            for role, span in self.digits.items()
            if self.present[role][row]
        )

    def written(self, batch: PromptBatch, rows: Rows, answers: Ints) -> PromptBatch:
        """The prompts `rows` with other answers in place of their own."""
        part = batch[rows]
        tokens = part.tokens.clone()
        for role, span in self.digits.items():
            where = part.find(role)
            for i in np.flatnonzero(where >= 0):
                tokens[i, where[i]] = self.token[role, tuple(answers[i, list(span)].tolist())]
        return part.with_tokens(tokens, part.texts)


def answered(model: Model, batch: PromptBatch, resources: Resources) -> Hits:
    """Which prompts the model answers with their own answer, [n]."""
    roles = batch.answer_roles_least_first
    found = run(
        model, batch, logits=roles, reduce=_first_choices(batch, roles), memory=resources.memory,
        cancel=resources.cancel,
    ).logits  # fmt: skip
    assert found is not None
    return _whole(found)


class Exchanges:
    """Runs of base prompts with activations of their sources."""

    def __init__(
        self, model: Model, batch: PromptBatch, found: Sources, resources: Resources
    ) -> None:
        self.model, self.batch, self.found, self.resources = model, batch, found, resources
        self.roles = batch.answer_roles_least_first
        self._written = written = _Tokens.of(batch)
        self._bases = {
            True: written.written(batch, found.rows, found.answers),
            False: written.written(batch, found.rows, found.own),
        }  # with the predicted answer, and with their own
        self._read: dict[tuple[Any, ...], torch.Tensor] = {}

    @property
    def predicted(self) -> PromptBatch:
        """The base prompts with the predicted answers in place of their own."""
        return self._bases[True]

    def digit_tokens(self, digit: int) -> tuple[str, torch.Tensor]:
        """The role that writes an answer digit, and the tokens [k] that the batch writes there."""
        known = self._written
        role = next(role for role, span in known.digits.items() if digit in span)
        ids = sorted({token for (r, _), token in known.token.items() if r == role})
        return role, torch.tensor(ids)

    def width(self, cell: Node) -> int:
        """Width of the activation at a cell."""
        shape = self.model.shape
        return shape.d_head if cell.kind == "head" else shape.d_model

    def came_out(
        self,
        cells: Sequence[Node],
        other: Rows | None,
        *,
        predicted: bool = True,
        basis: torch.Tensor | None = None,
        placebo: int | None = None,
    ) -> Hits:
        """Whether the predicted answer (or the base's own) is the greedy one, [cells, m].

        `other` are the rows that activations come from, None for no swap; `placebo`: the seed of
        random directions that changes of equal length have instead.
        """
        batch, variants = self._bases[predicted], []
        for cell in cells:
            what: tuple[Replace, ...] = ()
            if other is not None:
                what = (self._swap(cell, predicted, other, basis, placebo),)
            variants.append(Variant(cell.name, what))
        runs = run_variants(
            self.model, batch, variants, logits=self.roles,
            reduce=_first_choices(batch, self.roles), memory=self.resources.memory,
            savings=self.resources.savings, cancel=self.resources.cancel,
            progress=self.resources.progress if len(cells) > 1 else None,
        )  # fmt: skip
        return np.stack([_whole(one.logits) for one in runs if one.logits is not None])

    def _swap(
        self,
        cell: Node,
        predicted: bool,
        other: Rows,
        basis: torch.Tensor | None,
        placebo: int | None,
    ) -> Replace:
        rows = torch.from_numpy(np.where(other < 0, self.found.rows, other))
        theirs = self._activations(self.batch, cell, "source")[rows]
        if basis is not None:
            mine = self._activations(self._bases[predicted], cell, predicted)
            part = (..., cell.index, slice(None)) if cell.kind == "head" else (...,)
            h = mine[part].double()
            moved = (theirs[part].double() - h) @ basis @ basis.T
            if placebo is not None:
                moved = _turned(moved, placebo)
            theirs = mine.clone()
            theirs[part] = (h + moved).to(theirs.dtype)
        return Replace(
            cell.site,
            RowValues({cell.layer: theirs}),
            layers=(cell.layer,),
            roles=(cell.role,),
            heads=cell.heads,
        )

    def _activations(self, batch: PromptBatch, cell: Node, of: object) -> torch.Tensor:
        """Activations [n, 1, …] at a cell's site, layer and role, read once."""
        key = (of, cell.site, cell.layer, cell.role)
        if key not in self._read:
            done = run(
                self.model, batch, reads=[Read(cell.site, None, (cell.role,))], logits=None,
                memory=self.resources.memory, cancel=self.resources.cancel,
            ).activations  # fmt: skip
            for (site, layer), value in done.items():
                self._read[of, site, layer, cell.role] = value
        return self._read[key]


def _turned(moved: torch.Tensor, seed: int) -> torch.Tensor:
    """Changes of the same length in random directions."""
    drawn = torch.Generator().manual_seed(seed)
    random = torch.randn(moved.shape, generator=drawn, dtype=torch.float64)
    return random * moved.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)


def basis_of(along: Any, width: int) -> torch.Tensor:
    """Orthonormal basis float64 [width, rank] of directions [width] or [rank, width].

    Raises InputError for another width, or directions that are zero or dependent.
    """
    given = torch.as_tensor(np.asarray(along, dtype=float))
    given = given[None] if given.ndim == 1 else given
    if given.ndim != 2 or given.shape[1] != width or not 1 <= len(given) <= width:
        raise InputError(
            f"along= takes directions [{width}] or [rank, {width}] at this place, not "
            f"{list(given.shape)}"
        )
    if int(torch.linalg.matrix_rank(given)) < len(given):
        raise InputError("the directions of along= are zero or dependent: leave some out")
    return torch.linalg.qr(given.T)[0]


def _first_choices(batch: PromptBatch, roles: Sequence[str]) -> Any:
    """Reduce logits to 1 where the token of the batch is the first choice, NaN where absent."""
    labels = true_tokens(batch, roles)

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        mine = labels[rows].to(logits.device)
        right = (logits.nan_to_num(0.0).argmax(-1) == mine).double()
        return right.masked_fill(mine < 0, torch.nan).cpu()

    return reduce


def _whole(found: torch.Tensor) -> Hits:
    """Rows in which every answer token is the first choice."""
    return np.asarray(np.nan_to_num(found.numpy(), nan=1.0).min(axis=-1) > 0)

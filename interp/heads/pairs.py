"""Pairs of a clean prompt and a corrupted one, with a same-answer control, token by token aligned.

Row i of every batch belongs together. Clean and corrupted prompts have equal lengths and roles, or
the call raises: activations of different positions are never put into one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic.counterfactuals import same_answer, swap_operand
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import step_seed
from interp.engine.targets import true_tokens
from interp.errors import InputError
from interp.heads.metrics import Direction
from interp.models.asking import Asked, check_model, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix, Swap, check_true_answers, swapped_prompts, swaps

Ints = npt.NDArray[np.int64]
_SWAPS = 5  # the purpose of the seeds that swaps are drawn with
_TRIES = 8  # draws of a same-answer problem that is written as long


@dataclass(frozen=True, eq=False)
class Pairs:
    """Aligned prompts.

    clean, corrupted    batches of equal layout
    answers             answer roles that are read
    right, other        int64 [n, answers]: the right token r of the clean problem and r' of the
                        corrupted one; -1 where they are equal, or a problem lacks the digit
    first, last         positions whose activations can matter: from the first at which clean and
                        corrupted differ in some row to the last that is read; all without a causal
                        mask
    settings            settings of a Result
    """

    clean: PromptBatch
    corrupted: PromptBatch
    answers: tuple[str, ...]
    right: Ints
    other: Ints
    first: int
    last: int
    settings: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.clean)

    def run_and_source(self, direction: Direction) -> tuple[PromptBatch, PromptBatch]:
        """The prompts that are run, and those whose activations are put into them."""
        both = (self.corrupted, self.clean)
        return both if direction == "denoise" else both[::-1]

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles at those positions; at the others a patch changes nothing."""
        found = []
        for role in self.clean.roles:
            where = self.clean.position_array(role)
            if (
                role != "last"
                and where.max() >= self.first
                and where[where >= 0].min() <= self.last
            ):
                found.append(role)
        return tuple(found)


def pairs(
    model: Model,
    asked: Asked,
    *,
    swap: str | None,
    corrupted: Problems | PromptBatch | None,
    answers: Sequence[str] | None,
    prefix: Prefix,
    n: int,
    seed: int,
    format: str | None,
    held_out: bool,
) -> Pairs:
    """Pairs of the problems of `asked`.

    Args:
        swap: what the corrupted problem changes: an operand ("a": another value of its length), one
            of its digits ("a2"), or "all" operands. None: the first operand.
        corrupted: corrupted problems or prompts of your own, a row each, instead of a swap.
        answers: answer roles to read; None: every one that differs in some pair.
        prefix: as in `attribution.counterfactual`: "keep" the clean problem's answer in the
            corrupted prompt, or "recompute" it.

    Rows without such a swap are left out; `settings["without_swap"]` says how many.

    Raises InputError for prompts of different length or roles, and where no answer digit differs.
    """
    if prefix not in get_args(Prefix):
        raise InputError(f"unknown prefix {prefix!r}: choose {', '.join(get_args(Prefix))}")
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    check_true_answers(model, batch)
    if corrupted is not None:
        if swap is not None:
            raise InputError("give swap or corrupted problems, not both")
        changed, named = _given(model, batch, corrupted, prefix), "given"
        kept = np.arange(len(batch))
    else:
        named = swap or batch.problems.task.operand_names[0]
        made = _swap(batch, named, seed)
        kept = np.flatnonzero(made.valid)
        if not len(kept):
            raise InputError(f"none of these problems has another value of {named!r} to swap in")
        changed = swapped_prompts(model, batch, made, prefix)[kept]
    clean = batch[kept]
    check_aligned(clean, changed)
    settings: dict[str, Any] = {"format": batch.format, **sampled, "prefix": prefix}
    settings |= {"swap": named, "without_swap": len(batch) - len(kept)}
    right, other, roles = _tokens(model, clean, changed.problems, answers)
    differ = (clean.tokens != changed.tokens).any(dim=0)
    if not differ.any():
        raise InputError("clean and corrupted prompts are equal: there is nothing to patch")
    first, last = int(differ.int().argmax()), clean.tokens.shape[1]
    if model.adapter.causal:
        last = max(int(clean.predicting_positions(role).max()) for role in roles)
    else:
        first = 0
    return Pairs(clean, changed, roles, right, other, first, last, settings)


def check_aligned(clean: PromptBatch, corrupted: PromptBatch) -> None:
    """Raise InputError unless the prompts have the same number of rows, lengths and roles."""
    if len(clean) != len(corrupted):
        raise InputError(
            f"{len(clean)} clean prompts and {len(corrupted)} corrupted ones: give a corrupted "
            "prompt for each clean one, in the same order"
        )
    for row in range(len(clean)):
        mine = clean.layouts[clean.layout_of[row]]
        theirs = corrupted.layouts[corrupted.layout_of[row]]
        if mine != theirs:
            what = "length" if len(mine) != len(theirs) else "roles"
            raise InputError(
                f"the prompts of row {row} differ in {what}: {clean.texts[row]!r} and "
                f"{corrupted.texts[row]!r}. Patching needs aligned tokens: use a format of fixed "
                "width (format='padded'), prefix='keep', or swap single digits (swap='a0')"
            )


def control(model: Model, pairs: Pairs, direction: Direction, seed: int) -> tuple[PromptBatch, Any]:
    """Prompts with other operands than those that are run, but the same answer, and bool [n]: the
    rows that have one written with the same roles. A node that carries the answer, and not
    the operands, has no effect when its activation comes from there."""
    run, _ = pairs.run_and_source(direction)
    problems = run.problems
    operands = [x.copy() for x in problems.operands]
    found = np.zeros(len(run), dtype=bool)
    for attempt in range(_TRIES):
        for row in np.flatnonzero(~found):
            try:
                other = same_answer(problems[row : row + 1], seed=seed + 1000 * attempt + int(row))
            except InputError:
                continue
            said = model.prompts(other, format=run.format)
            layout = said.layouts[said.layout_of[0]]
            if layout == run.layouts[run.layout_of[row]]:
                found[row] = True
                for mine, theirs in zip(operands, other.operands, strict=True):
                    mine[row] = theirs[0]
    if not found.any():
        return run, found
    changed = Problems(problems.task, operands, problems.operators)
    made = model.prompts(changed, format=run.format).tokens
    tokens, width = run.tokens.clone(), min(made.shape[1], run.tokens.shape[1])
    asked = torch.arange(width)[None] < torch.from_numpy(run.prompt_lengths)[:, None]
    asked &= torch.from_numpy(found)[:, None]
    tokens[:, :width] = torch.where(asked, made[:, :width], tokens[:, :width])
    return run.with_tokens(tokens, run.texts), found


def _given(
    model: Model, batch: PromptBatch, corrupted: Problems | PromptBatch, prefix: Prefix
) -> PromptBatch:
    if isinstance(corrupted, PromptBatch):
        check_model(model, corrupted)
        return corrupted
    if not isinstance(corrupted, Problems):
        raise InputError(
            f"corrupted problems are Problems or a PromptBatch, not a {type(corrupted).__name__}"
        )
    if len(corrupted) != len(batch):
        raise InputError(
            f"{len(batch)} clean problems and {len(corrupted)} corrupted ones: give one for each"
        )
    made = Swap("given", corrupted, np.ones(len(batch), dtype=bool))
    return swapped_prompts(model, batch, made, prefix)


def _swap(batch: PromptBatch, named: str, seed: int) -> Swap:
    names = batch.problems.task.operand_names
    if named != "all" and named not in names:
        made = swaps(batch, named, "one", step_seed(seed, 0, _SWAPS))
        if not made:
            raise InputError(f"none of these problems has another value of {named!r} to swap in")
        return made[0]
    chosen = range(len(names)) if named == "all" else [names.index(named)]
    try:
        changed = _with_others(batch.problems, chosen, seed)
        return Swap(named, changed, np.ones(len(batch), dtype=bool))
    except InputError:  # in some row; one by one, to keep the others
        operands = [x.copy() for x in batch.problems.operands]
        valid = np.zeros(len(batch), dtype=bool)
        for row in range(len(batch)):
            try:
                one = _with_others(batch.problems[row : row + 1], chosen, seed, row)
            except InputError:
                continue
            valid[row] = True
            for operand in chosen:
                operands[operand][row] = one.operands[operand][0]
        problems = Problems(batch.problems.task, operands, batch.problems.operators)
        return Swap(named, problems, valid)


def _with_others(problems: Problems, operands: Iterable[int], seed: int, row: int = 0) -> Problems:
    """Other values of equal length for some operands.

    The seed is not that of the problems: the same random numbers would give their own digits again,
    and the other value would differ from an operand in its leading digit alone.
    """
    for operand in operands:
        own = step_seed(seed, len(problems.operands) * row + operand, _SWAPS)
        problems = swap_operand(problems, operand, seed=own, keep_length=True)
    return problems


def _tokens(
    model: Model, clean: PromptBatch, changed: Problems, answers: Sequence[str] | None
) -> tuple[Ints, Ints, tuple[str, ...]]:
    every = clean.answer_roles_least_first
    for role in answers or ():
        if role not in every:
            raise InputError(f"{role!r} is no answer role of these prompts: {', '.join(every)}")
    roles = every if answers is None else tuple(answers)
    own = model.prompts(changed, format=clean.format)
    right, other = true_tokens(clean, roles).numpy(), true_tokens(own, roles).numpy()
    none = (right == other) | (right < 0) | (other < 0)
    right, other = (np.where(none, -1, tokens) for tokens in (right, other))
    known = ~none.all(axis=0)
    if not known.any():
        raise InputError(
            "in no pair do clean and corrupted prompt have different right tokens: swap another "
            "operand digit, or look at another answer digit"
        )
    if answers is None:
        right, other = right[:, known], other[:, known]
        roles = tuple(role for role, good in zip(roles, known, strict=True) if good)
    return right, other, roles

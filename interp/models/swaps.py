"""Replacement of one operand digit, row by row, and the prompts of the changed problems."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic.counterfactuals import all_digit_swaps, allowed_digits, swap_digit
from interp.arithmetic.problems import Problems
from interp.errors import InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch

Prefix = Literal["keep", "recompute"]
Draws = Literal["one", "all"]

_CHAIN = re.compile(r"t\d+")  # a chain-of-thought token


@dataclass(frozen=True, eq=False)
class Swap:
    """The problems of a batch with one operand digit replaced, in the batch's row order.

    `valid` [n] is False in rows without such a replacement (the prompt does not write the digit, or
    there are fewer alternatives); there `problems` holds the original.
    """

    role: str
    problems: Problems
    valid: npt.NDArray[np.bool_]


def swaps(batch: PromptBatch, role: str, draws: Draws, seed: int) -> list[Swap]:
    """The replacements of one operand digit: one drawn per row, or every other value.

    A leading digit that is not 0 does not become 0, and the number keeps its length. One draw is
    uniform over the remaining values; "all" gives up to nine, each a separate Swap.
    """
    operand, digit = batch.operand_digit(role)
    rows = swappable(batch, role)
    if not len(rows):
        return []
    asked = batch.problems[rows]
    if draws == "one":
        changed = swap_digit(asked, operand, digit, seed=seed)
        return [_put_back(batch.problems, changed, rows, role)]
    others, of = all_digit_swaps(asked, operand, digit)
    # The first alternative of every row is one Swap, the second another, and so on.
    rank = np.arange(len(of)) - np.searchsorted(of, of)
    every = [np.flatnonzero(rank == draw) for draw in range(int(rank.max()) + 1)]
    return [_put_back(batch.problems, others[mine], rows[of[mine]], role) for mine in every]


def swappable(batch: PromptBatch, role: str) -> npt.NDArray[np.int64]:
    """The rows whose prompt writes the digit and whose problem allows it another value."""
    operand, digit = batch.operand_digit(role)
    allowed = allowed_digits(batch.problems, operand, digit, keep_leading=True)
    return np.flatnonzero(batch.writes(role) & allowed.any(axis=1))


def _put_back(
    problems: Problems, changed: Problems, rows: npt.NDArray[np.int64], role: str
) -> Swap:
    """`changed` at the indices `rows` of `problems`, the originals elsewhere."""
    index = np.arange(len(problems))
    index[rows] = len(problems) + np.arange(len(rows))
    valid = np.zeros(len(problems), dtype=bool)
    valid[rows] = True
    return Swap(role, Problems.concat([problems, changed])[index], valid)


def swapped_prompts(model: Model, batch: PromptBatch, swap: Swap, prefix: Prefix) -> PromptBatch:
    """The changed problems as prompts, under the prefix policy.

    keep        the answer (and a chain of thought) of the original problem follows the changed one
    recompute   the changed problem's own true answer follows it
    """
    if prefix == "recompute":
        return model.prompts(swap.problems, format=batch.format, answer="true")
    kept = batch.problems.answers()
    changed = model.prompts(swap.problems, format=batch.format, answer=kept)
    if any(_CHAIN.fullmatch(role) for role in batch.roles):
        return _with_chain_of(model, batch, changed)
    return changed


def _with_chain_of(model: Model, batch: PromptBatch, changed: PromptBatch) -> PromptBatch:
    """The changed question, followed by the original's chain of thought and answer."""
    asked = model.prompts(batch.problems, format=batch.format, answer="none")
    again = model.prompts(changed.problems, format=batch.format, answer="none")
    same_length = np.array_equal(asked.lengths, again.lengths)
    if changed.tokens.shape != batch.tokens.shape or not same_length:
        raise InputError(
            f"format {batch.format!r} writes chains of thought of another length after a swap, so "
            "the original's cannot be kept: use prefix='recompute', or a format of fixed width"
        )
    said = torch.arange(batch.tokens.shape[1])[None] >= torch.from_numpy(asked.lengths)[:, None]
    texts = [
        new + text[len(question) :]
        for new, text, question in zip(again.texts, batch.texts, asked.texts, strict=True)
    ]
    return changed.with_tokens(torch.where(said, batch.tokens, changed.tokens), texts)


def check_true_answers(model: Model, batch: PromptBatch) -> None:
    """Raise InputError unless the prompts hold the true answers: both policies start from those."""
    if not batch.answer_roles:
        raise InputError(
            "these prompts hold no answer to look at: make them with model.prompts(problems)"
        )
    true = model.prompts(batch.problems, format=batch.format, answer="true")
    if not torch.equal(true.tokens, batch.tokens):
        raise InputError(
            "these prompts hold other answers than the true ones: make them with "
            "model.prompts(problems, answer='true')"
        )

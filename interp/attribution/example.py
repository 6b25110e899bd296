"""One prompt before and after a swap, token by token, as shown after a click on a cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from interp.arithmetic.problems import Problems
from interp.attribution.results.counterfactual import SwapExample
from interp.engine._run import run_variants
from interp.engine.requests import Variant
from interp.engine.targets import true_tokens
from interp.errors import InputError
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix, Swap, swapped_prompts
from interp.results.calls import problems_call


def swap_example(
    model: Model,
    asked: Asked,
    operand_digit: str,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    row: int | None = None,
    answer_digit: str | None = None,
    digit: int | None = None,
    prefix: Prefix = "keep",
    top: int = 5,
) -> SwapExample:
    """Logits and probabilities of one prompt before and after one operand digit is replaced.

    Args:
        asked, n, seed, format, held_out: as in `counterfactual`.
        operand_digit: the role to replace, "a2".
        row: the index of the prompt; None means the first whose right answer changes in
            `answer_digit`, or the very first where none does or no digit is named.
        answer_digit: "c1"; looked at only where `row` is None.
        digit: its new value; None means the next one up (9 becomes 1).
        prefix: as in `counterfactual`.
        top: the number of likeliest tokens before and after to list, besides the right ones.

    Raises:
        InputError: for the digit that the problem already has, one that its task does not allow,
            or an answer digit that the prompts have not.
    """
    batch, _ = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    one = batch[_first(model, batch, operand_digit, answer_digit, digit) if row is None else row]
    swap = _swap(one, operand_digit, digit)
    changed = swapped_prompts(model, one, swap, prefix)
    own = model.prompts(swap.problems, format=batch.format)
    roles = one.answer_roles_least_first
    runs = run_variants(
        model, one, [Variant("original"), Variant("changed", batch=changed)], logits=roles
    )
    before, after = (found.logits[0].double() for found in runs if found.logits is not None)
    true = true_tokens(one, roles)[0].tolist(), true_tokens(own, roles)[0].tolist()
    tables = [
        _table(model, role, before[k], after[k], true[0][k], true[1][k], top)
        for k, role in enumerate(roles)
    ]
    return SwapExample(
        model=batch.model,
        task=batch.problems.task.name,
        n=1,
        n_distinct=1,
        seed=None,
        settings={
            "format": batch.format,
            "problems": problems_call(one.problems),
            "digit": digit,
            "prefix": prefix,
            "top": top,
        },
        before=one.texts[0],
        after=changed.texts[0],
        operand_digit=operand_digit,
        logits=pd.concat(tables, ignore_index=True),
    )


def _first(
    model: Model, batch: PromptBatch, role: str, answer_digit: str | None, value: int | None
) -> int:
    """Index of the first prompt in which the swap changes the right token of an answer digit."""
    if answer_digit is None:
        return 0
    roles = batch.answer_roles_least_first
    if answer_digit not in roles:
        raise InputError(f"no answer digit {answer_digit!r}: choose {', '.join(roles)}")
    changed = model.prompts(_changed(batch, role, value), format=batch.format)
    before, after = (true_tokens(of, [answer_digit])[:, 0] for of in (batch, changed))
    return int((before != after).int().argmax())


def _swap(one: PromptBatch, role: str, value: int | None) -> Swap:
    operand, place = one.operand_digit(role)
    old = int(one.problems.operands[operand][0, place])
    if value == old:
        raise InputError(f"{role} is {old} already: choose another digit")
    if value is not None and not 0 <= value <= 9:
        raise InputError(f"digit={value} is no decimal digit: choose one from 0 to 9")
    return Swap(role, _changed(one, role, value), np.array([True]))


def _changed(batch: PromptBatch, role: str, value: int | None) -> Problems:
    """The problems with another digit there: `value`, or the next one up."""
    problems = batch.problems
    operand, place = batch.operand_digit(role)
    operands = [digits.copy() for digits in problems.operands]
    digits = operands[operand][:, place]
    operands[operand][:, place] = digits % 9 + 1 if value is None else value
    return problems.task.problems(*operands, operators=problems.operators)


def _table(
    model: Model,
    role: str,
    before: torch.Tensor,
    after: torch.Tensor,
    true_before: int,
    true_after: int,
    top: int,
) -> pd.DataFrame:
    listed = [*before.topk(top).indices.tolist(), *after.topk(top).indices.tolist()]
    ids = [i for i in dict.fromkeys([true_before, true_after, *listed]) if i >= 0]
    return pd.DataFrame(
        {
            "answer_digit": role,
            "token": model.pieces(ids),
            "logit_before": before[ids].tolist(),
            "logit_after": after[ids].tolist(),
            "probability_before": before.softmax(-1)[ids].tolist(),
            "probability_after": after.softmax(-1)[ids].tolist(),
            "true_before": [i == true_before for i in ids],
            "true_after": [i == true_after for i in ids],
        }
    )

"""Where an adder's carries come from: the operands below, or the digit just printed.

Column k of a sum needs the carry out of column k − 1. An adder that answers from the lowest digit
has two sources of it: the operands of the columns below (*look-ahead*), and its own answer, since
a digit and its column sum give the carry away (*autoregressive*). The two agree on every right
prompt. They are forced apart where column k − 1 sums to nine: printing there the digit of the other
carry-in, 0 for 9 or 9 for 0, changes what the print says and leaves the operands as they are.

Of the answers that follow, this counts those that use the operands' carry, the print's, or neither.
Answers written from the highest digit come before their carries' columns: they are look-ahead by
construction, and what is measured is whether the next lower digit follows the forced one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.arithmetic.problems import Problems
from interp.engine._run import run
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.heads.nines import (
    Columns,
    Sums,
    check_adder,
    control_columns,
    longest_runs,
    with_runs,
)
from interp.heads.results.carry import CarryVerdict
from interp.models.asking import Asked, drawn_for
from interp.models.model import Model
from interp.models.prompts import PromptBatch

Runs = Literal["planted", "asked"]


def carry(
    model: Model,
    asked: Asked,
    *,
    runs: Runs = "planted",
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> CarryVerdict:
    """Shares of answers that take the carry from the operands, from the print, or from neither.

    One column of each problem is scored: the one above its longest run of columns that sum to nine.
    Controls: the unforced prompt, where both sources agree, and a column above one that does not
    sum to nine, where the same forced change leaves the carry as it is.

    Args:
        asked: a task's name, a Task, Problems, or a PromptBatch, of additions.
        runs: planted: digits of the problems are changed so that every place and length of a run
            occurs equally often, with and without a carry into it, held out from training like the
            problems. asked: the problems as they are; those without such a column are left out.
        n, seed, held_out: the sample of a task (`interp.models.asking`); the seed also places the
            runs and the controls.
        format: the prompts' format; None means the model's first.
        memory, cancel, progress: as in `engine.run`.

    Does not show: which heads bring the carry; nor what the model does with prompts that it would
    print itself, since a forced digit is a wrong one.

    Raises:
        InputError: for a task that is no addition of two numbers, a format with several digits a
            token or a chain of thought, a forced digit that changes the layout of its prompt, and
            problems without a column that sums to nine.
    """
    problems, name, settings = drawn_for(model, asked, n, seed, format, held_out)
    check_adder(problems.task)
    if runs not in ("planted", "asked"):
        raise InputError(f"unknown runs={runs!r}: use 'planted' or 'asked'")
    used = _used(model, problems, settings, runs, seed)
    batch = model.prompts(used, format=name)
    _check_layout(batch)
    least_first = batch.prints_least_first
    plan = _plan(used, least_first, seed)
    rows = _measured(model, batch, plan, memory=memory, cancel=cancel, progress=progress)
    return CarryVerdict(
        model=batch.model,
        task=used.task.name,
        n=len(used),
        n_distinct=used.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            "runs": runs,
            "left_out": len(problems) - len(used),
            **settings,
        },
        least_first=least_first,
        rows=rows,
    )


def _used(
    model: Model, problems: Problems, settings: dict[str, Any], runs: Runs, seed: int
) -> Problems:
    """The sums that are scored, each once."""
    if runs == "planted":
        split = model.split if settings["held_out"] else None
        keep = None if split is None else (lambda some: split.keeps(some, "test"))
        return with_runs(problems, keep, seed).distinct()
    sums = problems[(problems.operators == "+").all(axis=1)] if _mixed(problems) else problems
    found = longest_runs(sums).row
    if not len(found):
        raise InputError(
            "no column of these sums adds up to nine, so both sources of the carry say the same: "
            "use runs='planted', or problems of the sampler 'propagation'"
        )
    return sums[found].distinct()


def _mixed(problems: Problems) -> bool:
    minus = (problems.operators == "-").any(axis=1)
    if minus.all():
        raise InputError("these are all differences: give sums, or use runs='planted'")
    return bool(minus.any())


def _check_layout(batch: PromptBatch) -> None:
    """Raise InputError unless each answer digit is a token, and nothing else tells the answer."""
    wanted = {f"c{k}" for k in range(batch.problems.task.answer_digits)}
    if missing := wanted - set(batch.answer_roles):
        raise InputError(
            f"{batch.format!r} writes no token of its own for {', '.join(sorted(missing))}: use a "
            "format with one token a digit and a fixed width, such as 'padded'"
        )
    if any(role[0] == "t" and role[1:].isdigit() for role in batch.roles):
        raise InputError(
            f"{batch.format!r} works the sum out before it answers, so a forced digit contradicts "
            "the chain too: use a format without one, such as 'padded' or 'reversed'"
        )


class _Plan(NamedTuple):
    """Every prompt to run: its problem, its digits, and what is read there.

    column   the answer digit that is read
    own, other   the digits of the operands' carry-in and of the other one
    table    neighbour, digit, forced_digit, length, operands, print, forced
    """

    row: npt.NDArray[np.int64]
    digits: npt.NDArray[np.uint8]
    column: npt.NDArray[np.int64]
    own: npt.NDArray[np.uint8]
    other: npt.NDArray[np.uint8]
    table: pd.DataFrame


def _plan(problems: Problems, least_first: bool, seed: int) -> _Plan:
    sums = Sums.of(problems)
    nine, control = longest_runs(problems), control_columns(problems, seed)
    every = [
        _part(sums, at, least_first, neighbour, forced)
        for at, neighbour, ways in (
            (nine, "nine", ("none", "neighbour", "run")),
            (control, "other", ("none", "neighbour")),
        )
        for forced in ways
    ]
    parts = [part for part in every if len(part.row)]
    arrays = [np.concatenate(some) for some in zip(*(part[:-1] for part in parts), strict=True)]
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return _Plan._make([*arrays, table])


def _part(sums: Sums, at: Columns, least_first: bool, neighbour: str, forced: str) -> _Plan:
    """The prompts of one kind of column and one way of forcing."""
    digits, longer = sums.forced(at, least_first=least_first, run=forced == "run")
    if forced == "none":
        digits = sums.digit[at.row]
    if forced == "run":  # elsewhere it is the neighbour alone
        at, digits = Columns(*(x[longer] for x in at)), digits[longer]
    read = at.upper - (not least_first)
    place = (at.row, read)
    operands = sums.carry_in[place]
    disagree = neighbour == "nine" and forced != "none"
    table = pd.DataFrame(
        {
            "problem": at.row,
            "neighbour": neighbour,
            "forced": forced,
            "digit": [f"c{k}" for k in read],
            "forced_digit": [f"c{k}" for k in at.upper - least_first],
            "length": at.length,
            "operands": operands,
            "print": 1 - operands if disagree else operands,
        }
    )
    return _Plan(at.row, digits, read, sums.digit[place], sums.other[place], table)


def _measured(
    model: Model,
    batch: PromptBatch,
    plan: _Plan,
    *,
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> pd.DataFrame:
    """The plan's table with the carry that each answer uses, its margin, and the later digits."""
    problems = batch.problems[plan.row]
    forced = model.prompts(problems, format=batch.format, answer=plan.digits)
    swapped = problems.answer.copy()
    swapped[np.arange(len(plan.row)), plan.column] = plan.other
    others = model.prompts(problems, format=batch.format, answer=swapped)
    own = batch[plan.row]
    for changed in (forced, others):
        _check_same_layout(own, changed)
    roles = batch.answer_roles
    index = torch.tensor([roles.index(f"c{k}") for k in plan.column])
    tokens = torch.stack([_labels(own, roles, index), _labels(others, roles, index)], dim=1)

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        at = index[rows].to(logits.device)
        there = logits[torch.arange(len(at), device=logits.device), at]
        two = there.gather(1, tokens[rows].to(logits.device))
        return torch.cat([logits.argmax(dim=-1), two], dim=1).double().cpu()

    done = run(
        model,
        forced,
        logits=roles,
        reduce=reduce,
        memory=memory,
        cancel=cancel,
        progress=progress,
    )
    found = torch.as_tensor(done.logits)
    said, two = found[:, : len(roles)].long(), found[:, len(roles) :]
    answer = said[torch.arange(len(index)), index]
    same, other = (answer == tokens[:, 0]).numpy(), (answer == tokens[:, 1]).numpy()
    table = plan.table.copy()
    table["used"] = np.where(same, table["operands"], np.where(other, 1 - table["operands"], -1))
    table["margin"] = (two[:, 0] - two[:, 1]).numpy()
    table["later_changed"] = _later_changed(table, said.numpy(), index.numpy())
    table["problem"] = [problems.text(i) for i in range(len(problems))]
    return table


def _check_same_layout(own: PromptBatch, changed: PromptBatch) -> None:
    """Raise InputError where a forced digit moves any token of its prompt."""
    for role in own.answer_roles:
        moved = own.find(role) != changed.find(role)
        if moved.any() or (own.lengths != changed.lengths).any():
            i = int(np.flatnonzero(moved | (own.lengths != changed.lengths))[0])
            raise InputError(
                f"the forced prompt {changed.texts[i]!r} has other positions than "
                f"{own.texts[i]!r}: use a format of fixed width, such as 'padded'"
            )


def _labels(batch: PromptBatch, roles: Sequence[str], index: torch.Tensor) -> torch.Tensor:
    """The token [n] at each row's role."""
    every = torch.stack([batch.labels(role) for role in roles], dim=1)
    return every.gather(1, index[:, None])[:, 0]


def _later_changed(
    table: pd.DataFrame, said: npt.NDArray[np.int64], index: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether any digit printed after the read one differs from that of the unforced prompt."""
    clean = table[table["forced"] == "none"]
    at = {(p, kind): i for i, p, kind in zip(clean.index, clean["problem"], clean["neighbour"],
                                             strict=True)}  # fmt: skip
    pairs = zip(table["problem"], table["neighbour"], strict=True)
    before = said[[at[pair] for pair in pairs]]
    later = np.arange(said.shape[1]) > index[:, None]
    return np.asarray(((said != before) & later).any(axis=1))

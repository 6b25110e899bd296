"""Noisy-prefix test: accuracy of each answer digit after wrong earlier digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.digits import Digits
from interp.engine._run import run
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import InputError
from interp.models.asking import Asked, sample
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in
from interp.suites import prefixes as noises
from interp.suites.results.noisy_prefix import ALL, NOISES, NoisyPrefix


@shows_progress
def noisy_prefix(
    model: Model,
    asked: Asked,
    *,
    n: int = 256,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> NoisyPrefix:
    """The accuracy of each answer digit after forced wrong digits: one earlier digit, or all.

    For an answer of w digits the model runs 1 + 4 (w - 1) times over the prompts.

    Args:
        asked, n, seed, format, held_out: as in `behaviour.accuracy`; the seed also draws the wrong
            digits.
        memory, cancel, progress: as in `engine.run`; progress counts the runs.

    Raises:
        InputError: for an empty sample, answers of one digit, a format with a chain of thought, or
            one with several digits a token.
    """
    drawn = sample(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    problems, name = drawn.problems, drawn.format
    told = model.prompts(problems, format=name)
    printed = printed_columns(told)
    jobs = list(_jobs(printed))
    rows = []
    for done, job in enumerate(jobs):
        rows += _rows(model, told, job, seed, Resources(memory, cancel, None))
        if progress is not None:
            progress(done + 1, len(jobs))
    return NoisyPrefix(
        model=model.id,
        task=problems.task.name,
        n=len(problems),
        n_distinct=len(problems),
        seed=seed,
        settings=drawn.settings | {"format": name},
        format=name,
        printed=tuple(f"c{k}" for k in printed),
        table=pd.concat(rows, ignore_index=True),
    )


def printed_columns(batch: PromptBatch) -> tuple[int, ...]:
    """The answer's columns in order of print.

    Raises InputError for a chain of thought, answers of one digit, or tokens of several digits.
    """
    roles = [role for role in batch.answer_roles if role != "sign"]
    if "t0" in batch.roles:
        raise InputError(
            f"format {batch.format!r} works the answer out before it is written: its digits are "
            "copied from there. Choose a format without a chain of thought (format=)."
        )
    spans = [found[1] for role in roles if (found := digits_in(role))]
    if packed := [role for role, span in zip(roles, spans, strict=True) if len(span) > 1]:
        raise InputError(
            f"the token {packed[0]} holds several digits, so none of them has others before it. "
            "Choose a format that keeps digits apart (format=), or another model."
        )
    if len(roles) < 2:
        raise InputError("no digit of these answers has another before it: ask for longer answers")
    return tuple(span.start for span in spans)


@dataclass(frozen=True)
class _Job:
    """One run: the perturbed columns and noise, its name in the table, and the scored columns."""

    noise: str
    columns: tuple[int, ...]
    name: str
    scored: tuple[int, ...]


def _jobs(printed: tuple[int, ...]) -> Iterator[_Job]:
    """The clean run; each digit perturbed alone; all digits before each one."""
    yield _Job(NOISES[0], (), "", printed)
    for noise in NOISES[1:]:
        for place in range(1, len(printed)):
            before, column = printed[:place], printed[place - 1]
            yield _Job(noise, (column,), f"c{column}", printed[place:])
            yield _Job(noise, before, ALL, (printed[place],))


def _rows(
    model: Model, told: PromptBatch, job: _Job, seed: int, resources: Resources
) -> list[pd.DataFrame]:
    """The table rows of the scored digits that occur in some answer."""
    problems = told.problems
    digits = _forced(told, job, seed)
    batch = model.prompts(problems, format=told.format, answer=digits)
    usable = _as_printed(told, batch)
    if job.columns:
        usable &= (digits != problems.answer).any(axis=1)
    predicted = _predictions(model, batch, resources)
    found = []
    for column in job.scored:
        rows = np.flatnonzero(usable & (told.find(f"c{column}") >= 0))
        if len(rows):
            row = noises.score_next_digit(problems[rows], column, predicted[f"c{column}"][rows])
            row = row.assign(noise=job.noise, perturbed=job.name, digit=f"c{column}")
            found.append(row[list(_COLUMNS)])
    return found


_COLUMNS = (
    *("noise", "perturbed", "digit", "n", "n_distinct", "exact", "low", "high"),
    *("relaxed", "relaxed_low", "relaxed_high", "relaxed_chance"),
)


def _forced(told: PromptBatch, job: _Job, seed: int) -> Digits:
    """The right answers with the job's columns perturbed, where printed."""
    right = told.problems.answer
    if not job.columns:
        return right
    noise: noises.Noise = "random" if job.noise == "random" else "precise"
    noisy = noises.noisy_prefix(told.problems, job.columns, noise=noise, seed=seed)
    for column in job.columns:
        absent = told.find(f"c{column}") < 0
        noisy[absent, column] = right[absent, column]
    return noisy


def _as_printed(told: PromptBatch, batch: PromptBatch) -> npt.NDArray[np.bool_]:
    """True for rows with a forced answer as long as the right one (a leading 0 is not printed),
    [n]."""
    same = [(told.find(role) == batch.find(role)) for role in told.answer_roles]
    return np.asarray(np.all(same, axis=0) & (told.lengths == batch.lengths))


def _predictions(
    model: Model, batch: PromptBatch, resources: Resources
) -> dict[str, npt.NDArray[np.int64]]:
    """The model's digit at each answer role, -1 if its token is no single digit."""
    found = run(
        model,
        batch,
        reduce=lambda logits, rows: logits.argmax(dim=-1),
        memory=resources.memory,
        cancel=resources.cancel,
    ).logits
    assert found is not None
    tokens, which = np.unique(found.numpy(), return_inverse=True)
    pieces = [piece.strip() for piece in model.pieces(tokens)]
    digit = np.array([int(p) if p.isascii() and p.isdecimal() and len(p) == 1 else -1
                      for p in pieces])  # fmt: skip
    columns = digit[which].reshape(found.shape).T
    return dict(zip(batch.answer_roles, columns, strict=True))

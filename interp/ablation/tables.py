"""Conditional means of the residual stream: built in one pass over the distinct prefixes, kept on
disk, and read leaving out the evaluated prompt.

    m̄(key, depth) = (Σ_x' resid(x', depth) − [x among them] resid(x, depth))
                     / (their number − [x among them])

over the prompts x' with that key; [x among them] is 1 if the evaluated prompt x is in the table.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation.cache import keep, kept, table_path
from interp.ablation.keys import Key, keys
from interp.ablation.places import Places
from interp.ablation.replacements import Given
from interp.arithmetic.problems import Problems
from interp.engine.block_steps import own_blocks, prefix_states
from interp.engine.requests import Cancel, Progress
from interp.models.model import Model
from interp.models.prompts import PromptBatch

EXACT = 1024  # the table of a task with at most this many problems uses all of them
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Table:
    """Sums over prompts by key.

    index    key → its number
    sums     float64 [n_layers, keys, d_model], of the stream after 1 … n_layers layers
    squares  float64 [n_layers, keys], of its squared length
    counts   int64 [keys], number of prompts
    members  the tokens of each question, as bytes
    exact    True if the table uses all prompts of the task
    """

    given: Given
    index: dict[Key, int]
    sums: torch.Tensor
    squares: torch.Tensor
    counts: torch.Tensor
    members: frozenset[bytes]
    exact: bool
    format: str

    def largest_error(self) -> float:
        """The largest `error` over roles and depths: 0 for an exact table, NaN where a key occurs
        once or no role has several keys."""
        if self.exact:
            return 0.0
        found = [self.error(numbers) for numbers in self.places().values() if len(numbers) > 1]
        return float(torch.stack(found).max()) if found else float("nan")

    def error(self, numbers: torch.Tensor) -> torch.Tensor:
        """The largest standard error of the means of one role's keys, as a share of the spread
        between these means, [n_layers]:

            max over keys of √(tr Var(key) / n(key))  /  √(Σ n(key) ‖m̄(key) − m̄‖² / Σ n(key))

        At 1 sampling error separates some mean from the others as far as the keys do. (The length
        of a mean is no scale for it: a component that all prompts share makes it arbitrarily long.)
        NaN where a key occurs once, so that its variance is unknown, and for a single key.
        """
        sums, counts = self.sums[:, numbers], self.counts[numbers]
        means = sums / counts[:, None]
        within = (self.squares[:, numbers] / counts - (means**2).sum(-1)).clamp(min=0)
        variance = within * counts / (counts - 1).clamp(min=1)
        errors = (variance / counts).sqrt().masked_fill(counts < 2, torch.nan)
        from_mean = ((means - sums.sum(1, keepdim=True) / counts.sum()) ** 2).sum(-1)
        spread = ((from_mean * counts).sum(-1) / counts.sum()).sqrt()
        found = errors.amax(-1) / spread
        return found if len(numbers) > 1 else torch.full_like(found, torch.nan)

    def places(self) -> dict[tuple[str, int], torch.Tensor]:
        """The numbers of the keys at each role and position."""
        found: dict[tuple[str, int], list[int]] = {}
        for key, number in self.index.items():
            found.setdefault((key.role, key.position), []).append(number)
        return {place: torch.tensor(numbers) for place, numbers in found.items()}


def members(places: Places) -> list[bytes]:
    """Each question as bytes: equal for equal problems, whatever answer follows."""
    tokens, lengths = places.batch.tokens.numpy(), places.batch.prompt_lengths
    return [tokens[i, : lengths[i]].tobytes() for i in range(len(tokens))]


def table_problems(problems: Problems, n: int, seed: int) -> Problems:
    """All problems of the task if there are at most 1024, else `n` drawn with the seed. Where
    `problems` have no leading zeros, these have none, so that each role keeps its position."""
    task = problems.task
    if task.n_problems <= EXACT:
        return task.grid()
    full = bool((problems.lengths == np.array(task.operand_digits)).all())
    return task.sample(n, seed=seed, full_width=full)


def build_table(
    model: Model,
    batch: PromptBatch,
    given: Given,
    *,
    memory: int,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Table:
    """The table over distinct prompts of `batch`, read from disk if built before.

    Raises ModelError for a wrapped module, StorageError for a damaged file.
    """
    own_blocks(model)
    batch = _distinct(batch)
    places = Places.of(batch, "none")
    numbered: dict[Key, int] = {}
    numbers = np.full(places.roles.shape, -1, dtype=np.int64)
    for row, column, key in keys(places, given):
        numbers[row, column] = numbered.setdefault(key, len(numbered))
    settings = _settings(model, batch, given)
    path = table_path(settings)
    found = kept(path, settings)
    if found is None:
        found = _sums(model, places, numbers, len(numbered), memory, cancel, progress)
        keep(path, settings, found)
    exact = len(batch) == batch.problems.task.n_problems
    return Table(
        given, numbered, found["sums"], found["squares"], found["counts"],
        frozenset(members(places)), exact, batch.format,
    )  # fmt: skip


def _distinct(batch: PromptBatch) -> PromptBatch:
    rows = np.sort(np.unique(batch.tokens.numpy(), axis=0, return_index=True)[1])
    return batch if len(rows) == len(batch) else batch[rows]


def _settings(model: Model, batch: PromptBatch, given: Given) -> dict[str, Any]:
    digest = hashlib.sha256(batch.tokens.numpy().tobytes())
    digest.update(repr((batch.layouts, batch.lengths.tolist(), batch.layout_of.tolist())).encode())
    return {
        "layout": 1,
        "model": model.hash,
        "dtype": str(model.dtype),
        "task": batch.problems.task.name,
        "format": batch.format,
        "given": given,
        "prompts": len(batch),
        "tokens": digest.hexdigest(),
    }


def _sums(
    model: Model,
    places: Places,
    numbers: Ints,
    count: int,
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> dict[str, torch.Tensor]:
    n_layers, width = model.shape.n_layers, model.shape.d_model
    sums = torch.zeros(n_layers, count, width, dtype=torch.float64)
    squares = torch.zeros(n_layers, count, dtype=torch.float64)
    tokens, done = places.batch.tokens[:, : places.end], 0
    for rows, found in prefix_states(model, tokens, memory=memory, cancel=cancel):
        where = torch.from_numpy(numbers[rows])
        seen = where >= 0
        # Count each prefix by key, so that a shared state is added once.
        pairs, times = torch.unique(
            torch.stack([where[seen], found.index[seen]], dim=1), dim=0, return_counts=True
        )
        for layer in range(n_layers):
            states = found.states[layer + 1].cpu().double()[pairs[:, 1]]
            sums[layer].index_add_(0, pairs[:, 0], states * times[:, None])
            squares[layer].index_add_(0, pairs[:, 0], (states**2).sum(-1) * times)
        done += len(rows)
        if progress is not None:
            progress(done, len(places.batch))
    counts = torch.bincount(torch.from_numpy(numbers[numbers >= 0]), minlength=count)
    return {"sums": sums, "squares": squares, "counts": counts}

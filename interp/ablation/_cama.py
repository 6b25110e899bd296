"""Table of conditional means: the share of a token's state that its own identity explains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from interp.ablation.replacements import Given, Replacement
from interp.ablation.results.cama import CamaTable
from interp.ablation.tables import Table, build_table
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.results.grid import Axis, Grid

_FLOOR = 1e-12  # share of the squared length; smaller variance is rounding error


@shows_progress
def cama(
    model: Model,
    asked: Asked,
    *,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    given: Given = "token",
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> CamaTable:
    """Variance explained by the table of conditional means, which is built or read from disk.

    Args:
        asked: the problems behind the table, or a task to sample them from.
        n, seed, format, held_out: as in `evaluate`.
        given: the key: own "token", own "value" where a number spans tokens, or "nothing".
        memory, cancel, progress: as in `engine.run`.

    Returns:
        The share of each state's variance that its key explains, by role and depth, and the
        standard errors of the means.

    Does not show: that the model uses the part of a state that its key does not explain.

    Raises:
        InputError: for an unknown key; ModelError: for a wrapped module.
    """
    Replacement("cama", given, n, seed)  # validates the arguments
    batch, sampled = prompts(
        model, asked, n=n, seed=seed, format=format, held_out=held_out
    )  # fmt: skip
    table = build_table(model, batch, given, memory=memory, cancel=cancel, progress=progress)
    roles = [role for role in batch.roles if any(key.role == role for key in table.index)]
    share, error = _explained(table, roles)
    depths = tuple(str(depth) for depth in range(1, model.shape.n_layers + 1))
    axes = (Axis("role", tuple(roles)), Axis("depth", depths))
    return CamaTable(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "given": given,
        },
        given=given,
        exact=table.exact,
        own_share=Grid(share, axes),
        error=Grid(error, axes),
        values=_values(table, roles),
    )


def _explained(table: Table, roles: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The share of variance between keys, and the largest error of a mean (`Table.error`), both
    [roles, n_layers]. Each position of a role has its own mean.

        exact      η² = between / (between + within)
        sampled    ε² = 1 − (within / (N − K)) / ((between + within) / (N − 1)), at least 0

    for N prompts and K keys. In a sample η² grows with the number of keys alone, to exactly 1 where
    each key occurs once; ε² (Kelley 1935) does not. NaN where N = K.
    """
    share = np.full((len(roles), len(table.sums)), np.nan)
    error = np.zeros_like(share) if table.exact else np.full_like(share, np.nan)
    places = table.places()
    for i, role in enumerate(roles):
        between = within = length = torch.zeros(len(table.sums), dtype=torch.float64)
        free = total = 0  # degrees of freedom, within keys and in all
        errors = []
        for numbers in _of_role(places, role):
            sums, counts = table.sums[:, numbers], table.counts[numbers]
            of_means = ((sums**2).sum(-1) / counts).sum(-1)
            squares = table.squares[:, numbers]
            between = between + of_means - (sums.sum(1) ** 2).sum(-1) / counts.sum()
            within = within + squares.sum(-1) - of_means
            length = length + squares.sum(-1)
            if len(numbers) > 1:
                errors.append(table.error(numbers).numpy())
            free += int(counts.sum()) - len(counts)
            total += int(counts.sum()) - 1
        if errors and not table.exact:
            error[i] = np.max(errors, axis=0)
        varies = (between + within) > _FLOOR * length
        left = within / (between + within)
        if not table.exact:
            left = left * total / max(free, 1)
        share[i] = np.where(varies & (free > 0), (1 - left).clamp(0, 1), np.nan)
    return share, error


def _of_role(places: dict[tuple[str, int], torch.Tensor], role: str) -> list[torch.Tensor]:
    return [numbers for (name, _), numbers in places.items() if name == role]


def _values(table: Table, roles: list[str]) -> pd.DataFrame:
    rows = []
    for role in roles:
        counts = [int(table.counts[i]) for key, i in table.index.items() if key.role == role]
        positions = len(_of_role(table.places(), role))
        row = {"role": role, "values": len(counts), "fewest": min(counts), "positions": positions}
        rows.append(row)
    return pd.DataFrame(rows)

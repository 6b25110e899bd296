"""A learned subspace at the place of an interchange, beside the controls that such a search needs.

The subspace is learned on one half of the problems and scored on the other, on the lowest answer
digit that the swapped value changes: how often is the digit that arithmetic predicts the likeliest
of all digits there? Chance is about one in ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.engine.subspaces import SubspaceSwap, choices, learned_basis
from interp.errors import InputError
from interp.heads.exchanges import Exchanges
from interp.heads.nodes import Node
from interp.models.model import Model
from interp.models.untrained import untrained
from interp.results.intervals import wilson

Rows = npt.NDArray[np.intp]

STEPS = 200  # of each search
ARMS = {
    "learned": "learned subspace",
    "whole": "whole activation",
    "no_swap": "no swap",
    "placebo": "random subspace, equal length",
    "arbitrary": "learned for arbitrary digits",
    "untrained": "learned in a model with random weights",
}
_FEWEST = 16


def learned_subspace(
    model: Model, made: Exchanges, cell: Node, halves: Sequence[Rows], rank: int, seed: int
) -> pd.DataFrame:
    """One row an arm: rank, share of predicted digits, Wilson's bounds and n.

    "arbitrary" is scored on its own digits, a random one for each value of the variable.

    Raises InputError for a rank beyond the width, or too few problems with one layout.
    """
    if not 1 <= rank <= made.width(cell):
        raise InputError(f"learn={rank}: a subspace has 1 to {made.width(cell)} dimensions")
    first, second = (_swap(made, cell, rows) for rows in halves)
    site, layer = cell.site, cell.layer

    def fitted(of: Model, swap: SubspaceSwap) -> torch.Tensor:
        return learned_basis(of, swap, site, layer, rank=rank, steps=STEPS, seed=seed)

    def right(
        of: Model, swap: SubspaceSwap, basis: torch.Tensor | None, **more: int
    ) -> torch.Tensor:
        return choices(of, swap, site, layer, basis, **more) == swap.targets

    basis, other = fitted(model, first), untrained(model, seed=seed)
    shuffled = [_arbitrary(swap, seed) for swap in (first, second)]
    arms = {
        "learned": right(model, second, basis),
        "whole": right(model, second, torch.eye(made.width(cell))),
        "no_swap": right(model, second, None),
        "placebo": right(model, second, basis, placebo=seed),
        "arbitrary": right(model, shuffled[1], fitted(model, shuffled[0])),
        "untrained": right(other, second, fitted(other, first)),
    }
    rows = []
    for name, hits in arms.items():
        low, high = wilson(int(hits.sum()), len(hits))
        share = float(hits.double().mean())
        rows.append((ARMS[name], rank, share, float(low), float(high), len(hits)))
    return pd.DataFrame(rows, columns=["arm", "rank", "share", "share_low", "share_high", "n"])


def _swap(made: Exchanges, cell: Node, rows: Rows) -> SubspaceSwap:
    """Those rows whose lowest changed digit changes, in the commonest layout."""
    found, base = made.found, made.predicted
    role, classes = made.digit_tokens(min(found.moved))
    read = base.position_array(f"predicts({role})")
    changed = (found.answers != found.own)[:, min(found.moved)]
    rows = rows[changed[rows] & (read[rows] >= 0)]
    if len(rows):
        rows = rows[read[rows] == np.bincount(read[rows]).argmax()]
    if len(rows) < _FEWEST:
        raise InputError(
            f"{len(rows)} problems of one layout change {role}: a subspace is learned from "
            f"{_FEWEST} or more on each half; give more n, or a format of fixed width (padded)"
        )
    labels = base.labels(role)[rows]
    others = made.batch[found.other[rows]]
    return SubspaceSwap(
        base=base.tokens[rows],
        source=others.tokens,
        at=torch.as_tensor(base.position_array(cell.role)[rows]),
        source_at=torch.as_tensor(others.position_array(cell.role)),
        read=int(read[rows[0]]),
        classes=classes,
        targets=(labels[:, None] == classes).int().argmax(dim=1).long(),
    )


def _arbitrary(swap: SubspaceSwap, seed: int) -> SubspaceSwap:
    """The same rows with another digit in place of each right one, the same for equal ones."""
    drawn = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(swap.classes), generator=drawn)
    shift = order.roll(1)  # no digit stands for itself
    table = torch.empty_like(order)
    table[order] = shift
    return replace(swap, targets=table[swap.targets])

"""How a tokenizer splits the numbers of given prompts into tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interp.models.results.tokenisation import TokenisationReport
from interp.models.tokens import digits_in
from interp.results.versions import installed_versions

if TYPE_CHECKING:
    from interp.models.prompts import PromptBatch
    from interp.models.tokens import Tokens


def report(
    tokens: Tokens, batch: PromptBatch, settings: Mapping[str, Any] | None = None
) -> TokenisationReport:
    """Tokens and roles of the first prompt, and the token packing of numbers of each length."""
    bos = tokens.bos
    return TokenisationReport(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=None,
        settings={"format": batch.format, **(settings or {})},
        versions=installed_versions(),
        format=batch.format,
        example=_example(tokens, batch),
        packing=_packing(batch),
        moving_roles=tuple(
            role for role, where in batch.positions.items() if not isinstance(where, int)
        ),
        tokens_min=int(batch.lengths.min()),
        tokens_max=int(batch.lengths.max()),
        bos=tokens.pieces(bos[:1])[0] if bos else None,
    )


def _example(tokens: Tokens, batch: PromptBatch) -> pd.DataFrame:
    ids = batch.tokens[0, : int(batch.lengths[0])].tolist()
    roles = batch.layouts[int(batch.layout_of[0])]
    return pd.DataFrame(
        {
            "position": range(len(ids)),
            "token": tokens.pieces(ids),
            "id": ids,
            "role": list(roles),
        }
    )


def _packing(batch: PromptBatch) -> pd.DataFrame:
    """Digits in each token, in order of print, for every number of every layout."""
    counts = np.bincount(batch.layout_of, minlength=len(batch.layouts))
    rows = []
    for layout, n in zip(batch.layouts, counts, strict=True):
        numbers: dict[str, list[int]] = {}
        for role in layout:
            if found := digits_in(role):
                numbers.setdefault(found[0], []).append(len(found[1]))
        for number, widths in numbers.items():
            rows.append((number, sum(widths), "+".join(map(str, widths)), int(n)))
    frame = pd.DataFrame(rows, columns=["number", "digits", "pattern", "n"])
    return (
        frame.groupby(["number", "digits", "pattern"], as_index=False)["n"]
        .sum()
        .sort_values(["number", "digits", "pattern"], ignore_index=True)
    )

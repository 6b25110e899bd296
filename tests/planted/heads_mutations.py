"""Mistakes in the analyses of heads (`mutations`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from interp.heads.nines import Sums
from tests.planted.mutations import Mutation

Function = Callable[..., Any]
_CARRY = "interp.heads._carry"


def _true_digit_printed(forced: Function) -> Function:
    def unforced(sums: Sums, at: Any, **options: Any) -> Any:
        _, longer = forced(sums, at, **options)
        return sums.digit[at.row], longer

    return unforced


def _next_digit_printed(forced: Function) -> Function:
    def rolled(sums: Sums, at: Any, **options: Any) -> Any:
        digits, longer = forced(sums, at, **options)
        changed = digits != sums.digit[at.row]
        return np.where(changed, (digits + 1) % 10, digits).astype(np.uint8), longer

    return rolled


def _column_below_read(longest_runs: Function) -> Function:
    def shifted(problems: Any) -> Any:
        found = longest_runs(problems)
        return found._replace(upper=np.maximum(found.upper - 1, 1))

    return shifted


def _digits_swapped(measured: Function) -> Function:
    def swapped(model: Any, batch: Any, plan: Any, **options: Any) -> Any:
        table = measured(model, batch, plan, **options)
        return table.assign(used=np.where(table["used"] < 0, -1, 1 - table["used"]))

    return swapped


HEADS: tuple[Mutation, ...] = (
    Mutation("carry", "the true digit printed", Sums, "forced", _true_digit_printed),
    Mutation("carry", "another wrong digit printed", Sums, "forced", _next_digit_printed),
    Mutation("carry", "columns off by one", _CARRY, "longest_runs", _column_below_read),
    Mutation("carry", "carries swapped", _CARRY, "_measured", _digits_swapped),
)

"""The table of published numbers: what was published, what of ours answers it, and by which rule.

`numbers.csv` has one row a number. `accepts` and its interval [low, high] are set from the
published number alone, and `basis` says how:

    near     [low, high] is the published number's tolerance: holds where our estimate lies in it,
             open where only our 95 % interval meets it, differs where that lies apart
    inside   a bound, or a direction where one side is infinite: holds where our whole interval lies
             in [low, high], differs where it lies outside, open where it crosses a bound
    above    ours is a null of the published number, whose own interval is [low, high]: holds where
             that lies above the null's, differs where it does not: that the published number says
             more than its null is not shown. Open where the null's own interval reaches 1, which
             no share or R² can exceed

A row without a model of ours gives the reason; with `model=` it is asked of other weights.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from interp.errors import InputError, nearest

Accepts = Literal["near", "inside", "above"]
Verdict = Literal["holds", "differs", "open", "not run"]

RULES: tuple[Accepts, ...] = ("near", "inside", "above")
NUMBERS = Path(__file__).with_name("numbers.csv")


@dataclass(frozen=True)
class Row:
    """One published number.

    key        short name, "bai-icot-c2": the paper's first author, then the quantity
    measure    name in `interp.published.measures`, "" where nothing here measures it
    part       which of the measure's numbers
    model      ours that is asked, "" where there is none
    basis      how [low, high] was set
    quick      whether it takes a small model, seconds to a minute
    reason     why ours cannot answer, "" where it can
    """

    key: str
    source: str
    arxiv: str
    quantity: str
    condition: str
    value: float
    unit: str
    note: str
    measure: str
    part: str
    model: str
    options: Mapping[str, Any]
    accepts: Accepts
    low: float
    high: float
    basis: str
    quick: bool
    reason: str

    @property
    def paper(self) -> str:
        """The first part of the key, "bai"."""
        return self.key.partition("-")[0]

    @property
    def directional(self) -> bool:
        """Whether the row says only on which side of a bound ours lies."""
        return self.accepts == "inside" and (math.isinf(self.low) or math.isinf(self.high))

    @property
    def rule(self) -> str:
        """The row's rule in words."""
        bounds = f"{self.low:.4g} to {self.high:.4g}"
        if self.accepts == "near":
            return f"holds if our estimate lies in {bounds}"
        if self.accepts == "above":
            own = bounds if self.low < self.high else f"{self.value:.4g}"
            return f"holds if the published {own} lies above the null"
        if self.directional:
            side = f"above {self.low:.4g}" if math.isinf(self.high) else f"below {self.high:.4g}"
            return f"directional: holds if our 95 % interval lies {side}"
        return f"holds if our 95 % interval lies inside {bounds}"

    def verdict(self, value: float, low: float, high: float) -> Verdict:
        """The verdict on our number with its 95 % interval; open where a bound is NaN."""
        if math.isnan(low) or math.isnan(high):
            return "open"
        if self.accepts == "above":
            if self.unit in ("share", "R2") and low < 1 <= high:
                return "open"
            equal = math.isclose(self.low, high, rel_tol=1e-9)
            return "holds" if self.low > high and not equal else "differs"
        if high < self.low or low > self.high:
            return "differs"
        if self.accepts == "near":
            return "holds" if self.low <= value <= self.high else "open"
        return "holds" if self.low <= low and high <= self.high else "open"


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """All rows, in the order of the table."""
    with NUMBERS.open(newline="", encoding="utf-8") as file:
        return tuple(_row(line) for line in csv.DictReader(file))


def _row(line: Mapping[str, str]) -> Row:
    numbers = {
        name: float(line[name]) if line[name] else math.nan for name in ("value", "low", "high")
    }
    told: dict[str, Any] = {
        **line,
        **numbers,
        "options": json.loads(line["options"] or "{}"),
        "accepts": next(rule for rule in RULES if rule == line["accepts"]),
        "quick": line["quick"] == "yes",
    }
    return Row(**told)


def chosen(only: Sequence[str], quick: bool) -> tuple[Row, ...]:
    """The rows of some papers ("bai", "2510.00184") or keys, or all; `quick` ones alone.

    Raises InputError for a name that no row has, and where nothing is left.
    """
    every = rows()
    for name in only:
        if not any(_named(row, name) for row in every):
            known = [*dict.fromkeys(row.paper for row in every), *(row.key for row in every)]
            raise InputError(
                f"no published number {name!r}: choose a paper ({', '.join(_papers())}), its arXiv "
                f"number or a row. Nearest: {nearest(name, known)}"
            )
    kept = tuple(
        row for row in every
        if (not only or any(_named(row, name) for name in only)) and (row.quick or not quick)
    )  # fmt: skip
    if not kept:
        raise InputError("no row of these is quick: leave quick out")
    return kept


def _named(row: Row, name: str) -> bool:
    """Whether a name means the row: its arXiv number, or its key up to a hyphen."""
    return name == row.arxiv or f"{row.key}-".startswith(f"{name.lower()}-")


def _papers() -> list[str]:
    return list(dict.fromkeys(row.paper for row in rows()))

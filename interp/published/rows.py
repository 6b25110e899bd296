"""The table of published numbers: what was published, what of ours answers it, and by which rule.

`numbers.csv` has one row a number. `accepts` and its interval [low, high] are set from the
published number alone:

    meets    holds where our 95 % interval meets [low, high], the published number's tolerance
    inside   holds where our whole interval lies in [low, high], differs where it lies outside,
             open where it crosses a bound

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

Accepts = Literal["meets", "inside"]
Verdict = Literal["holds", "differs", "open", "not run"]

NUMBERS = Path(__file__).with_name("numbers.csv")


@dataclass(frozen=True)
class Row:
    """One published number.

    key        short name, "bai-icot-c2": the paper's first author, then the quantity
    measure    name in `interp.published.measures`, "" where nothing here measures it
    part       which of the measure's numbers
    model      ours that is asked, "" where there is none
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
    quick: bool
    reason: str

    @property
    def paper(self) -> str:
        """The first part of the key, "bai"."""
        return self.key.partition("-")[0]

    @property
    def rule(self) -> str:
        """The row's rule in words."""
        bounds = f"{self.low:.3g} to {self.high:.3g}"
        if self.accepts == "meets":
            return f"holds if our 95 % interval meets {bounds}"
        return f"holds if our 95 % interval lies inside {bounds}"

    def verdict(self, low: float, high: float) -> Verdict:
        """Of our interval: holds, differs or, where it crosses a bound, open."""
        if math.isnan(low) or math.isnan(high):
            return "open"
        apart = high < self.low or low > self.high
        if self.accepts == "meets":
            return "differs" if apart else "holds"
        if self.low <= low and high <= self.high:
            return "holds"
        return "differs" if apart else "open"


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
        "accepts": "inside" if line["accepts"] == "inside" else "meets",
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

"""One schedule, or one search, under every replacement and mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.ablation import OfRightAnswers, named_replacement, schedule_code
from interp.results.calls import Expression, call, model_code
from interp.results.display import number


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationComparison(OfRightAnswers):
    """The same search, or the same schedule, with every alternative in one table.

    Args:
        table: one row an alternative: `replacement`, `given`, `mask` (of the transfer layers),
            `status`, `reason`, `wait`, `first_transfer`, `last_transfer`, `transfer_layers` (a
            count), `heads`, `faithfulness`, `low`, `high`, and `logit_difference` and `kl`, each
            with its own `_low` and `_high`.
        constant, base_accuracy, n_right, n_right_distinct: of the prompts told of.
    """

    analysis: ClassVar[str] = "ablation_comparison"
    notes: ClassVar[tuple[str, ...]] = (
        "which replacement is right: one that keeps more may also let more through",
    )

    table: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        return self.table

    @property
    def metrics(self) -> dict[str, float]:
        """The faithfulness of each alternative by name, and the constant's."""
        out = {
            f"faithfulness {row.replacement} {row.mask}": float(row.faithfulness)
            for row in self.table.itertuples()
        }
        return out | self.beside

    @property
    def code(self) -> str:
        schedule = self.settings.get("schedule")
        positional = ["model", "batch"] + ([schedule_code(schedule)] if schedule else [])
        options = {name: self.settings.get(name) for name in ("masks", "target", "sink")}
        named = self._replacements()
        options["replacements"] = Expression(f"({', '.join(named)},)") if named else None
        last = call("interp.ablation.compare", *positional, **options, seed=self.seed)
        return model_code(self.model, self.settings, last)

    def _replacements(self) -> list[str]:
        labels = self.settings.get("replacements", ())
        tables = self.settings.get("tables") or [(1024, self.seed)] * len(labels)
        return [
            named_replacement(label, n, table_seed, self.seed)
            for label, (n, table_seed) in zip(labels, tables, strict=True)
        ]

    def conclusion(self) -> str | None:
        known = self.table.dropna(subset="faithfulness")
        without = _without_number(self.table)
        if not len(known) and (self.table["status"] == "none").all():
            return "Under none of these alternatives is there such a subgraph."
        if not len(known):
            return f"Whether there is such a subgraph is open. {without}"
        best = known.loc[known["faithfulness"].idxmax()]
        above = known[known["low"] > self.constant]
        return (
            f"Most is kept with {best['replacement']} and {best['mask']}: "
            f"{number(100 * best['faithfulness'])} % (at least {number(100 * best['low'])} %). "
            f"{len(above)} of {len(self.table)} alternatives keep more than the best constant "
            f"answer ({number(100 * self.constant)} %). {without}"
        ).rstrip()


def _without_number(table: pd.DataFrame) -> str:
    """How many alternatives have no faithfulness, by status, with the first reason of each."""
    missing = table[table["faithfulness"].isna()]
    told = []
    for status, rows in missing.groupby("status", sort=True):
        reasons = [reason for reason in dict.fromkeys(rows["reason"]) if reason]
        several = "among others: " * (len(reasons) > 1)
        named = "without such a subgraph" if status == "none" else status
        why = f" ({several}{reasons[0].rstrip('.')})" if reasons else ""
        told.append(f"{len(rows)} {named}{why}")
    return f"Of {len(table)} alternatives, {'; '.join(told)}." if told else ""

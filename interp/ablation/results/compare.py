"""Result of one schedule, or one search, under every replacement and mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.ablation.results.evaluate import (
    BESIDE,
    OfRightAnswers,
    about_sink,
    named_replacement,
    schedule_code,
)
from interp.results.calls import Expression, asked_code
from interp.results.display import percent


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationComparison(OfRightAnswers):
    """The same search, or the same schedule, with every alternative in one table.

    Each search has the same target, so alternatives differ in how deep tokens may wait and how
    many layers must transfer. Under one schedule they differ in faithfulness.

    Args:
        table: one row per alternative: `replacement`, `given`, `mask` (of the transfer layers),
            `status`, `reason`, `wait`, `first_transfer`, `last_transfer`, `transfer_layers` (a
            count), `heads`, `faithfulness`, `low`, `high`, and `logit_difference` and `kl`, each
            with its own `_low` and `_high`, and `table_error` (as in `AblationScore`).
        constant, base_accuracy, n_right, n_right_distinct: of the scored prompts.
    """

    analysis: ClassVar[str] = "ablation_comparison"
    notes: ClassVar[tuple[str, ...]] = (
        "which replacement is right: one that keeps more may also let more through",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "faithfulness {alternative}": "share of right answers kept under {alternative}, 0 to 1",
        "wait {alternative}": "layers that wait under {alternative}, a count",
        "transfer_layers {alternative}": "layers that transfer under {alternative}, a count",
        **BESIDE,
    }

    table: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        return self.table

    @property
    def metrics(self) -> dict[str, float]:
        """Faithfulness, wait and transfer_layers of each alternative, by name (the last two are
        counts; NaN without a schedule), and the constant's faithfulness."""
        out: dict[str, float] = {}
        for row in self.table.itertuples():
            name = f"{row.replacement} {row.mask}"
            known = row.status in ("found", "scored")
            out[f"faithfulness {name}"] = float(row.faithfulness)
            for what in ("wait", "transfer_layers"):
                out[f"{what} {name}"] = float(getattr(row, what)) if known else float("nan")
        return out | self.beside

    @property
    def code(self) -> str:
        schedule = self.settings.get("schedule")
        positional = [schedule_code(schedule)] if schedule else []
        options = {name: self.settings.get(name) for name in ("masks", "target", "sink")}
        named = self._replacements()
        options["replacements"] = Expression(f"({', '.join(named)},)") if named else None
        return asked_code(
            self.model, self.settings, "interp.ablation.compare", *positional, **options,
            format=self.settings.get("format"), seed=self.seed,
        )  # fmt: skip

    def _replacements(self) -> list[str]:
        labels = self.settings.get("replacements", ())
        tables = self.settings.get("tables") or [(1024, self.seed)] * len(labels)
        return [
            named_replacement(label, n, table_seed, self.seed)
            for label, (n, table_seed) in zip(labels, tables, strict=True)
        ]

    def conclusion(self) -> str | None:
        return f"{self._told()}{about_sink(self.sink_differs)}"

    def _told(self) -> str:
        known = self.table.dropna(subset="faithfulness")
        without = _without_number(self.table)
        if not len(known) and (self.table["status"] == "none").all():
            return "Under none of these alternatives is there such a subgraph."
        if not len(known):
            return f"Whether there is such a subgraph is open. {without}"
        lead = self._depths if self.settings.get("schedule") is None else self._most
        above = known[known["low"] > self.constant]
        return (
            f"{lead} {len(above)} of {len(self.table)} alternatives keep more than the best "
            f"constant answer ({percent(self.constant)} %). {without}"
        ).rstrip()

    @property
    def _most(self) -> str:
        """The alternative with the highest faithfulness, for one schedule."""
        best = self.table.loc[self.table["faithfulness"].idxmax()]
        return (
            f"Most is kept with {best['replacement']} and {best['mask']}: "
            f"{percent(best['faithfulness'])} % (at least {percent(best['low'])} %)."
        )

    @property
    def _depths(self) -> str:
        """The wait and transfer layers of each search, the deepest wait first. Faithfulness gives
        no ranking here, since every search has the same target."""
        found = self.table[self.table["status"] == "found"]
        if not len(found):
            return "No alternative has a subgraph that surely beats a constant answer."
        told = []
        for (wait, layers), rows in sorted(
            found.groupby(["wait", "transfer_layers"]), key=lambda at: (-at[0][0], at[0][1])
        ):
            names = ", ".join(f"{row.replacement} {row.mask}" for row in rows.itertuples())
            told.append(f"{int(wait)} and {int(layers)} with {names}")
        low, high = found["faithfulness"].min(), found["faithfulness"].max()
        return (
            f"Layers that tokens may wait through, and layers of transfer behind them: "
            f"{'; '.join(told)}. On prompts that the searches did not see these keep "
            f"{percent(low)} to {percent(high)} % of the right answers."
        )


def _without_number(table: pd.DataFrame) -> str:
    """The number of alternatives without faithfulness, by status, with the first reason of each."""
    missing = table[table["faithfulness"].isna()]
    told = []
    for status, rows in missing.groupby("status", sort=True):
        reasons = [reason for reason in dict.fromkeys(rows["reason"]) if reason]
        several = "among others: " * (len(reasons) > 1)
        named = "without such a subgraph" if status == "none" else status
        why = f" ({several}{reasons[0].rstrip('.')})" if reasons else ""
        told.append(f"{len(rows)} {named}{why}")
    return f"Of {len(table)} alternatives, {'; '.join(told)}." if told else ""
